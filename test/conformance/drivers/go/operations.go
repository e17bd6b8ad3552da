package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
	"github.com/apache/pulsar-client-go/pulsar/log"
)

var operations map[string]operation

func init() {
	operations = map[string]operation{
		"admin.open":              on(openAdmin),
		"admin.methods":           on(adminMethods),
		"admin.call":              on(adminCall),
		"client.create":           on(createClient),
		"client.close":            on(closeClient),
		"client.partitions":       on(partitions),
		"client.tableView":        on(tableView),
		"client.transaction":      on(beginTransaction),
		"producer.create":         on(createProducer),
		"producer.send":           on(send),
		"producer.sendMany":       on(sendMany),
		"producer.pour":           on(pour),
		"pouring.end":             on(endPouring),
		"producer.lastSequenceId": on(lastSequenceID),
		"producer.close":          on(closeProducer),
		"consumer.subscribe":      on(subscribe),
		"consumer.receive":        on(receive),
		"consumer.activeEvent":    on(activeEvent),
		"consumer.drain":          on(drain),
		"draining.counts":         on(countDrained),
		"draining.end":            on(endDraining),
		"consumer.ack":            onMessage(func(c pulsar.Consumer, m pulsar.Message) error { return c.Ack(m) }),
		"consumer.ackCumulative":  onMessage(func(c pulsar.Consumer, m pulsar.Message) error { return c.AckCumulative(m) }),
		"consumer.nack":           onMessage(func(c pulsar.Consumer, m pulsar.Message) error { c.Nack(m); return nil }),
		"consumer.ackId":          on(ackID),
		"consumer.ackList":        on(ackList),
		"consumer.reconsumeLater": on(reconsumeLater),
		"consumer.seek":           on(seekConsumer),
		"consumer.unsubscribe":    onConsumer(func(c pulsar.Consumer) error { return c.Unsubscribe() }),
		"consumer.close":          onConsumer(func(c pulsar.Consumer) error { c.Close(); return nil }),
		"consumer.lastMessageId":  on(lastMessageID),
		"reader.create":           on(createReader),
		"reader.next":             on(next),
		"reader.hasNext":          on(hasNext),
		"reader.seek":             on(seekReader),
		"reader.close":            on(closeReader),
	}
}

func loginOf(spec *loginSpec) (pulsar.Authentication, error) {
	if spec == nil {
		return nil, nil
	}
	switch spec.Kind {
	case "token":
		return pulsar.NewAuthenticationToken(spec.Token), nil
	case "basic":
		return pulsar.NewAuthenticationBasic(spec.User, spec.Password)
	}
	return pulsar.NewAuthenticationTLS(spec.Certificate, spec.Key), nil
}

func createClient(a clientArgs) (any, error) {
	options := pulsar.ClientOptions{URL: a.URL, ListenerName: a.ListenerName, EnableTransaction: a.Transactions, Logger: log.DefaultNopLogger()}
	options.TLSTrustCertsFilePath = a.TrustedFile
	var err error
	if options.Authentication, err = loginOf(a.Login); err != nil {
		return nil, err
	}
	if a.OperationTimeoutMs > 0 {
		options.OperationTimeout = milliseconds(a.OperationTimeoutMs)
	}
	client, err := pulsar.NewClient(options)
	if err != nil {
		return nil, err
	}
	return map[string]int{"handle": keep(client)}, nil
}

func closeClient(a handleArgs) (any, error) {
	client, err := held[pulsar.Client](a.Handle)
	if err == nil {
		client.Close()
	}
	return nil, err
}

func partitions(a handleArgs) (any, error) {
	client, err := held[pulsar.Client](a.Handle)
	if err != nil {
		return nil, err
	}
	return client.TopicPartitions(a.Topic)
}

func tableView(a readerArgs) (any, error) {
	client, err := held[pulsar.Client](a.Client)
	if err != nil {
		return nil, err
	}
	var text *string
	view, err := client.CreateTableView(pulsar.TableViewOptions{Topic: a.Topic, Schema: pulsar.NewStringSchema(nil), SchemaValueType: reflect.TypeOf(text)})
	if err != nil {
		return nil, err
	}
	defer view.Close()
	return view.Entries(), nil
}

func beginTransaction(a handleArgs) (any, error) {
	client, err := held[pulsar.Client](a.Handle)
	if err != nil {
		return nil, err
	}
	_, err = client.NewTransaction(time.Minute)
	return nil, err
}

func lastSequenceID(a handleArgs) (any, error) {
	producer, err := held[*producing](a.Handle)
	if err != nil {
		return nil, err
	}
	return producer.LastSequenceID(), nil
}

