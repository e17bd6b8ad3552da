package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/apache/pulsar-client-go/pulsar"
)

// producing is a producer and the schema that its values follow.
type producing struct {
	pulsar.Producer
	schema *schemaSpec
}

var compressions = map[string]pulsar.CompressionType{"": pulsar.NoCompression, "NONE": pulsar.NoCompression, "LZ4": pulsar.LZ4, "ZLIB": pulsar.ZLib, "ZSTD": pulsar.ZSTD, "SNAPPY": pulsar.SNAPPY}
var accessModes = map[string]pulsar.ProducerAccessMode{"": pulsar.ProducerAccessModeShared, "Shared": pulsar.ProducerAccessModeShared, "Exclusive": pulsar.ProducerAccessModeExclusive, "WaitForExclusive": pulsar.ProducerAccessModeWaitForExclusive}
var types = map[string]pulsar.SubscriptionType{"": pulsar.Exclusive, "Exclusive": pulsar.Exclusive, "Failover": pulsar.Failover, "Shared": pulsar.Shared, "Key_Shared": pulsar.KeyShared}

func schemaOf(spec *schemaSpec) (pulsar.Schema, error) {
	if spec == nil {
		return nil, nil
	}
	switch spec.Type {
	case "STRING":
		return pulsar.NewStringSchema(nil), nil
	case "JSON":
		return pulsar.NewJSONSchema(spec.Definition, nil), nil
	case "AVRO":
		return pulsar.NewAvroSchema(spec.Definition, nil), nil
	}
	return nil, fmt.Errorf("no such schema in this driver: %s", spec.Type)
}

func createProducer(a producerArgs) (any, error) {
	client, err := held[pulsar.Client](a.Client)
	if err != nil {
		return nil, err
	}
	mode, known := accessModes[a.AccessMode]
	compression, also := compressions[a.Compression]
	if !known || !also {
		return nil, fmt.Errorf("not in this client: %s %s", a.AccessMode, a.Compression)
	}
	schema, err := schemaOf(a.Schema)
	if err != nil {
		return nil, err
	}
	options := pulsar.ProducerOptions{Topic: a.Topic, Name: a.Name, ProducerAccessMode: mode, CompressionType: compression, EnableChunking: a.Chunking,
		Schema: schema, Properties: a.Properties, DisableBatching: a.Batching == nil, SendTimeout: milliseconds(a.SendTimeoutMs)}
	if a.Batching != nil {
		options.BatchingMaxMessages = a.Batching.MaxMessages
		options.BatchingMaxPublishDelay = milliseconds(a.Batching.MaxDelayMs)
		if a.Batching.KeyBased {
			options.BatcherBuilderType = pulsar.KeyBasedBatchBuilder
		}
	}
	if a.Routing == "Single" {
		options.MessageRouter = pulsar.NewSinglePartitionRouter()
	}
	producer, err := client.CreateProducer(options)
	if err != nil {
		return nil, err
	}
	return map[string]any{"handle": keep(&producing{producer, a.Schema}), "name": producer.Name()}, nil
}

func (p *producing) message(spec messageSpec) *pulsar.ProducerMessage {
	out := &pulsar.ProducerMessage{Payload: spec.Data, Key: spec.Key, OrderingKey: spec.OrderingKey, Properties: spec.Properties, SequenceID: spec.SequenceID,
		DeliverAfter: milliseconds(spec.DeliverAfterMs)}
	if spec.Value != nil {
		out.Payload, out.Value = nil, whole(spec.Value)
	}
	if spec.EventTime != 0 {
		out.EventTime = time.UnixMilli(spec.EventTime)
	}
	return out
}

// whole turns what JSON made a float into the integer that it was: Avro takes no float for an int.
func whole(value any) any {
	switch typed := value.(type) {
	case float64:
		if typed == math.Trunc(typed) {
			return int(typed)
		}
	case map[string]any:
		for name, field := range typed {
			typed[name] = whole(field)
		}
	}
	return value
}

func send(a handleArgs) (any, error) {
	producer, err := held[*producing](a.Handle)
	if err != nil {
		return nil, err
	}
	id, err := producer.Send(context.Background(), producer.message(a.Message))
	if err != nil {
		return nil, err
	}
	return idFrom(id), nil
}

type receipt struct {
	Index int   `json:"index"`
	ID    idOut `json:"id"`
}

