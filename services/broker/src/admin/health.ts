import { randomUUID } from 'node:crypto'
import { every, reasonOf } from '@strata/base'
import { CHECKSUM_MAGIC, crc32c, lowHalf, highHalf, WriteBuffer, writeMessageMetadata } from '@strata/wire'
import type { ConsumerConnection, Delivery } from '../contract.ts'
import { isNamespaceError } from '../namespace/errors.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import { Producer, type ProducerConnection } from '../topic/producer.ts'
import type { Topic } from '../topic/topic.ts'
import type { AdminBackend } from './backend.ts'
import { refuse } from './rest-error.ts'

/**
 * A broker that is flooded is slow and yet well: one that is restarted for it makes everyone wait longer. Apache Pulsar gives it 58 s; who wants
 * to know earlier has a deadline of its own.
 */
const DEADLINE_MS = 30_000
/** How often storage is asked meanwhile whether it has come to refuse. */
const LOOK_MS = 1_000

/**
 * A message through the broker and back: published, stored durably, read and delivered to a consumer, as a client's is,
 * only that no socket is between. Checks run one after another, as each is alone on its subscription. Storage that is known
 * to refuse is not asked: its reasons are the answer.
 * @throws RestError 503; BrokerError ServiceNotReady
 */
export async function checkHealth(backend: AdminBackend): Promise<void> {
  const refusal = (): string | undefined => {
    const troubles = backend.storageTroubles()
    return troubles.length === 0 ? undefined : `Storage takes no messages: ${troubles.join('; ')}`
  }
  const reason = refusal()
  if (reason !== undefined) refuse(503, reason)
  const name = backend.ownTopic()
  const token = randomUUID()
  const peer = new HealthPeer(token)
  const cancel = backend.clock.after(DEADLINE_MS, () => {
    peer.fail(new Error('the message did not come back in time'))
  })
  const cancelLooking = every(backend.clock, LOOK_MS, () => {
    const became = refusal()
    if (became !== undefined) peer.fail(new Error(became))
  })
  try {
    await Promise.race([exchange(backend, name, peer, token), peer.received])
    await peer.received
  } catch (error) {
    const reason = reasonOf(error)
    backend.logger.warn({ event: 'health.check_failed', reason }, 'a message did not make it through the broker')
    refuse(503, `The broker is not healthy: ${reason}`)
  } finally {
    cancel()
    cancelLooking()
    peer.leave()
  }
}

async function exchange(backend: AdminBackend, name: TopicName, peer: HealthPeer, token: string): Promise<void> {
  // one that is in memory needs the metadata store no more than those of clients do
  if (backend.topics.find(name) === undefined) await ensureRecord(backend, name)
  const topic = await backend.topics.load(name, { mayCreate: false })
  await subscribe(topic, peer, token)
  const producer = new Producer({
    connection: peer,
    topic,
    producerId: 0,
    name: `health-${token}`,
    isNameFromClient: false,
    accessMode: 'Shared',
    epoch: 0,
    topicEpoch: undefined,
    isEncrypted: false,
    metadata: {},
    schemaVersion: new Uint8Array(0),
    connectedSinceMs: backend.clock.wallMs()
  })
  await topic.addProducer(producer)
  peer.onLeave(() => {
    topic.removeProducer(producer)
  })
  producer.onTaken()
  const fields = { hasHighest: false, highestLow: 0, highestHigh: 0, numMessages: 1, isChunk: false }
  const entry = entryOf(token, backend.clock.wallMs())
  topic.publish(producer, { sequenceLow: 0, sequenceHigh: 0, ...fields }, entry, undefined)
}

async function subscribe(topic: Topic, peer: HealthPeer, token: string): Promise<void> {
  const consumer = await topic.subscribe({
    subscriptionName: `health-${token}`,
    consumer: {
      connection: peer,
      consumerId: 0,
      consumerName: 'health',
      type: 'Exclusive',
      priorityLevel: 0,
      durable: false,
      readCompacted: false,
      keyShared: undefined,
      metadata: {},
      consumerEpoch: 0
    },
    initialPosition: 'latest',
    startPosition: undefined,
    rollbackSeconds: 0,
    properties: {},
    isReplicated: false,
    mayCreate: true
  })
  peer.onLeave(() => {
    consumer.leave()
    topic.onConsumerLeft(consumer.subscription)
  })
  consumer.flow(1000)
}

/** Whatever policies say of automatic creation. */
async function ensureRecord(backend: AdminBackend, name: TopicName): Promise<void> {
  const { topics } = backend.namespaces
  if ((await topics.get(name)) !== undefined) return
  try {
    await topics.create(name, { partitions: 0 })
  } catch (error) {
    if (!isNamespaceError(error, 'ALREADY_EXISTS')) throw error
  }
}

/** An entry as a producer sends it; its payload is the token. */
function entryOf(token: string, publishTimeMs: number): Buffer {
  const out = new WriteBuffer()
  const time = Math.trunc(publishTimeMs)
  writeMessageMetadata(out, {
    producerName: 'health',
    publishTimeMs: time,
    sequenceLow: lowHalf(0),
    sequenceHigh: highHalf(0)
  })
  const metadata = out.take()
  const payload = Buffer.from(token)
  const entry = Buffer.alloc(10 + metadata.length + payload.length)
  entry.writeUInt16BE(CHECKSUM_MAGIC, 0)
  entry.writeUInt32BE(metadata.length, 6)
  metadata.copy(entry, 10)
  payload.copy(entry, 10 + metadata.length)
  entry.writeUInt32BE(crc32c(entry.subarray(6)), 2)
  return entry
}

/** Stands where a client's connection would, for one producer and one consumer. */
class HealthPeer implements ConsumerConnection, ProducerConnection {
  readonly connectionId = 0
  readonly address = '/127.0.0.1:0'
  readonly clientVersion = 'health-check'
  readonly protocolVersion = 21
  readonly isWritable = true
  readonly supportsPartialProducer = false
  readonly received: Promise<void>
  readonly #token: Buffer
  #resolve: () => void = () => undefined
  #reject: (error: Error) => void = () => undefined
  #leaving: (() => void)[] = []
  #hasLeft = false

  constructor(token: string) {
    this.#token = Buffer.from(token)
    this.received = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.received.catch(() => undefined)
  }

  /** Runs when the check is over, or at once if it is over already. */
  onLeave(run: () => void): void {
    if (this.#hasLeft) run()
    else this.#leaving.push(run)
  }

  leave(): void {
    this.#hasLeft = true
    for (const run of this.#leaving.splice(0)) run()
  }

  fail(error: Error): void {
    this.#reject(error)
  }

  sendMessage(delivery: Delivery): void {
    const { payload } = delivery.entry
    if (payload.subarray(payload.length - this.#token.length).equals(this.#token)) this.#resolve()
  }

  closeConsumer(): void {
    this.fail(new Error('the topic closed its consumer'))
  }

  closeProducer(): void {
    this.fail(new Error('the topic closed its producer'))
  }

  sendSendError(_publication: unknown, _producerId: number, code: string): void {
    this.fail(new Error(`the message was refused: ${code}`))
  }

  probe(): Promise<boolean> {
    return Promise.resolve(!this.#hasLeft)
  }

  onWritable(run: () => void): void {
    queueMicrotask(run)
  }

  // nothing to tell anybody
  sendReceipt(): void {
    return
  }
  onPublicationSettled(): void {
    return
  }
  sendActiveConsumerChange(): void {
    return
  }
  sendReachedEndOfTopic(): void {
    return
  }
}
