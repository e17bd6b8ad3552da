package main

// The Go admin library (pulsaradmin of pulsar-client-go): any call of its interfaces by name, its arguments as JSON.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/apache/pulsar-client-go/pulsaradmin"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/admin"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/rest"
	"github.com/apache/pulsar-client-go/pulsaradmin/pkg/utils"
)

type adminArgs struct {
	URL         string `json:"url"`
	AuthPlugin  string `json:"authPlugin"`
	AuthParams  string `json:"authParams"`
	TrustedFile string `json:"trustedFile"`
}

type adminCallArgs struct {
	Handle int               `json:"handle"`
	Call   string            `json:"call"`
	Args   []json.RawMessage `json:"args"`
}

// parts are what the library's calls are grouped by. Policies of topics stand by themselves there, once for each scope.
type parts map[string]reflect.Value

func partsOf(client admin.Client) (parts, error) {
	all := parts{}
	of := reflect.TypeOf((*admin.Client)(nil)).Elem()
	for at := 0; at < of.NumMethod(); at++ {
		name := of.Method(at).Name
		all[name] = reflect.ValueOf(client).MethodByName(name).Call(nil)[0]
	}
	for name, isGlobal := range map[string]bool{"TopicPolicies": false, "GlobalTopicPolicies": true} {
		policies, err := pulsaradmin.TopicPoliciesOf(client, isGlobal)
		if err != nil {
			return nil, err
		}
		all[name] = reflect.ValueOf(policies)
	}
	return all, nil
}

func openAdmin(a adminArgs) (any, error) {
	client, err := pulsaradmin.NewClient(&pulsaradmin.Config{WebServiceURL: a.URL, AuthPlugin: a.AuthPlugin, AuthParams: a.AuthParams,
		TLSTrustCertsFilePath: a.TrustedFile})
	if err != nil {
		return nil, err
	}
	opened, err := partsOf(client)
	return map[string]any{"handle": keep(opened)}, err
}

// interfaceOf is what the library promises of a part: its methods, and none of what implements it.
func interfaceOf(name string) reflect.Type {
	if strings.HasSuffix(name, "TopicPolicies") {
		return reflect.TypeOf((*admin.TopicPolicies)(nil)).Elem()
	}
	method, _ := reflect.TypeOf((*admin.Client)(nil)).Elem().MethodByName(name)
	return method.Type.Out(0)
}

var errorType = reflect.TypeOf((*error)(nil)).Elem()

var contextType = reflect.TypeOf((*context.Context)(nil)).Elem()

// adminMethods lists every call as `Part.Method`, in order.
func adminMethods(a adminCallArgs) (any, error) {
	opened, err := held[parts](a.Handle)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for part := range opened {
		of := interfaceOf(part)
		for index := 0; index < of.NumMethod(); index++ {
			names = append(names, part+"."+of.Method(index).Name)
		}
	}
	sort.Strings(names)
	return names, nil
}

// adminCall answers {"value":…}, or {"refused":{"code":…,"reason":…}} where the server refused, or {"failed":…} where the library did.
func adminCall(a adminCallArgs) (any, error) {
	opened, err := held[parts](a.Handle)
	if err != nil {
		return nil, err
	}
	part, name, _ := strings.Cut(a.Call, ".")
	of, found := opened[part]
	if !found {
		return nil, fmt.Errorf("no such part: %s", part)
	}
	method := of.MethodByName(name)
	if !method.IsValid() {
		return nil, fmt.Errorf("no such call: %s", a.Call)
	}
	values, err := argumentsOf(method.Type(), a.Args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Call, err)
	}
	return answered(method.Call(values)), nil
}

