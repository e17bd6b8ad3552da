import type { EntryId, LedgerId } from '@strata/base'
import type { RecordHeader, RecordKind } from '../format/record.ts'

const STRIDE = 6
const COUNT_FIRST = 64

/**
 * Records of one file that are to be copied. Six numbers each (48 bytes): a file has a hundred thousand, which as objects would be old
 * before they are of no use, and be looked at by every collection until then.
 */
export class MoveList {
  /** Ledger id, entry id, kind, payload bytes, where it is in the source, where it is in the chunk (or goes in the target). */
  #numbers = new Float64Array(COUNT_FIRST * STRIDE)
  #count = 0

  get count(): number {
    return this.#count
  }

  push({ ledgerId, entryId, kind, payloadBytes }: RecordHeader, { from, at }: { from: number; at: number }): void {
    this.#makeRoom(1)
    const numbers = this.#numbers
    const place = this.#count++ * STRIDE
    numbers[place] = ledgerId
    numbers[place + 1] = entryId
    numbers[place + 2] = kind
    numbers[place + 3] = payloadBytes
    numbers[place + 4] = from
    numbers[place + 5] = at
  }

  ledgerId(i: number): LedgerId {
    return this.#numbers[i * STRIDE] as LedgerId
  }

  entryId(i: number): EntryId {
    return this.#numbers[i * STRIDE + 1] as EntryId
  }

  kind(i: number): RecordKind {
    return this.#numbers[i * STRIDE + 2] as RecordKind
  }

  payloadBytes(i: number): number {
    return this.#numbers[i * STRIDE + 3] ?? 0
  }

  from(i: number): number {
    return this.#numbers[i * STRIDE + 4] ?? 0
  }

  at(i: number): number {
    return this.#numbers[i * STRIDE + 5] ?? 0
  }

  setAt(i: number, at: number): void {
    this.#numbers[i * STRIDE + 5] = at
  }

  /** Puts the `i`th into place `to`, which is not behind it. */
  moveUp(i: number, to: number): void {
    this.#numbers.copyWithin(to * STRIDE, i * STRIDE, (i + 1) * STRIDE)
  }

  cut(count: number): void {
    this.#count = count
  }

  append(other: MoveList): void {
    this.#makeRoom(other.#count)
    this.#numbers.set(other.#numbers.subarray(0, other.#count * STRIDE), this.#count * STRIDE)
    this.#count += other.#count
  }

  /** By ledger and entry; of the same, in the order in which they came. */
  sorted(): MoveList {
    if (this.#isSorted()) return this
    const order = Array.from({ length: this.#count }, (_, i) => i)
    order.sort((a, b) => this.#compare(a, b))
    const sorted = new MoveList()
    sorted.#makeRoom(this.#count)
    for (const i of order) {
      sorted.#numbers.set(this.#numbers.subarray(i * STRIDE, (i + 1) * STRIDE), sorted.#count * STRIDE)
      sorted.#count++
    }
    return sorted
  }

  #isSorted(): boolean {
    for (let i = 1; i < this.#count; i++) if (this.#compare(i - 1, i) > 0) return false
    return true
  }

  #compare(a: number, b: number): number {
    const numbers = this.#numbers
    const byLedger = (numbers[a * STRIDE] ?? 0) - (numbers[b * STRIDE] ?? 0)
    return byLedger === 0 ? (numbers[a * STRIDE + 1] ?? 0) - (numbers[b * STRIDE + 1] ?? 0) : byLedger
  }

  #makeRoom(count: number): void {
    const needed = (this.#count + count) * STRIDE
    if (needed <= this.#numbers.length) return
    const grown = new Float64Array(Math.max(needed, this.#numbers.length * 2))
    grown.set(this.#numbers)
    this.#numbers = grown
  }
}
