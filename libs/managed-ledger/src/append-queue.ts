import { strict as assert } from 'node:assert'

/**
 * Appends that have not settled, oldest first, in rings of equal size: no object, promise or closure an entry.
 * The first `sent` of them are with the writer of the open ledger; the rest wait for one.
 */
export class AppendQueue<Context> {
  #payloads: (Buffer | undefined)[] = new Array<Buffer | undefined>(1024)
  #contexts: (Context | undefined)[] = new Array<Context | undefined>(1024)
  #crcs: (number | undefined)[] = new Array<number | undefined>(1024)
  #head = 0
  #count = 0
  sent = 0

  get count(): number {
    return this.#count
  }

  push(payload: Buffer, context: Context, payloadCrc: number | undefined): void {
    if (this.#count === this.#payloads.length) this.#grow()
    const slot = (this.#head + this.#count) & (this.#payloads.length - 1)
    this.#payloads[slot] = payload
    this.#contexts[slot] = context
    this.#crcs[slot] = payloadCrc
    this.#count += 1
  }

  payloadAt(index: number): Buffer {
    const payload = this.#payloads[(this.#head + index) & (this.#payloads.length - 1)]
    assert(payload !== undefined && index < this.#count)
    return payload
  }

  crcAt(index: number): number | undefined {
    return this.#crcs[(this.#head + index) & (this.#payloads.length - 1)]
  }

  /** Removes the oldest and returns its context. */
  shift(): Context {
    assert(this.#count > 0)
    const slot = this.#head
    // The slot was filled by `push`: a context may itself be undefined, so it cannot be checked.
    const context = this.#contexts[slot] as Context
    this.#payloads[slot] = undefined
    this.#contexts[slot] = undefined
    this.#head = (slot + 1) & (this.#payloads.length - 1)
    this.#count -= 1
    if (this.sent > 0) this.sent -= 1
    return context
  }

  #grow(): void {
    const size = this.#payloads.length
    this.#payloads = unrolled(this.#payloads, this.#head)
    this.#contexts = unrolled(this.#contexts, this.#head)
    this.#crcs = unrolled(this.#crcs, this.#head)
    this.#payloads.length = size * 2
    this.#contexts.length = size * 2
    this.#crcs.length = size * 2
    this.#head = 0
  }
}

function unrolled<Item>(ring: Item[], head: number): Item[] {
  return head === 0 ? ring : [...ring.slice(head), ...ring.slice(0, head)]
}
