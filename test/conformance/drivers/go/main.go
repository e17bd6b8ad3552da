// The Go client (github.com/apache/pulsar-client-go) behind the drivers' line protocol: one JSON command a line on stdin, one JSON answer a
// line on stdout; see ../../README.md. Every command has its own goroutine, because most of the client's calls block.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
)

const clientVersion = "pulsar-client-go 0.19.0"

type request struct {
	ID   int             `json:"id"`
	Op   string          `json:"op"`
	Args json.RawMessage `json:"args"`
}

type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type reply struct {
	ID    int      `json:"id"`
	OK    any      `json:"ok"`
	Error *failure `json:"error,omitempty"`
}

type operation func(arguments json.RawMessage) (any, error)

var (
	handles    sync.Map
	nextHandle int
	handleLock sync.Mutex
	outputLock sync.Mutex
)

func keep(thing any) int {
	handleLock.Lock()
	defer handleLock.Unlock()
	nextHandle++
	handles.Store(nextHandle, thing)
	return nextHandle
}

func held[T any](number int) (T, error) {
	var none T
	thing, found := handles.Load(number)
	if !found {
		return none, fmt.Errorf("no handle %d", number)
	}
	typed, right := thing.(T)
	if !right {
		return none, fmt.Errorf("handle %d is a %T", number, thing)
	}
	return typed, nil
}

// on turns a typed function into an operation.
func on[A any](call func(A) (any, error)) operation {
	return func(raw json.RawMessage) (any, error) {
		var arguments A
		if err := json.Unmarshal(raw, &arguments); err != nil {
			return nil, err
		}
		return call(arguments)
	}
}

var serverError = regexp.MustCompile(`server error: (\w+)`)
var alone = regexp.MustCompile(`^[A-Z]\w+$`) // a lookup's refusal is its code and nothing else
var invalidName = regexp.MustCompile(`[Ii]nvalid (short )?topic`)
var named = regexp.MustCompile(`(\w+)$`)

// codeOf names a failure: the server's own code where the text holds one, else the client's result.
func codeOf(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "Timeout"
	}
	if found := serverError.FindStringSubmatch(err.Error()); found != nil {
		return found[1]
	}
	for _, known := range []struct {
		err  error
		code string
	}{
		{pulsar.ErrProducerClosed, "AlreadyClosed"}, {pulsar.ErrProducerFenced, "ProducerFenced"}, {pulsar.ErrTopicTerminated, "TopicTerminated"},
		{pulsar.ErrMessageTooLarge, "MessageTooBig"}, {pulsar.ErrSendTimeout, "Timeout"}, {pulsar.ErrTopicNotfound, "TopicNotFound"},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	if invalidName.MatchString(err.Error()) {
		return "InvalidTopicName"
	}
	if alone.MatchString(err.Error()) {
		return err.Error()
	}
	var typed *pulsar.Error
	if errors.As(err, &typed) {
		if typed.Result() == pulsar.TransactionCoordinatorNotEnabled {
			return "TransactionCoordinatorNotEnabled"
		}
		if found := named.FindStringSubmatch(err.Error()); found != nil {
			return found[1]
		}
	}
	return "Unknown"
}

func write(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	outputLock.Lock()
	defer outputLock.Unlock()
	_, _ = os.Stdout.Write(append(line, '\n'))
}

func answer(asked request) {
	out := reply{ID: asked.ID}
	defer func() {
		if fault := recover(); fault != nil {
			out.Error = &failure{Code: "DriverPanic", Message: fmt.Sprint(fault)}
		}
		write(out)
	}()
	call, found := operations[asked.Op]
	if !found {
		out.Error = &failure{Code: "NoSuchOperation", Message: asked.Op}
		return
	}
	result, err := call(asked.Args)
	if err != nil {
		out.Error = &failure{Code: codeOf(err), Message: err.Error()}
		return
	}
	out.OK = result
}

func milliseconds(value int) time.Duration { return time.Duration(value) * time.Millisecond }

func main() {
	write(map[string]string{"ready": clientVersion})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		go answer(asked)
	}
}
