import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Compression, Producer, PulsarClient } from '@strata/client'
import { withClient } from '../connecting.ts'
import { pause } from '../interrupt.ts'
import { batching, type BatchFlags } from '../producing.ts'
import { runPerf, topicNames, type Load, type PerfFlags } from './run.ts'

export interface PerfProduceFlags extends PerfFlags, BatchFlags {
  readonly rate?: number
  readonly size: number
  readonly producers: number
  readonly outstanding: number
  readonly keys?: number
  readonly compression: Compression
}

/** Messages sent between two looks at the socket: receipts must not wait behind a flood of our own. */
const BURST_MAX = 500
const TICK_MS = 1
/** Of one message, beside its payload. */
const OVERHEAD_BYTES = 512
const MEMORY_BYTES_MIN = 64 * 1024 * 1024

export async function perfProduce(topic: string, flags: PerfProduceFlags): Promise<void> {
  const count = flags.topics * flags.producers
  const memoryLimitBytes = Math.max(MEMORY_BYTES_MIN, count * flags.outstanding * (flags.size + OVERHEAD_BYTES))
  await withClient(
    flags,
    async ({ client, interrupt }) => {
      const producers = await openProducers(client, topic, flags)
      await runPerf(flags, interrupt, load => publish(producers, flags, load))
    },
    { memoryLimitBytes }
  )
}

async function openProducers(client: PulsarClient, topic: string, flags: PerfProduceFlags): Promise<Producer[]> {
  const names = topicNames(topic, flags).flatMap(name => Array.from({ length: flags.producers }, () => name))
  const options = { compression: flags.compression, batching: batching(flags) }
  return await Promise.all(names.map(name => client.createProducer({ topic: name, ...options })))
}

/** Sends until it is stopped, by turns over the producers that have room; then waits for what is under way. */
async function publish(producers: readonly Producer[], flags: PerfProduceFlags, load: Load): Promise<void> {
  const publisher = new Publisher(producers, flags, load)
  const startedAtMs = performance.now()
  const { rate, messages: messagesMax = Infinity } = flags
  while (!load.signal.aborted && publisher.sent < messagesMax) {
    const due = rate === undefined ? Infinity : ((performance.now() - startedAtMs) * rate) / 1000
    const wanted = Math.floor(Math.min(due, messagesMax) - publisher.sent)
    if (publisher.burst(Math.min(BURST_MAX, wanted))) await nextTurn()
    else if (wanted >= 1) await publisher.room(load.signal)
    else await pause(TICK_MS, load.signal)
  }
  await Promise.all(producers.map(producer => producer.flush()))
  if (publisher.failure !== undefined) throw publisher.failure
}

class Publisher {
  readonly #producers: readonly Producer[]
  readonly #inFlight: Uint32Array
  readonly #flags: PerfProduceFlags
  readonly #load: Load
  readonly #payload: Buffer
  readonly #keys: readonly string[]
  #turn = 0
  #onRoom: () => void = () => undefined
  sent = 0
  /** Of the first message that no later one can do better than. */
  failure: Error | undefined

  constructor(producers: readonly Producer[], flags: PerfProduceFlags, load: Load) {
    this.#producers = producers
    this.#inFlight = new Uint32Array(producers.length)
    this.#flags = flags
    this.#load = load
    // random, so that compression gains nothing that real payloads would not
    this.#payload = randomBytes(flags.size)
    this.#keys = Array.from({ length: flags.keys ?? 0 }, (_, index) => `key-${index}`)
  }

  /** Sends up to `count` messages; false if there was nothing to send or no room. */
  burst(count: number): boolean {
    let isAny = false
    for (let left = count, full = 0; left > 0 && full < this.#producers.length;) {
      const slot = this.#turn
      this.#turn = (slot + 1) % this.#producers.length
      if ((this.#inFlight[slot] ?? 0) >= this.#flags.outstanding) {
        full++
        continue
      }
      full = 0
      left--
      isAny = true
      this.#send(slot)
    }
    return isAny
  }

  #send(slot: number): void {
    const startMs = performance.now()
    const key = this.#keys.length === 0 ? undefined : this.#keys[this.sent % this.#keys.length]
    this.sent++
    this.#inFlight[slot] = (this.#inFlight[slot] ?? 0) + 1
    const message = key === undefined ? { data: this.#payload } : { data: this.#payload, key }
    this.#producers[slot]?.sendNoWait(message, error => {
      this.#inFlight[slot] = (this.#inFlight[slot] ?? 1) - 1
      if (error === undefined) this.#load.meter.record(performance.now() - startMs, this.#payload.length)
      else this.#onFailed(error)
      this.#onRoom()
    })
  }

  #onFailed(error: Error): void {
    this.#load.meter.fail()
    if ('retryable' in error && error.retryable === true) return
    this.failure ??= error
    this.#load.onEnough()
  }

  /** Resolves when a receipt came, or at the end. */
  room(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        this.#onRoom = () => undefined
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#onRoom = done
      signal.addEventListener('abort', done)
    })
  }
}
