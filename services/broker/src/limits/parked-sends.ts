import type { Producer } from '../topic/producer.ts'

/** So many that were published may stay at the front of the list before it is cut. */
const FRAMES_KEPT_MAX = 1000

export interface ParkedHost {
  /** The bytes are charged to the connection's budget as long as the frame waits. */
  onParked(bytes: number): void
  onUnparked(bytes: number): void
  publish(frame: Buffer): void
}

/**
 * SENDs of one producer that came while its topic's publish rate was used up. They wait as the frames that they are, within
 * the connection's budget of bytes; the socket is read on, so acknowledgements, permits and pings of its other users pass.
 *
 * Invariants
 *   S1  Frames are published in the order in which they came, each once, or dropped with their producer.
 *   S2  A parked frame counts as pending at its producer: closing waits for it.
 */
export class ProducerSends {
  readonly #producer: Producer
  readonly #host: ParkedHost
  #frames: Buffer[] = []
  #first = 0

  constructor(producer: Producer, host: ParkedHost) {
    this.#producer = producer
    this.#host = host
  }

  get isEmpty(): boolean {
    return this.#first === this.#frames.length
  }

  add(frame: Buffer): void {
    this.#frames.push(frame)
    this.#producer.onTaken()
    this.#host.onParked(frame.length)
  }

  publishNext(): boolean {
    const next = this.#shift()
    if (next === undefined) return false
    // published first: what is pending must not seem to be done in between
    if (!this.#producer.isClosed) this.#host.publish(next)
    this.#host.onUnparked(next.length)
    this.#producer.onUnparked()
    return !this.isEmpty
  }

  #shift(): Buffer | undefined {
    const next = this.#frames[this.#first++]
    if (this.#first >= this.#frames.length || this.#first > FRAMES_KEPT_MAX) {
      this.#frames = this.#frames.slice(this.#first)
      this.#first = 0
    }
    return next
  }
}