func sendMany(a handleArgs) (any, error) {
	producer, err := held[*producing](a.Handle)
	if err != nil {
		return nil, err
	}
	var lock sync.Mutex
	var waiting sync.WaitGroup
	var failed error
	receipts := []receipt{}
	for index, spec := range a.Messages {
		waiting.Add(1)
		producer.SendAsync(context.Background(), producer.message(spec), func(id pulsar.MessageID, _ *pulsar.ProducerMessage, err error) {
			defer waiting.Done()
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				failed = err
				return
			}
			receipts = append(receipts, receipt{index, idFrom(id)})
		})
	}
	_ = producer.Flush()
	waiting.Wait()
	return receipts, failed
}

func subscribe(a consumerArgs) (any, error) {
	client, err := held[pulsar.Client](a.Client)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(a.Schema)
	if err != nil {
		return nil, err
	}
	r := &receiver{schema: a.Schema, active: make(chan bool, 64)}
	options := pulsar.ConsumerOptions{Topic: a.Topic, Topics: a.Topics, TopicsPattern: a.Pattern, SubscriptionName: a.Subscription, Type: types[a.Type],
		Name: a.Name, ReceiverQueueSize: a.QueueSize, Properties: a.Properties, SubscriptionProperties: a.SubscriptionProperties, Schema: schema,
		EnableBatchIndexAcknowledgment: a.BatchIndexAck, AckWithResponse: a.AckReceipt, ReadCompacted: a.ReadCompacted, StartMessageIDInclusive: a.Inclusive,
		RetryEnable: a.Retry, AutoDiscoveryPeriod: milliseconds(a.DiscoveryMs), NackRedeliveryDelay: milliseconds(a.NackDelayMs)}
	if a.Position == "Earliest" {
		options.SubscriptionInitialPosition = pulsar.SubscriptionPositionEarliest
	}
	if a.Durable != nil && !*a.Durable {
		options.SubscriptionMode = pulsar.NonDurable
	}
	if a.DeadLetter != nil {
		options.DLQ = &pulsar.DLQPolicy{MaxDeliveries: a.DeadLetter.MaxRedeliveries, DeadLetterTopic: a.DeadLetter.Topic, InitialSubscriptionName: a.DeadLetter.InitialSubscription}
	}
	if a.WatchActive {
		options.EventListener = r
	}
	if a.KeyShared != nil {
		options.KeySharedPolicy, err = keySharedOf(a.KeyShared)
		if err != nil {
			return nil, err
		}
	}
	if r.consumer, err = client.Subscribe(options); err != nil {
		return nil, err
	}
	return map[string]int{"handle": keep(r)}, nil
}

func keySharedOf(spec *keySharedSpec) (*pulsar.KeySharedPolicy, error) {
	if len(spec.Ranges) == 0 {
		return &pulsar.KeySharedPolicy{Mode: pulsar.KeySharedPolicyModeAutoSplit, AllowOutOfOrderDelivery: spec.AllowOutOfOrder}, nil
	}
	flat := make([]int, 0, 2*len(spec.Ranges))
	for _, r := range spec.Ranges {
		flat = append(flat, r[0], r[1])
	}
	return pulsar.NewKeySharedPolicySticky(flat)
}

func createReader(a readerArgs) (any, error) {
	client, err := held[pulsar.Client](a.Client)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(a.Schema)
	if err != nil {
		return nil, err
	}
	start, err := idIn(a.Start)
	if err != nil {
		return nil, err
	}
	r := &receiver{schema: a.Schema}
	r.reader, err = client.CreateReader(pulsar.ReaderOptions{Topic: a.Topic, StartMessageID: start, StartMessageIDInclusive: a.Inclusive, Name: a.Name,
		SubscriptionName: a.Subscription, ReceiverQueueSize: a.QueueSize, ReadCompacted: a.ReadCompacted, Schema: schema})
	if err != nil {
		return nil, err
	}
	return map[string]int{"handle": keep(r)}, nil
}

func (r *receiver) out(message pulsar.Message) (any, error) {
	out := messageOut{Ref: r.keep(message), ID: idFrom(message.ID()), Topic: message.Topic(), Properties: message.Properties(), Key: message.Key(),
		OrderingKey: message.OrderingKey(), PublishTime: message.PublishTime().UnixMilli(), RedeliveryCount: message.RedeliveryCount(),
		ProducerName: message.ProducerName(), Data: message.Payload(), Index: message.Index()}
	if message.EventTime().UnixMilli() > 0 {
		out.EventTime = message.EventTime().UnixMilli()
	}
	if at := message.BrokerPublishTime(); at != nil {
		stamp := at.UnixMilli()
		out.BrokerPublishTime = &stamp
	}
	if r.schema == nil {
		return out, nil
	}
	if r.schema.Type == "STRING" {
		var text *string
		err := message.GetSchemaValue(&text)
		out.Value = text
		return out, err
	}
	value := map[string]any{}
	err := message.GetSchemaValue(&value)
	out.Value = value
	return out, err
}
