package main

type schemaSpec struct {
	Type       string `json:"type"`
	Record     string `json:"record"`
	Definition string `json:"definition"`
}

type loginSpec struct {
	Kind        string `json:"kind"`
	Token       string `json:"token"`
	User        string `json:"user"`
	Password    string `json:"password"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

type clientArgs struct {
	Login              *loginSpec `json:"login"`
	TrustedFile        string     `json:"trustedFile"`
	URL                string     `json:"url"`
	OperationTimeoutMs int        `json:"operationTimeoutMs"`
	ListenerName       string     `json:"listenerName"`
	Transactions       bool       `json:"transactions"`
}

type batchingSpec struct {
	MaxMessages uint `json:"maxMessages"`
	MaxDelayMs  int  `json:"maxDelayMs"`
	KeyBased    bool `json:"keyBased"`
}

type producerArgs struct {
	Client        int               `json:"client"`
	Topic         string            `json:"topic"`
	Name          string            `json:"name"`
	AccessMode    string            `json:"accessMode"`
	Batching      *batchingSpec     `json:"batching"`
	Compression   string            `json:"compression"`
	Chunking      bool              `json:"chunking"`
	Routing       string            `json:"routing"`
	Schema        *schemaSpec       `json:"schema"`
	SendTimeoutMs int               `json:"sendTimeoutMs"`
	Properties    map[string]string `json:"properties"`
}

type messageSpec struct {
	Data           []byte            `json:"data"`
	Value          any               `json:"value"`
	Key            string            `json:"key"`
	OrderingKey    string            `json:"orderingKey"`
	Properties     map[string]string `json:"properties"`
	EventTime      int64             `json:"eventTime"`
	SequenceID     *int64            `json:"sequenceId"`
	DeliverAfterMs int               `json:"deliverAfterMs"`
}

type deadLetterSpec struct {
	MaxRedeliveries     uint32 `json:"maxRedeliveries"`
	Topic               string `json:"topic"`
	InitialSubscription string `json:"initialSubscription"`
}

type keySharedSpec struct {
	Ranges          [][2]int `json:"ranges"`
	AllowOutOfOrder bool     `json:"allowOutOfOrder"`
}

type consumerArgs struct {
	Client                 int               `json:"client"`
	Topic                  string            `json:"topic"`
	Topics                 []string          `json:"topics"`
	Pattern                string            `json:"pattern"`
	Subscription           string            `json:"subscription"`
	Type                   string            `json:"type"`
	Position               string            `json:"position"`
	Name                   string            `json:"name"`
	QueueSize              int               `json:"queueSize"`
	NackDelayMs            int               `json:"nackDelayMs"`
	DeadLetter             *deadLetterSpec   `json:"deadLetter"`
	Retry                  bool              `json:"retry"`
	KeyShared              *keySharedSpec    `json:"keyShared"`
	Properties             map[string]string `json:"properties"`
	SubscriptionProperties map[string]string `json:"subscriptionProperties"`
	Durable                *bool             `json:"durable"`
	BatchIndexAck          bool              `json:"batchIndexAck"`
	AckReceipt             bool              `json:"ackReceipt"`
	ReadCompacted          bool              `json:"readCompacted"`
	Schema                 *schemaSpec       `json:"schema"`
	DiscoveryMs            int               `json:"discoveryMs"`
	Inclusive              bool              `json:"inclusive"`
	WatchActive            bool              `json:"watchActive"`
}

type readerArgs struct {
	Client        int         `json:"client"`
	Topic         string      `json:"topic"`
	Start         string      `json:"start"`
	Inclusive     bool        `json:"inclusive"`
	Name          string      `json:"name"`
	Subscription  string      `json:"subscription"`
	QueueSize     int         `json:"queueSize"`
	ReadCompacted bool        `json:"readCompacted"`
	Schema        *schemaSpec `json:"schema"`
}

type handleArgs struct {
	Handle    int           `json:"handle"`
	Ref       int           `json:"ref"`
	Refs      []int         `json:"refs"`
	ID        string        `json:"id"`
	Time      int64         `json:"time"`
	TimeoutMs int           `json:"timeoutMs"`
	DelayMs   int           `json:"delayMs"`
	Topic     string        `json:"topic"`
	Message   messageSpec   `json:"message"`
	Messages  []messageSpec `json:"messages"`
}

type idOut struct {
	Ledger    int64  `json:"ledger"`
	Entry     int64  `json:"entry"`
	Batch     int32  `json:"batch"`
	Partition int32  `json:"partition"`
	Bytes     []byte `json:"bytes"`
}

type messageOut struct {
	Ref               int               `json:"ref"`
	ID                idOut             `json:"id"`
	Topic             string            `json:"topic"`
	Properties        map[string]string `json:"properties"`
	Key               string            `json:"key"`
	OrderingKey       string            `json:"orderingKey"`
	EventTime         int64             `json:"eventTime"`
	PublishTime       int64             `json:"publishTime"`
	RedeliveryCount   uint32            `json:"redeliveryCount"`
	ProducerName      string            `json:"producerName"`
	Data              []byte            `json:"data"`
	Value             any               `json:"value,omitempty"`
	Index             *uint64           `json:"index,omitempty"`
	BrokerPublishTime *int64            `json:"brokerPublishTime,omitempty"`
}
