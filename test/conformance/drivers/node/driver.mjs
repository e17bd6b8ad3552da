// Apache's Node client (npm `pulsar-client`) behind the drivers' line protocol; see ../../README.md.
import { createInterface } from 'node:readline'
import Pulsar from 'pulsar-client'

const TYPES = { Exclusive: 'Exclusive', Failover: 'Failover', Shared: 'Shared', Key_Shared: 'KeyShared' }
const COMPRESSION = { LZ4: 'LZ4', ZLIB: 'Zlib', ZSTD: 'ZSTD', SNAPPY: 'SNAPPY' }
const SCHEMAS = { STRING: 'String', JSON: 'Json', INT32: 'Int32' }

const handles = new Map()

function keep(thing) {
  handles.set(handles.size + 1, thing)
  return handles.size
}

/** The options that are given, under the library's names. */
function given(options) {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function schemaOf(spec) {
  return spec === undefined
    ? undefined
    : { schemaType: SCHEMAS[spec.type], name: 'schema', schema: spec.definition ?? '' }
}

/** The library shows an id as text only: (ledger,entry,partition,batch). */
function idOut(id) {
  const [ledger = -1, entry = -1, partition = -1, batch = -1] = (id.toString().match(/-?\d+/g) ?? []).map(Number)
  return { ledger, entry, partition, batch, bytes: id.serialize().toString('base64') }
}

function idIn(text) {
  if (text === 'earliest') return Pulsar.MessageId.earliest()
  if (text === 'latest') return Pulsar.MessageId.latest()
  return Pulsar.MessageId.deserialize(Buffer.from(text, 'base64'))
}

function encode(schema, { data, value }) {
  if (data !== undefined) return Buffer.from(data, 'base64')
  if (schema?.type === 'JSON') return Buffer.from(JSON.stringify(value))
  if (schema?.type !== 'INT32') return Buffer.from(String(value))
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function decode(schema, data) {
  if (schema.type === 'JSON') return JSON.parse(data.toString())
  return schema.type === 'INT32' ? data.readInt32BE(0) : data.toString()
}

function outgoing(schema, message) {
  return given({
    data: encode(schema, message),
    partitionKey: message.key,
    orderingKey: message.orderingKey,
    properties: message.properties,
    eventTimestamp: message.eventTime,
    sequenceId: message.sequenceId,
    deliverAfter: message.deliverAfterMs
  })
}

async function createProducer(a) {
  const inner = await handles.get(a.client).createProducer(
    given({
      topic: a.topic,
      producerName: a.name,
      accessMode: a.accessMode,
      sendTimeoutMs: a.sendTimeoutMs,
      initialSequenceId: a.initialSequenceId,
      properties: a.properties,
      compressionType: COMPRESSION[a.compression],
      chunkingEnabled: a.chunking,
      messageRoutingMode:
        a.routing && { Single: 'UseSinglePartition', RoundRobin: 'RoundRobinDistribution' }[a.routing],
      schema: schemaOf(a.schema),
      blockIfQueueFull: true,
      batchingEnabled: a.batching !== undefined,
      batchingMaxMessages: a.batching?.maxMessages,
      batchingMaxPublishDelayMs: a.batching?.maxDelayMs,
      batchingType: a.batching?.keyBased ? 'KeyBasedBatching' : undefined
    })
  )
  return { handle: keep({ inner, schema: a.schema }), name: inner.getProducerName() }
}

async function sendMany({ inner, schema }, messages) {
  const receipts = []
  const sending = messages.map(async (message, index) => {
    receipts.push({ index, id: idOut(await inner.send(outgoing(schema, message))) })
  })
  const all = Promise.all(sending)
  await inner.flush()
  await all
  return receipts
}

async function subscribe(a) {
  const ranges = a.keyShared?.ranges
  const inner = await handles.get(a.client).subscribe(
    given({
      topic: a.topic,
      topics: a.topics,
      topicsPattern: a.pattern,
      subscription: a.subscription,
      subscriptionType: TYPES[a.type ?? 'Exclusive'],
      subscriptionInitialPosition: a.position,
      consumerName: a.name,
      receiverQueueSize: a.queueSize,
      ackTimeoutMs: a.ackTimeoutMs,
      nAckRedeliverTimeoutMs: a.nackDelayMs,
      properties: a.properties,
      readCompacted: a.readCompacted,
      batchIndexAckEnabled: a.batchIndexAck,
      schema: schemaOf(a.schema),
      deadLetterPolicy: a.deadLetter && {
        deadLetterTopic: a.deadLetter.topic,
        maxRedeliverCount: a.deadLetter.maxRedeliveries
      },
      keySharedPolicy: ranges && {
        keyShareMode: 'Sticky',
        stickyRanges: ranges.map(([start, end]) => ({ start, end }))
      }
    })
  )
  return { handle: keep({ inner, schema: a.schema, messages: [] }) }
}

async function createReader(a) {
  const inner = await handles.get(a.client).createReader(
    given({
      topic: a.topic,
      startMessageId: idIn(a.start),
      readerName: a.name,
      receiverQueueSize: a.queueSize,
      readCompacted: a.readCompacted
    })
  )
  return { handle: keep({ inner, schema: a.schema, messages: [] }) }
}

async function receive(receiver, call) {
  let message
  try {
    message = await call()
  } catch (error) {
    if (/time ?out/i.test(error.message)) return null
    throw error
  }
  receiver.messages.push(message)
  return {
    ref: receiver.messages.length - 1,
    id: idOut(message.getMessageId()),
    topic: message.getTopicName(),
    properties: message.getProperties(),
    key: message.getPartitionKey(),
    orderingKey: message.getOrderingKey(),
    eventTime: message.getEventTimestamp(),
    publishTime: message.getPublishTimestamp(),
    redeliveryCount: message.getRedeliveryCount(),
    producerName: message.getProducerName(),
    data: message.getData().toString('base64'),
    ...(receiver.schema && { value: decode(receiver.schema, message.getData()) })
  }
}

const inner = a => handles.get(a.handle).inner
const message = a => handles.get(a.handle).messages[a.ref]
const seek = a => (a.id === undefined ? inner(a).seekTimestamp(a.time) : inner(a).seek(idIn(a.id)))

const operations = {
  'client.create': a => {
    const operationTimeoutSeconds = Math.ceil((a.operationTimeoutMs ?? 30_000) / 1000)
    return {
      handle: keep(
        new Pulsar.Client(given({ serviceUrl: a.url, operationTimeoutSeconds, listenerName: a.listenerName }))
      )
    }
  },
  'client.close': a => handles.get(a.handle).close(),
  'client.partitions': a => handles.get(a.handle).getPartitionsForTopic(a.topic),
  'producer.create': createProducer,
  'producer.send': async a => {
    const producer = handles.get(a.handle)
    return idOut(await producer.inner.send(outgoing(producer.schema, a.message)))
  },
  'producer.sendMany': a => sendMany(handles.get(a.handle), a.messages),
  'producer.close': a => inner(a).close(),
  'consumer.subscribe': subscribe,
  'consumer.receive': a => receive(handles.get(a.handle), () => inner(a).receive(a.timeoutMs)),
  'consumer.ack': a => inner(a).acknowledge(message(a)),
  'consumer.ackId': a => inner(a).acknowledgeId(idIn(a.id)),
  'consumer.ackCumulative': a => inner(a).acknowledgeCumulative(message(a)),
  'consumer.nack': a => inner(a).negativeAcknowledge(message(a)),
  'consumer.seek': seek,
  'consumer.unsubscribe': a => inner(a).unsubscribe(),
  'consumer.close': a => inner(a).close(),
  'reader.create': createReader,
  'reader.next': a => receive(handles.get(a.handle), () => inner(a).readNext(a.timeoutMs)),
  'reader.hasNext': a => inner(a).hasNext(),
  'reader.seek': seek,
  'reader.close': a => inner(a).close()
}

async function answer({ id, op, args }) {
  try {
    return { id, ok: (await operations[op](args)) ?? null }
  } catch (error) {
    // the library's errors are texts that end in libpulsar's name of the result
    const code = /(\w+)\s*$/.exec(error.message)?.[1] ?? 'Unknown'
    return { id, error: { code, message: error.message } }
  }
}

const write = line => process.stdout.write(`${JSON.stringify(line)}\n`)

Pulsar.Client.setLogHandler(() => undefined) // nothing else may write into our answers
write({ ready: 'pulsar-client (Node)' })
const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
lines.on('line', line => void answer(JSON.parse(line)).then(write))
lines.on('close', () => process.exit(0))
