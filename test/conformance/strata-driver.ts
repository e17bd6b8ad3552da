// Our own client behind the drivers' line protocol: a process like the foreign ones, so that it is measured by the same table.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import {
  clientErrors,
  MessageId,
  PulsarClient,
  type AccessMode,
  type Compression,
  type Consumer,
  type ConsumerOptions,
  type Message,
  type Producer,
  type ProducerMessage,
  type ProducerOptions,
  type Reader,
  type SchemaInfo,
  type SubscriptionType
} from '@strata/client'
import { Schema_Type } from '@strata/wire'
import type * as runner from './client.ts'

interface Arguments {
  readonly handle: number
  readonly client: number
  readonly topic: string
  readonly ref: number
  readonly refs: readonly number[]
  readonly id?: string
  readonly time: number
  readonly timeoutMs: number
  readonly delayMs: number
  readonly message: Outgoing
  readonly messages: readonly Outgoing[]
}

type SubscribeArguments = runner.ConsumerOptions & {
  readonly client: number
  readonly topic?: string
  readonly topics?: readonly string[]
  readonly pattern?: string
  readonly subscription: string
}

interface Outgoing {
  readonly data?: string
  readonly value?: unknown
  readonly key?: string
  readonly orderingKey?: string
  readonly properties?: Readonly<Record<string, string>>
  readonly eventTime?: number
  readonly sequenceId?: number
  readonly deliverAfterMs?: number
}

interface Held<Inner> {
  readonly inner: Inner
  readonly schema: runner.SchemaSpec | undefined
  readonly messages: Message[]
  readonly active: { events: boolean[]; wake: () => void }
}

const TYPES: Readonly<Record<runner.SubscriptionType, SubscriptionType>> = {
  Exclusive: 'exclusive',
  Failover: 'failover',
  Shared: 'shared',
  Key_Shared: 'key-shared'
}

const ACCESS: Readonly<Record<runner.AccessMode, AccessMode>> = {
  Shared: 'shared',
  Exclusive: 'exclusive',
  WaitForExclusive: 'wait-for-exclusive',
  ExclusiveWithFencing: 'exclusive-with-fencing'
}

const SCHEMAS = { STRING: Schema_Type.String, JSON: Schema_Type.Json, AVRO: Schema_Type.Avro, INT32: Schema_Type.Int32 }

/** Client error → the name that the table knows. */
const CODES: Readonly<Record<string, string>> = {
  ALREADY_CLOSED: 'AlreadyClosed',
  CONSUMER_ASSIGN_FAILED: 'ConsumerAssignError',
  CONSUMER_BUSY: 'ConsumerBusy',
  INCOMPATIBLE_SCHEMA: 'IncompatibleSchema',
  INVALID_OPTIONS: 'InvalidConfiguration',
  INVALID_TOPIC: 'InvalidTopicName',
  MESSAGE_TOO_BIG: 'MessageTooBig',
  METADATA_ERROR: 'MetadataError',
  NOT_ALLOWED: 'NotAllowedError',
  PRODUCER_BUSY: 'ProducerBusy',
  PRODUCER_FENCED: 'ProducerFenced',
  SUBSCRIPTION_NOT_FOUND: 'SubscriptionNotFound',
  TIMEOUT: 'Timeout',
  TOPIC_NOT_FOUND: 'TopicNotFound',
  TOPIC_TERMINATED: 'TopicTerminated',
  UNKNOWN_SERVER_ERROR: 'UnknownError'
}

const handles = new Map<number, unknown>()

function keep(thing: unknown): number {
  handles.set(handles.size + 1, thing)
  return handles.size
}