func closeProducer(a handleArgs) (any, error) {
	producer, err := held[*producing](a.Handle)
	if err == nil {
		producer.Close()
	}
	return nil, err
}

// receiver is a consumer or reader, and its messages by the reference the runner knows them by.
type receiver struct {
	consumer pulsar.Consumer
	reader   pulsar.Reader
	schema   *schemaSpec
	active   chan bool
	lock     sync.Mutex
	messages []pulsar.Message
}

func (r *receiver) keep(message pulsar.Message) int {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.messages = append(r.messages, message)
	return len(r.messages) - 1
}

func (r *receiver) message(ref int) pulsar.Message {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.messages[ref]
}

func (r *receiver) BecameActive(pulsar.Consumer, string, int32)   { r.active <- true }
func (r *receiver) BecameInactive(pulsar.Consumer, string, int32) { r.active <- false }

func onConsumer(call func(pulsar.Consumer) error) operation {
	return on(func(a handleArgs) (any, error) {
		r, err := held[*receiver](a.Handle)
		if err != nil {
			return nil, err
		}
		return nil, call(r.consumer)
	})
}

func onMessage(call func(pulsar.Consumer, pulsar.Message) error) operation {
	return on(func(a handleArgs) (any, error) {
		r, err := held[*receiver](a.Handle)
		if err != nil {
			return nil, err
		}
		return nil, call(r.consumer, r.message(a.Ref))
	})
}

func activeEvent(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	select {
	case active := <-r.active:
		return active, nil
	case <-time.After(milliseconds(a.TimeoutMs)):
		return nil, nil
	}
}

func ackID(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	id, err := idIn(a.ID)
	if err != nil {
		return nil, err
	}
	return nil, r.consumer.AckID(id)
}

func ackList(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	ids := make([]pulsar.MessageID, 0, len(a.Refs))
	for _, ref := range a.Refs {
		ids = append(ids, r.message(ref).ID())
	}
	return nil, r.consumer.AckIDList(ids)
}

func reconsumeLater(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err == nil {
		r.consumer.ReconsumeLater(r.message(a.Ref), milliseconds(a.DelayMs))
	}
	return nil, err
}

type seeker interface {
	Seek(pulsar.MessageID) error
	SeekByTime(time.Time) error
}

func seek(on seeker, a handleArgs) (any, error) {
	if a.ID == "" {
		return nil, on.SeekByTime(time.UnixMilli(a.Time))
	}
	id, err := seekTarget(a.ID)
	if err != nil {
		return nil, err
	}
	return nil, on.Seek(id)
}

// seekTarget is an id that names its partition: Seek takes none that does not.
func seekTarget(text string) (pulsar.MessageID, error) {
	switch text {
	case "earliest":
		return pulsar.NewMessageID(-1, -1, -1, 0), nil
	case "latest":
		return pulsar.NewMessageID(math.MaxInt64, math.MaxInt64, -1, 0), nil
	}
	return idIn(text)
}

func seekConsumer(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	return seek(r.consumer, a)
}

func seekReader(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	return seek(r.reader, a)
}

func lastMessageID(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	ids, err := r.consumer.GetLastMessageIDs()
	if err != nil {
		return nil, err
	}
	if len(ids) != 1 {
		return nil, fmt.Errorf("%d last message ids", len(ids))
	}
	return idFrom(ids[0]), nil
}

func receive(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	return r.within(a.TimeoutMs, r.consumer.Receive)
}

func next(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	return r.within(a.TimeoutMs, r.reader.Next)
}

func (r *receiver) within(timeoutMs int, call func(context.Context) (pulsar.Message, error)) (any, error) {
	limit, cancel := context.WithTimeout(context.Background(), milliseconds(timeoutMs))
	defer cancel()
	message, err := call(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.out(message)
}

func hasNext(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err != nil {
		return nil, err
	}
	return r.reader.HasNext(), nil
}

func closeReader(a handleArgs) (any, error) {
	r, err := held[*receiver](a.Handle)
	if err == nil {
		r.reader.Close()
	}
	return nil, err
}

func idIn(text string) (pulsar.MessageID, error) {
	switch text {
	case "earliest":
		return pulsar.EarliestMessageID(), nil
	case "latest":
		return pulsar.LatestMessageID(), nil
	}
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return pulsar.DeserializeMessageID(bytes)
}

func idFrom(id pulsar.MessageID) idOut {
	return idOut{Ledger: id.LedgerID(), Entry: id.EntryID(), Batch: id.BatchIdx(), Partition: id.PartitionIdx(), Bytes: id.Serialize()}
}
