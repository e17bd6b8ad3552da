/** A stream may have at least so much on its way, and at most so much, however few streams there are. */
const WINDOW_BYTES_MIN = 1024 * 1024
const WINDOW_BYTES_MAX = 16 * 1024 * 1024

/**
 * How many bytes of adds a node takes at once, over all its streams.
 *
 * Invariants
 *   C1  A stream's grant only grows, and is raised only while the node holds less than `bytesMax` of unanswered adds. So it
 *       holds at most that, what was granted before it was full (a window a stream), and one add a stream.
 *   C2  A stream that wanted more when the node was full is called as soon as there is room.
 */
export class NodeCredit {
  readonly #bytesMax: number
  readonly #streams = new Set<StreamCredit>()
  readonly #waiting = new Set<StreamCredit>()
  #heldBytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes of adds that were taken and are not answered. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  get streamCount(): number {
    return this.#streams.size
  }

  get isFull(): boolean {
    return this.#heldBytes >= this.#bytesMax
  }

  /** What a stream may have on its way. */
  get windowBytes(): number {
    const share = Math.floor(this.#bytesMax / Math.max(this.#streams.size, 1))
    const least = Math.min(WINDOW_BYTES_MIN, this.#bytesMax)
    return Math.max(least, Math.min(share, WINDOW_BYTES_MAX))
  }

  open(onRoom: () => void): StreamCredit {
    const credit = new StreamCredit(this, onRoom)
    this.#streams.add(credit)
    return credit
  }

  close(credit: StreamCredit): void {
    this.#streams.delete(credit)
    this.#waiting.delete(credit)
  }

  wait(credit: StreamCredit): void {
    this.#waiting.add(credit)
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes
    if (this.#waiting.size === 0 || this.isFull) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const credit of waiting) credit.onRoom()
  }
}

/** One stream's part of it. What the node still holds of a stream that is closed goes on counting until it is settled. */
export class StreamCredit {
  readonly onRoom: () => void
  readonly #node: NodeCredit
  #grantedBytes = 0
  #receivedBytes = 0
  #settledBytes = 0

  constructor(node: NodeCredit, onRoom: () => void) {
    this.#node = node
    this.onRoom = onRoom
  }

  /** Of adds that came together, the last one of `lastBytes`. False: the peer sent what it was not allowed to. */
  receive(bytes: number, lastBytes = bytes): boolean {
    if (this.#receivedBytes + bytes - lastBytes >= this.#grantedBytes) return false
    this.#receivedBytes += bytes
    this.#node.hold(bytes)
    return true
  }

  settle(bytes: number): void {
    this.#settledBytes += bytes
    this.#node.hold(-bytes)
  }

  /** The new grant, if it grew by what is worth a message. */
  raise(): number | undefined {
    const window = this.#node.windowBytes
    const wanted = this.#settledBytes + window
    if (wanted - this.#grantedBytes < window / 4) return undefined
    if (this.#node.isFull) {
      this.#node.wait(this)
      return undefined
    }
    this.#grantedBytes = wanted
    return wanted
  }

  close(): void {
    this.#node.close(this)
  }
}
