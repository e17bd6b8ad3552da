import { BaseCommand_Type, commandTypeOf } from '@strata/wire'
import { sendFrame } from './frames.ts'
import { Peer } from './peer.ts'

export interface ProduceOptions {
  readonly port: number
  readonly topic: string
  readonly connections: number
  /** Producers of each connection. */
  readonly producers: number
  readonly batch: number
  readonly bytes: number
  /** Entries of each connection that may wait for their receipts. */
  readonly window: number
  /** Messages a second in all; 0: as fast as it goes. */
  readonly rate: number
  readonly warmUpSeconds: number
  readonly seconds: number
  /** Keys to choose from; 0: none. */
  readonly keys: number
  readonly messagesMax?: number
}

export interface ProduceResult {
  readonly messages: number
  readonly messagesPerSecond: number
  readonly medianMs: number
  readonly p99Ms: number
}

const FRAMES_PER_PRODUCER = 64

/** Publishes frames that were encoded beforehand and counts receipts; latency is from the write of an entry to its receipt. */
export async function produceLoad(options: ProduceOptions): Promise<ProduceResult> {
  const lanes = await Promise.all(Array.from({ length: options.connections }, (_, i) => Lane.open(options, i)))
  const warmUpUntil = performance.now() + options.warmUpSeconds * 1000
  const rate = options.rate / options.batch / options.connections
  for (const lane of lanes) lane.start(rate)
  await until(warmUpUntil, lanes)
  const startedAt = performance.now()
  const before = lanes.reduce((sum, lane) => sum + lane.receipts, 0)
  for (const lane of lanes) lane.latenciesMs.length = 0
  await until(startedAt + options.seconds * 1000, lanes)
  const elapsedMs = performance.now() - startedAt
  const entries = lanes.reduce((sum, lane) => sum + lane.receipts, 0) - before
  const latencies = lanes.flatMap(lane => lane.latenciesMs).sort((a, b) => a - b)
  for (const lane of lanes) lane.stop()
  return {
    messages: entries * options.batch,
    messagesPerSecond: (entries * options.batch * 1000) / elapsedMs,
    medianMs: latencies[Math.floor(latencies.length * 0.5)] ?? NaN,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? NaN
  }
}

async function until(deadline: number, lanes: readonly Lane[]): Promise<void> {
  while (performance.now() < deadline && !lanes.every(lane => lane.isDone)) {
    await new Promise(resolve => setTimeout(resolve, Math.min(50, Math.max(1, deadline - performance.now()))))
    for (const lane of lanes) lane.check()
  }
}

/** One connection with its producers and its window. */
class Lane {
  readonly #peer: Peer
  readonly #frames: readonly Buffer[]
  readonly #window: number
  readonly #entriesMax: number
  readonly latenciesMs: number[] = []
  #sentAt: number[] = []
  #sentHead = 0
  #sent = 0
  #allowed = Infinity
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  receipts = 0

  private constructor(peer: Peer, frames: readonly Buffer[], options: ProduceOptions) {
    this.#peer = peer
    this.#frames = frames
    this.#window = options.window
    this.#entriesMax = Math.ceil((options.messagesMax ?? Infinity) / options.batch / options.connections)
    peer.onFrame = (buffer, start, end) => {
      const type = commandTypeOf(buffer, start, end)
      if (type === BaseCommand_Type.SEND_RECEIPT) this.#onReceipt()
      // a broker that reads no more for now says that it lives
      else if (type !== BaseCommand_Type.PONG) peer.failure ??= new Error(`an unexpected command ${type}`)
    }
    peer.onChunk = () => this.#fill()
  }

  static async open(options: ProduceOptions, index: number): Promise<Lane> {
    const peer = await Peer.open(options.port)
    await peer.lookup(options.topic)
    const frames: Buffer[] = []
    for (let i = 0; i < options.producers; i++) {
      const producerName = `load-${index}-${i}-${process.pid}`
      await peer.ask(
        'producer',
        { topic: options.topic, producerId: BigInt(i), requestId: BigInt(i + 1), producerName },
        BaseCommand_Type.PRODUCER_SUCCESS
      )
    }
    const rounds = Math.max(1, Math.ceil(FRAMES_PER_PRODUCER / options.producers))
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < options.producers; i++) {
        const key = options.keys > 0 ? { key: `key-${(index * 7919 + round * 104_729 + i * 31) % options.keys}` } : {}
        frames.push(
          sendFrame({
            producerId: i,
            producerName: `load-${index}-${i}-${process.pid}`,
            sequenceId: round * options.batch,
            batch: options.batch,
            bytes: options.bytes,
            ...key
          })
        )
      }
    }
    return new Lane(peer, frames, options)
  }

  get isDone(): boolean {
    return this.receipts >= this.#entriesMax
  }

  start(entriesPerSecond: number): void {
    if (entriesPerSecond > 0) {
      const startedAt = performance.now()
      this.#allowed = 0
      this.#timer = setInterval(() => {
        this.#allowed = ((performance.now() - startedAt) * entriesPerSecond) / 1000
        this.#fill()
      }, 1)
    }
    this.#fill()
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#peer.close()
  }

  check(): void {
    if (this.#peer.failure !== undefined) throw this.#peer.failure
  }

  #onReceipt(): void {
    this.receipts += 1
    const sentAt = this.#sentAt[this.#sentHead++]
    if (sentAt !== undefined) this.latenciesMs.push(performance.now() - sentAt)
    if (this.#sentHead > 65_536) {
      this.#sentAt = this.#sentAt.slice(this.#sentHead)
      this.#sentHead = 0
    }
  }

  #fill(): void {
    if (this.#stopped) return
    const room = Math.min(
      this.#window - (this.#sent - this.receipts),
      this.#allowed - this.#sent,
      this.#entriesMax - this.#sent
    )
    if (room < 1) return
    const now = performance.now()
    const { socket } = this.#peer
    socket.cork()
    for (let i = 0; i < Math.floor(room); i++) {
      socket.write(this.#frames[this.#sent % this.#frames.length] as Buffer)
      this.#sentAt.push(now)
      this.#sent += 1
    }
    socket.uncork()
  }
}
