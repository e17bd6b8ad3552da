export interface InflowHost {
  /** This connection is to take no more for now. */
  isPaused(): boolean
  /** Takes frames until they end or the connection is paused, and returns how many bytes that were. */
  read(bytes: Buffer): number
  resumeSocket(): void
}

/**
 * What a socket gave and was not read yet. Messages take up to twenty times the size of their frames once they are read,
 * and in one turn of the event loop every socket may give a chunk of them: so what is left of a chunk when the connection
 * is paused stays as it came until it may go on.
 *
 * Invariants
 *   F1  Bytes are read in the order in which they came, each once.
 *   F2  The socket is resumed only when nothing is left here.
 */
export class Inflow {
  readonly #host: InflowHost
  #left: Buffer[] = []
  #isScheduled = false
  #isClosed = false

  constructor(host: InflowHost) {
    this.#host = host
  }

  onData(chunk: Buffer): void {
    if (this.#left.length > 0) this.#left.push(chunk)
    else this.#read(chunk)
  }

  /** The connection may go on, and does after whoever says so is done. */
  resume(): void {
    if (this.#isClosed) return
    if (this.#left.length === 0) {
      this.#host.resumeSocket()
      return
    }
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#onTurn)
  }

  /** One step although the connection is paused, which may bring it a frame further. */
  step(): void {
    const chunk = this.#left.shift()
    if (chunk === undefined) this.#host.resumeSocket()
    else this.#read(chunk)
  }

  close(): void {
    this.#isClosed = true
    this.#left = []
  }

  readonly #onTurn = (): void => {
    this.#isScheduled = false
    while (!this.#host.isPaused()) {
      const chunk = this.#left.shift()
      if (chunk === undefined) {
        if (!this.#isClosed) this.#host.resumeSocket()
        return
      }
      this.#read(chunk)
    }
  }

  /** What the connection does not take goes to the front of what is left. */
  #read(chunk: Buffer): void {
    const bytes = this.#host.read(chunk)
    if (bytes < chunk.length && !this.#isClosed) this.#left.unshift(chunk.subarray(bytes))
  }
}
