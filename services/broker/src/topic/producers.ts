import { brokerError } from '../errors.ts'
import type { Producer } from './producer.ts'

export interface ProducersHost {
  readonly topic: string
  /** 0: no limit. */
  maxProducers(): number
  /** Makes the epoch durable before it counts. */
  saveEpoch(epoch: bigint): Promise<void>
}

/** What an admitted producer learns. `ready` is undefined if it is ready now; else it waits for the exclusive right. */
export interface Admission {
  readonly ready: Promise<void> | undefined
}

interface Waiting {
  readonly producer: Producer
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** How many producers may wait for one topic's exclusive right. */
const WAITING_MAX = 1000

/**
 * Who may publish to a topic: names, access modes, the topic epoch.
 *
 * Invariants
 *   P1  One live producer a name.
 *   P2  With an exclusive holder there is no other producer; who waits is not a producer yet.
 *   P3  The epoch grows with every grant of the exclusive right, and is durable before the grant is told.
 */
export class Producers {
  readonly #host: ProducersHost
  readonly #byName = new Map<string, Producer>()
  #exclusive: Producer | undefined
  #waiting: Waiting[] = []
  #epoch: bigint | undefined

  constructor(host: ProducersHost, epoch: bigint | undefined) {
    this.#host = host
    this.#epoch = epoch
  }

  get size(): number {
    return this.#byName.size
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  values(): Iterable<Producer> {
    return this.#byName.values()
  }

  has(producer: Producer): boolean {
    return this.#byName.get(producer.options.name) === producer
  }

  /** @throws BrokerError ProducerBusy, ProducerFenced */
  async admit(producer: Producer): Promise<Admission> {
    const { accessMode } = producer.options
    switch (accessMode) {
      case 'Shared':
        if (this.#exclusive !== undefined || this.#waiting.length > 0) {
          const holder = this.#exclusive?.options.name ?? 'one that waits'
          throw brokerError('ProducerBusy', `Topic has an existing exclusive producer: ${holder}`)
        }
        await this.#add(producer)
        return { ready: undefined }
      case 'Exclusive':
        if (this.#exclusive !== undefined && !producer.isSuccessorOf(this.#exclusive)) {
          throw brokerError(
            'ProducerFenced',
            `Topic has an existing exclusive producer: ${this.#exclusive.options.name}`
          )
        }
        if (this.#waiting.length > 0) throw brokerError('ProducerFenced', 'Topic has producers waiting to be exclusive')
        if (this.#hasOthers(producer)) throw brokerError('ProducerFenced', 'Topic has existing shared producers')
        await this.#takeExclusive(producer)
        return { ready: undefined }
      case 'ExclusiveWithFencing':
        this.#checkEpoch(producer)
        this.#fenceAll()
        await this.#takeExclusive(producer)
        return { ready: undefined }
      case 'WaitForExclusive':
        this.#checkEpoch(producer)
        if (this.#exclusive === undefined && !this.#hasOthers(producer) && this.#waiting.length === 0) {
          await this.#takeExclusive(producer)
          return { ready: undefined }
        }
        return { ready: this.#wait(producer) }
    }
  }

  /** The producer is gone, wherever it stood. */
  remove(producer: Producer): void {
    producer.isClosed = true
    const { name } = producer.options
    if (this.#byName.get(name) === producer) this.#byName.delete(name)
    if (this.#exclusive === producer) this.#exclusive = undefined
    const index = this.#waiting.findIndex(waiting => waiting.producer === producer)
    if (index >= 0) {
      const [waiting] = this.#waiting.splice(index, 1)
      waiting?.reject(brokerError('ServiceNotReady', 'The producer was closed while it waited'))
    }
    this.#promote()
  }

  /** The topic goes away: waiting ones fail, the others are returned for the caller to close. */
  clear(reason: Error): Producer[] {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { producer, reject } of waiting) {
      producer.isClosed = true
      reject(reason)
    }
    const all = [...this.#byName.values()]
    for (const producer of all) producer.isClosed = true
    this.#byName.clear()
    this.#exclusive = undefined
    return all
  }

  #hasOthers(producer: Producer): boolean {
    for (const other of this.#byName.values()) if (!producer.isSuccessorOf(other)) return true
    return false
  }

  #checkEpoch(producer: Producer): void {
    const { topicEpoch } = producer.options
    if (topicEpoch === undefined || this.#epoch === undefined || topicEpoch >= this.#epoch) return
    throw brokerError('ProducerFenced', `Topic epoch has already moved. Current epoch: ${this.#epoch}`)
  }

  /** Takes the right in memory first, so that nobody slips in while the epoch becomes durable. */
  async #takeExclusive(producer: Producer): Promise<void> {
    this.#checkEpoch(producer)
    await this.#add(producer)
    this.#exclusive = producer
    const held = producer.options.topicEpoch
    const epoch = held ?? (this.#epoch === undefined ? 0n : this.#epoch + 1n)
    try {
      if (epoch !== this.#epoch) {
        this.#epoch = epoch
        await this.#host.saveEpoch(epoch)
      }
    } catch (error) {
      this.remove(producer)
      throw error
    }
    producer.topicEpoch = epoch
    if (this.#exclusive !== producer) throw brokerError('ProducerFenced', 'Another producer took over the topic')
  }

  #wait(producer: Producer): Promise<void> {
    if (this.#waiting.length >= WAITING_MAX) throw brokerError('ProducerBusy', 'Too many producers wait for this topic')
    return new Promise((resolve, reject) => {
      this.#waiting.push({ producer, resolve, reject })
    })
  }

  #promote(): void {
    if (this.#exclusive !== undefined || this.#byName.size > 0) return
    const next = this.#waiting.shift()
    if (next === undefined) return
    this.#takeExclusive(next.producer).then(next.resolve, next.reject)
  }

  #fenceAll(): void {
    const fenced = brokerError('ProducerFenced', 'Fenced out by an exclusive producer')
    for (const producer of this.clear(fenced)) producer.options.connection.closeProducer(producer.options.producerId)
  }

  async #add(producer: Producer): Promise<void> {
    const { name, connection, producerId } = producer.options
    for (;;) {
      const old = this.#byName.get(name)
      if (old === undefined) break
      if (producer.isSuccessorOf(old)) {
        old.isClosed = true
        this.#byName.delete(name)
        break
      }
      // The holder may be gone without our having heard of it: ask it before refusing a client that came back.
      if (old.options.connection === connection || (await old.options.connection.probe())) this.#refuseName(name)
      if (this.#byName.get(name) === old) this.remove(old)
    }
    const max = this.#host.maxProducers()
    if (max > 0 && this.#byName.size >= max) {
      throw brokerError('ProducerBusy', `Topic '${this.#host.topic}' reached max producers limit`)
    }
    if (producer.isClosed) throw brokerError('ServiceNotReady', `producer ${producerId} was closed meanwhile`)
    this.#byName.set(name, producer)
  }

  #refuseName(name: string): never {
    throw brokerError('ProducerBusy', `Producer with name '${name}' is already connected to topic`)
  }
}
