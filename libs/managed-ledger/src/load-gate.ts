interface Waiting {
  readonly bytes: number
  readonly run: () => void
}

/**
 * Bounds what reads from storage bring into memory at once, in the whole process: a read that finds no room waits for its
 * turn, in order. One larger than the bound goes alone.
 */
export class LoadGate {
  readonly bytesMax: number
  #bytes = 0
  #waiting: Waiting[] = []
  #head = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get bytesUnderWay(): number {
    return this.#bytes
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#head
  }

  /** Runs `read` when there is room for its bytes; room is there again when it has settled. */
  async through<Result>(bytes: number, read: () => Promise<Result>): Promise<Result> {
    if (this.waitingCount > 0 || !this.#hasRoom(bytes)) {
      await new Promise<void>(run => this.#waiting.push({ bytes, run }))
    } else this.#bytes += bytes
    try {
      return await read()
    } finally {
      this.#bytes -= bytes
      this.#admit()
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.bytesMax
  }

  #admit(): void {
    for (;;) {
      const next = this.#waiting[this.#head]
      if (next === undefined) {
        this.#waiting = []
        this.#head = 0
        return
      }
      if (!this.#hasRoom(next.bytes)) return
      this.#head++
      this.#bytes += next.bytes
      next.run()
    }
  }
}