/** The runner knows what it made: a handle is of the type that the operation is for. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- a cast by another name, said once
function held<T>(handle: number): T {
  const thing = handles.get(handle)
  if (thing === undefined) throw new Error(`no handle ${handle}`)
  return thing as T
}

function schemaOf(spec: runner.SchemaSpec | undefined): { schema: SchemaInfo } | Record<string, never> {
  if (spec === undefined || spec.type === 'AUTO_CONSUME') return {}
  return { schema: { name: 'schema', type: SCHEMAS[spec.type], data: Buffer.from(spec.definition ?? '') } }
}

function idOut(id: MessageId): runner.Id {
  const { ledgerId: ledger, entryId: entry, batchIndex: batch, partition } = id
  return { ledger, entry, batch, partition, bytes: id.serialize().toString('base64') }
}

function idIn(text: string): MessageId {
  if (text === 'earliest') return MessageId.earliest
  if (text === 'latest') return MessageId.latest
  return MessageId.deserialize(Buffer.from(text, 'base64'))
}

function encode(schema: runner.SchemaSpec | undefined, { data, value }: Outgoing): Buffer {
  if (data !== undefined) return Buffer.from(data, 'base64')
  if (schema?.type === 'JSON') return Buffer.from(JSON.stringify(value))
  if (schema?.type !== 'INT32') return Buffer.from(String(value))
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(Number(value))
  return bytes
}

function decode(schema: runner.SchemaSpec, { data }: Message): unknown {
  if (schema.type === 'JSON') return JSON.parse(data.toString())
  return schema.type === 'INT32' ? data.readInt32BE(0) : data.toString()
}

function messageOf(schema: runner.SchemaSpec | undefined, out: Outgoing): ProducerMessage {
  return {
    data: encode(schema, out),
    ...(out.key === undefined ? {} : { key: out.key }),
    ...(out.orderingKey === undefined ? {} : { orderingKey: Buffer.from(out.orderingKey) }),
    ...(out.properties === undefined ? {} : { properties: out.properties }),
    ...(out.eventTime === undefined ? {} : { eventTimeMs: out.eventTime }),
    ...(out.sequenceId === undefined ? {} : { sequenceId: BigInt(out.sequenceId) }),
    ...(out.deliverAfterMs === undefined ? {} : { deliverAfterMs: out.deliverAfterMs })
  }
}

function messageOut(receiver: Held<unknown>, message: Message): object {
  receiver.messages.push(message)
  return {
    ref: receiver.messages.length - 1,
    id: idOut(message.id),
    topic: message.topic,
    properties: message.properties,
    key: message.key ?? '',
    orderingKey: message.orderingKey?.toString() ?? '',
    eventTime: message.eventTimeMs,
    publishTime: message.publishTimeMs,
    redeliveryCount: message.redeliveryCount,
    producerName: message.producerName,
    data: message.data.toString('base64'),
    index: message.index,
    brokerPublishTime: message.brokerPublishTimeMs,
    ...(receiver.schema === undefined ? {} : { value: decode(receiver.schema, message) })
  }
}

async function orNothing(receiver: Held<unknown>, receiving: Promise<Message>): Promise<object | null> {
  try {
    return messageOut(receiver, await receiving)
  } catch (error) {
    if (clientErrors.is(error, 'TIMEOUT')) return null
    throw error
  }
}

async function createProducer(a: runner.ProducerOptions & { client: number; topic: string }): Promise<object> {
  const options: ProducerOptions = {
    topic: a.topic,
    blockIfQueueFull: true,
    accessMode: ACCESS[a.accessMode ?? 'Shared'],
    compression: (a.compression ?? 'NONE').toLowerCase() as Compression,
    chunking: a.chunking ?? false,
    batching:
      a.batching === undefined
        ? { enabled: false }
        : {
            messagesMax: a.batching.maxMessages,
            delayMaxMs: a.batching.maxDelayMs,
            byKey: a.batching.keyBased ?? false
          },
    routing: a.routing === 'Single' ? 'single-partition' : 'round-robin',
    ...(a.name === undefined ? {} : { name: a.name }),
    ...(a.properties === undefined ? {} : { properties: a.properties }),
    ...(a.sendTimeoutMs === undefined ? {} : { sendTimeoutMs: a.sendTimeoutMs }),
    ...(a.initialSequenceId === undefined ? {} : { initialSequenceId: a.initialSequenceId }),
    ...schemaOf(a.schema)
  }
  const inner = await held<PulsarClient>(a.client).createProducer(options)
  return { handle: keep(holding(inner, a.schema)), name: inner.name }
}

function holding<Inner>(inner: Inner, schema: runner.SchemaSpec | undefined): Held<Inner> {
  return { inner, schema, messages: [], active: { events: [], wake: () => undefined } }
}

async function sendMany({ inner, schema }: Held<Producer>, messages: readonly Outgoing[]): Promise<object[]> {
  const receipts: object[] = []
  const failures: unknown[] = []
  messages.forEach((message, index) => {
    inner.sendNoWait(messageOf(schema, message), (error, id) => {
      if (id === undefined) failures.push(error)
      else receipts.push({ index, id: idOut(id) })
    })
  })
  await inner.flush()
  if (failures.length > 0) throw failures[0]
  return receipts
}

const OPTION_NAMES = {
  name: 'name',
  queueSize: 'receiverQueueSize',
  ackTimeoutMs: 'ackTimeoutMs',
  nackDelayMs: 'negativeAckDelayMs',
  properties: 'properties',
  subscriptionProperties: 'subscriptionProperties',
  priority: 'priority',
  batchIndexAck: 'batchIndexAcks',
  ackReceipt: 'ackReceipts',
  readCompacted: 'readCompacted',
  retry: 'retryEnabled',
  inclusive: 'isStartInclusive',
  topic: 'topic',
  topics: 'topics',
  pattern: 'topicsPattern'
} as const satisfies Partial<Record<keyof SubscribeArguments, keyof ConsumerOptions>>

async function subscribe(a: SubscribeArguments): Promise<object> {
  const named: Record<string, unknown> = {}
  for (const [theirs, ours] of Object.entries(OPTION_NAMES)) {
    const value = a[theirs as keyof typeof OPTION_NAMES]
    if (value !== undefined) named[ours] = value
  }
  const ranges = a.keyShared?.ranges
  const receiver: { active: Held<Consumer>['active'] } = { active: { events: [], wake: () => undefined } }
  const options: ConsumerOptions = {
    ...named,
    subscription: a.subscription,
    type: TYPES[a.type ?? 'Exclusive'],
    initialPosition: a.position === 'Earliest' ? 'earliest' : 'latest',
    isNonDurable: a.durable === false,
    ...(ranges === undefined ? {} : { stickyRanges: ranges.map(([start, end]) => ({ start, end })) }),
    ...(a.deadLetter === undefined ? {} : { deadLetter: deadLetterOf(a.deadLetter) }),
    ...schemaOf(a.schema),
    onActiveChange: isActive => {
      receiver.active.events.push(isActive)
      receiver.active.wake()
    }
  }
  const inner = await held<PulsarClient>(a.client).subscribe(options)
  return { handle: keep({ ...holding(inner, a.schema), active: receiver.active }) }
}

function deadLetterOf(
  spec: NonNullable<runner.ConsumerOptions['deadLetter']>
): NonNullable<ConsumerOptions['deadLetter']> {
  return {
    redeliveriesMax: spec.maxRedeliveries,
    ...(spec.topic === undefined ? {} : { topic: spec.topic }),
    ...(spec.initialSubscription === undefined ? {} : { initialSubscriptionName: spec.initialSubscription })
  }
}

interface ReaderArguments extends Omit<runner.ReaderOptions, 'start'> {
  readonly client: number
  readonly topic: string
  readonly start: string
}

async function createReader(a: ReaderArguments): Promise<object> {
  const inner = await held<PulsarClient>(a.client).createReader({
    topic: a.topic,
    startMessageId: idIn(a.start),
    isStartInclusive: a.inclusive ?? false,
    ...(a.name === undefined ? {} : { name: a.name }),
    ...(a.subscription === undefined ? {} : { subscription: a.subscription }),
    ...(a.queueSize === undefined ? {} : { receiverQueueSize: a.queueSize }),
    ...(a.readCompacted === undefined ? {} : { readCompacted: a.readCompacted }),
    ...schemaOf(a.schema)
  })
  return { handle: keep(holding(inner, a.schema)) }
}

async function activeEvent({ active }: Held<Consumer>, timeoutMs: number): Promise<boolean | null> {
  if (active.events.length === 0) {
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, timeoutMs)
      active.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
  return active.events.shift() ?? null
}

type Operation = (a: never) => unknown

const consumer = (a: Arguments): Consumer => held<Held<Consumer>>(a.handle).inner
const reader = (a: Arguments): Reader => held<Held<Reader>>(a.handle).inner
const producer = (a: Arguments): Held<Producer> => held<Held<Producer>>(a.handle)

function message(a: Arguments, ref = a.ref): Message {
  const found = held<Held<Consumer>>(a.handle).messages[ref]
  if (found === undefined) throw new Error(`no message ${ref}`)
  return found
}

const operations: Readonly<Record<string, Operation>> = {
  'client.create': (a: runner.ClientOptions & { url: string }) => {
    const { url, operationTimeoutMs = 30_000, listenerName } = a
    const listener = listenerName === undefined ? {} : { listenerName }
    return { handle: keep(new PulsarClient({ serviceUrl: url, operationTimeoutMs, discoveryMs: 1_000, ...listener })) }
  },
  'client.close': (a: Arguments) => held<PulsarClient>(a.handle).close(),
  'client.partitions': (a: Arguments) => held<PulsarClient>(a.handle).getPartitions(a.topic),
  'producer.create': createProducer,
  'producer.send': async (a: Arguments) => {
    const { inner, schema } = producer(a)
    return idOut(await inner.send(messageOf(schema, a.message)))
  },
  'producer.sendMany': (a: Arguments) => sendMany(producer(a), a.messages),
  'producer.lastSequenceId': (a: Arguments) => Number(producer(a).inner.lastSequenceId),
  'producer.close': (a: Arguments) => producer(a).inner.close(),
  'consumer.subscribe': subscribe,
  'consumer.receive': (a: Arguments) => orNothing(held(a.handle), consumer(a).receive(a.timeoutMs)),
  'consumer.activeEvent': (a: Arguments) => activeEvent(held(a.handle), a.timeoutMs),
  'consumer.ack': (a: Arguments) => consumer(a).acknowledge(message(a)),
  'consumer.ackId': (a: Arguments) => consumer(a).acknowledge(idIn(a.id ?? '')),
  'consumer.ackList': (a: Arguments) => consumer(a).acknowledge(a.refs.map(ref => message(a, ref))),
  'consumer.ackCumulative': (a: Arguments) => consumer(a).acknowledgeCumulative(message(a)),
  'consumer.nack': (a: Arguments) => consumer(a).negativeAcknowledge(message(a)),
  'consumer.reconsumeLater': (a: Arguments) => consumer(a).reconsumeLater(message(a), a.delayMs),
  'consumer.redeliver': (a: Arguments) => consumer(a).redeliverUnacknowledged(),
  'consumer.seek': (a: Arguments) => consumer(a).seek(a.id === undefined ? a.time : idIn(a.id)),
  'consumer.unsubscribe': (a: Arguments) => consumer(a).unsubscribe(),
  'consumer.close': (a: Arguments) => consumer(a).close(),
  'consumer.reachedEnd': (a: Arguments) => consumer(a).hasReachedEnd,
  'consumer.lastMessageId': async (a: Arguments) => {
    const [last] = await consumer(a).getLastMessageIds()
    return last === undefined ? null : idOut(last)
  },
  'reader.create': createReader,
  'reader.next': (a: Arguments) => orNothing(held(a.handle), reader(a).readNext(a.timeoutMs)),
  'reader.hasNext': (a: Arguments) => reader(a).hasMessageAvailable(),
  'reader.reachedEnd': (a: Arguments) => reader(a).hasReachedEnd,
  'reader.seek': (a: Arguments) => reader(a).seek(a.id === undefined ? a.time : idIn(a.id)),
  'reader.close': (a: Arguments) => reader(a).close()
}

interface Request {
  readonly id: number
  readonly op: string
  readonly args: never
}

async function answer({ id, op, args }: Request): Promise<object> {
  try {
    const operation = operations[op]
    if (operation === undefined) throw new Error(`no operation ${op}`)
    return { id, ok: (await operation(args)) ?? null }
  } catch (error) {
    const own = clientErrors.is(error) ? error.code : 'Unknown'
    const code = CODES[own] ?? own
    return { id, error: { code, message: error instanceof Error ? error.message : String(error) } }
  }
}

function write(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

write({ ready: '@strata/client' })
const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
lines.on('line', line => {
  void answer(JSON.parse(line) as Request).then(write)
})
await once(lines, 'close')
process.exit(0)
