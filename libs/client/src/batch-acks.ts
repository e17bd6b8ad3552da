/**
 * Which messages of a batch are not acknowledged yet. Bits as the protocol has them: bit i of word i/64 is message i,
 * 1 = not acknowledged; each word as two unsigned 32-bit halves, low first.
 */
export class BatchAcks {
  readonly size: number
  readonly halves: Uint32Array
  #remaining: number

  constructor(size: number) {
    this.size = size
    this.halves = new Uint32Array(2 * Math.ceil(size / 64))
    for (let index = 0; index < size; index++) this.#set(index)
    this.#remaining = size
  }

  get isDone(): boolean {
    return this.#remaining === 0
  }

  isAcknowledged(index: number): boolean {
    return ((this.halves[index >>> 5] as number) & (1 << (index & 31))) === 0
  }

  /** True if this was the last one. */
  acknowledge(index: number): boolean {
    if (index >= this.size || this.isAcknowledged(index)) return this.isDone
    this.halves[index >>> 5] = (this.halves[index >>> 5] as number) & ~(1 << (index & 31))
    this.#remaining--
    return this.isDone
  }

  /** All up to `index`, which is included. */
  acknowledgeUpTo(index: number): boolean {
    for (let each = 0; each <= index; each++) this.acknowledge(each)
    return this.isDone
  }

  #set(index: number): void {
    this.halves[index >>> 5] = ((this.halves[index >>> 5] as number) | (1 << (index & 31))) >>> 0
  }
}
