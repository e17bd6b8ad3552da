import { CHECKSUM_MAGIC, crc32c, highHalf, lowHalf, WriteBuffer, writeMessageMetadata } from '@strata/wire'
import type { TopicName } from '../../namespace/topic-name.ts'
import type { Publication } from '../../topic/publication.ts'
import { Producer, type ProducerConnection } from '../../topic/producer.ts'
import type { Topic } from '../../topic/topic.ts'
import type { AdminBackend } from '../backend.ts'

export interface RestMessage {
  readonly payload: Buffer
  readonly properties: Readonly<Record<string, string>>
  readonly key?: string
  readonly isKeyBase64?: true
  readonly eventTimeMs?: number
  readonly sequenceId: number
}

export interface PublishedAt {
  readonly ledgerId: number
  readonly entryId: number
}

const UNKNOWN = 'The message may or may not be stored'

/**
 * To a topic that this broker serves, as a client's producer would: the limits of the topic hold, the rate of publishing among them.
 * @returns For each message where it is, or why it is not known to be anywhere.
 * @throws BrokerError: the topic takes no producer
 */
export async function publishAll(
  backend: AdminBackend,
  name: TopicName,
  messages: readonly RestMessage[],
  options: { readonly producerName: string; readonly instance: string; readonly schemaVersion: Uint8Array }
): Promise<(PublishedAt | string)[]> {
  if (messages.length === 0) return []
  const topic = await backend.topics.load(name, { mayCreate: false })
  const peer = new RestPeer(messages.length)
  const producer = new Producer({
    connection: peer,
    topic,
    producerId: 0,
    name: options.instance,
    isNameFromClient: false,
    accessMode: 'Shared',
    epoch: 0,
    topicEpoch: undefined,
    isEncrypted: false,
    metadata: {},
    schemaVersion: options.schemaVersion,
    connectedSinceMs: backend.clock.wallMs()
  })
  await topic.addProducer(producer)
  try {
    const now = Math.trunc(backend.clock.wallMs())
    const entries = messages.map(message => entryOf(message, { ...options, publishTimeMs: now }))
    await new Sends({ topic, producer, peer, entries, bytesMax: backend.settings.maxMessageSize }).run()
    await producer.settled()
  } finally {
    topic.removeProducer(producer)
  }
  return peer.results
}

/** Waits its turn where the topic's rate is used up. */
class Sends {
  readonly #topic: Topic
  readonly #producer: Producer
  readonly #peer: RestPeer
  readonly #entries: readonly Buffer[]
  readonly #bytesMax: number
  #next = 0
  #resolve: () => void = () => undefined

  constructor(options: {
    topic: Topic
    producer: Producer
    peer: RestPeer
    entries: readonly Buffer[]
    bytesMax: number
  }) {
    this.#topic = options.topic
    this.#producer = options.producer
    this.#peer = options.peer
    this.#entries = options.entries
    this.#bytesMax = options.bytesMax
  }

  async run(): Promise<void> {
    const { publishThrottle } = this.#topic
    while (this.#isLeft && publishThrottle?.isOpen() !== false) this.publishNext()
    if (!this.#isLeft) return
    const { promise, resolve } = withResolvers()
    this.#resolve = resolve
    publishThrottle?.park(this)
    await promise
  }

  get #isLeft(): boolean {
    return this.#next < this.#entries.length && !this.#peer.isClosed
  }

  /** One more; false: none is left. */
  publishNext(): boolean {
    const entry = this.#entries[this.#next]
    if (entry === undefined || this.#peer.isClosed) {
      this.#resolve()
      return false
    }
    const index = this.#next++
    const { maxMessageBytes, encryptionRequired } = this.#topic.policies
    const limit = maxMessageBytes > 0 ? Math.min(maxMessageBytes, this.#bytesMax) : this.#bytesMax
    const isTooLarge = entry.length > limit
    if (isTooLarge || encryptionRequired) {
      this.#peer.results[index] = isTooLarge ? `Larger than ${limit} bytes` : 'Messages must be encrypted'
      return true
    }
    this.#topic.publishThrottle?.spend(1, entry.length)
    const fields = { hasHighest: false, highestLow: 0, highestHigh: 0, numMessages: 1, isChunk: false }
    this.#topic.publish(this.#producer, { sequenceLow: index, sequenceHigh: 0, ...fields }, entry, undefined)
    return true
  }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>(done => {
    resolve = done
  })
  return { promise, resolve }
}

function entryOf(
  { payload, properties, key, isKeyBase64, eventTimeMs, sequenceId }: RestMessage,
  {
    producerName,
    schemaVersion,
    publishTimeMs
  }: { producerName: string; schemaVersion: Uint8Array; publishTimeMs: number }
): Buffer {
  const out = new WriteBuffer()
  writeMessageMetadata(out, {
    ...{ producerName, publishTimeMs, properties, schemaVersion, eventTimeMs },
    ...{ partitionKey: key, isPartitionKeyBase64: isKeyBase64, uncompressedBytes: payload.length },
    sequenceLow: lowHalf(sequenceId),
    sequenceHigh: highHalf(sequenceId)
  })
  const metadata = out.take()
  const entry = Buffer.alloc(10 + metadata.length + payload.length)
  entry.writeUInt16BE(CHECKSUM_MAGIC, 0)
  entry.writeUInt32BE(metadata.length, 6)
  metadata.copy(entry, 10)
  payload.copy(entry, 10 + metadata.length)
  entry.writeUInt32BE(crc32c(entry.subarray(6)), 2)
  return entry
}

/** Stands where a client's connection would; messages are told apart by their place in the request. */
class RestPeer implements ProducerConnection {
  readonly connectionId = 0
  readonly address = '/127.0.0.1:0'
  readonly clientVersion = 'http'
  readonly supportsPartialProducer = false
  readonly results: (PublishedAt | string)[]
  isClosed = false

  constructor(messages: number) {
    this.results = Array.from({ length: messages }, () => UNKNOWN)
  }

  sendReceipt({ sequenceLow }: Publication, _producerId: number, ledgerId: number, entryId: number): void {
    this.results[sequenceLow] = { ledgerId, entryId }
  }

  sendSendError({ sequenceLow }: Publication, _producerId: number, code: string, message: string): void {
    this.results[sequenceLow] = `${code}: ${message}`
  }

  closeProducer(): void {
    this.isClosed = true
  }

  probe(): Promise<boolean> {
    return Promise.resolve(!this.isClosed)
  }

  onPublicationSettled(): void {
    return
  }
}