func answered(outs []reflect.Value) any {
	values := []any{}
	for _, out := range outs {
		if out.Type() != errorType {
			values = append(values, shown(out))
			continue
		}
		err, _ := out.Interface().(error)
		if err == nil {
			continue
		}
		var refused rest.Error
		if errors.As(err, &refused) {
			return map[string]any{"refused": map[string]any{"code": refused.Code, "reason": refused.Reason}}
		}
		return map[string]any{"failed": err.Error()}
	}
	if len(values) == 1 {
		return map[string]any{"value": values[0]}
	}
	return map[string]any{"value": values}
}

// shown gives messages their fields, which the library keeps to itself.
func shown(value reflect.Value) any {
	switch typed := value.Interface().(type) {
	case *utils.Message:
		if typed == nil {
			return nil
		}
		return map[string]any{"id": typed.GetMessageID(), "properties": typed.GetProperties(), "payload": string(typed.Payload)}
	case []*utils.Message:
		all := []any{}
		for _, message := range typed {
			all = append(all, shown(reflect.ValueOf(message)))
		}
		return all
	}
	return value.Interface()
}

func argumentsOf(method reflect.Type, raw []json.RawMessage) ([]reflect.Value, error) {
	values := []reflect.Value{}
	for in, taken := 0, 0; in < method.NumIn() || taken < len(raw); in++ {
		of := method.In(min(in, method.NumIn()-1))
		isMore := method.IsVariadic() && in >= method.NumIn()-1
		if isMore {
			of = of.Elem()
		}
		if of == contextType {
			values = append(values, reflect.ValueOf(context.Background()))
			continue
		}
		if taken == len(raw) && isMore {
			break
		}
		if taken == len(raw) || (in >= method.NumIn() && !isMore) {
			return nil, fmt.Errorf("%d arguments for %s", len(raw), method)
		}
		value, err := argument(of, raw[taken])
		if err != nil {
			return nil, err
		}
		values, taken = append(values, value), taken+1
	}
	return values, nil
}

func argument(of reflect.Type, raw json.RawMessage) (reflect.Value, error) {
	if of.Kind() == reflect.Pointer {
		if string(raw) == "null" {
			return reflect.Zero(of), nil
		}
		inner, err := argument(of.Elem(), raw)
		if err != nil {
			return inner, err
		}
		pointer := reflect.New(of.Elem())
		pointer.Elem().Set(inner)
		return pointer, nil
	}
	var text string
	isText := json.Unmarshal(raw, &text) == nil
	switch {
	case of == reflect.TypeOf(utils.TopicName{}):
		name, err := utils.GetTopicName(text)
		return elem(name, err)
	case of == reflect.TypeOf(utils.NameSpaceName{}):
		name, err := utils.GetNamespaceName(text)
		return elem(name, err)
	case of == reflect.TypeOf(utils.MessageID{}) && isText:
		return messageID(text)
	}
	return decoded(of, raw)
}

// decoded takes fields that are kept out of JSON by their own names.
func decoded(of reflect.Type, raw json.RawMessage) (reflect.Value, error) {
	value := reflect.New(of)
	if of.Kind() == reflect.Struct {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &fields); err != nil {
			return value.Elem(), err
		}
		for index := 0; index < of.NumField(); index++ {
			field := of.Field(index)
			text, given := fields[field.Name]
			if field.Tag.Get("json") != "-" || !given {
				continue
			}
			if err := json.Unmarshal(text, value.Elem().Field(index).Addr().Interface()); err != nil {
				return value.Elem(), err
			}
			delete(fields, field.Name)
		}
		raw, _ = json.Marshal(fields)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	return value.Elem(), decoder.Decode(value.Interface())
}

func messageID(text string) (reflect.Value, error) {
	switch text {
	case "earliest":
		return reflect.ValueOf(utils.Earliest), nil
	case "latest":
		return reflect.ValueOf(utils.Latest), nil
	}
	id, err := utils.ParseMessageID(text)
	return elem(id, err)
}

func elem[T any](pointer *T, err error) (reflect.Value, error) {
	if err != nil {
		return reflect.Value{}, err
	}
	return reflect.ValueOf(pointer).Elem(), nil
}
