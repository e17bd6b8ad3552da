import type { EntryId, LedgerId } from '@strata/base'
import type { RecordHeader, RecordKind } from '../format/record.ts'
import { breath } from '../index/index-writer.ts'

const STRIDE = 6
const COUNT_FIRST = 64
/** Below a millisecond. */
const STEPS_PER_SLICE = 4_096

/**
 * Records of one file that are to be copied. Six numbers each (48 bytes): a file has a hundred thousand, which as objects would be old
 * before they are of no use, and be looked at by every collection until then.
 */
export class MoveList {
  /** Ledger id, entry id, kind, payload bytes, where it is in the source, where it is in the chunk (or goes in the target). */
  #numbers: Float64Array
  #count = 0

  /** `count`: how many there will be, about. A list that has to grow leaves as much garbage as it has in the end. */
  constructor(count = COUNT_FIRST) {
    this.#numbers = new Float64Array(Math.max(count, COUNT_FIRST) * STRIDE)
  }

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

  /** By ledger and entry; of the same, in the order in which they came. Not to be changed until it resolves. */
  async sorted(): Promise<MoveList> {
    if (await this.#isSorted()) return this
    const sorted = new MoveList(this.#count)
    for (const places of await this.#byLedger()) {
      // Nearly in order, or in a few stretches that are, which the language's sort takes at once.
      places.sort((a, b) => this.#compare(a, b))
      for (const [i, place] of places.entries()) {
        sorted.#take(this.#numbers, place)
        if (i % STEPS_PER_SLICE === STEPS_PER_SLICE - 1) await breath()
      }
      await breath()
    }
    return sorted
  }

  /** Places of each ledger's, ledgers in their order. */
  async #byLedger(): Promise<number[][]> {
    const places = new Map<LedgerId, number[]>()
    for (let i = 0; i < this.#count; i++) {
      const ledgerId = this.ledgerId(i)
      const own = places.get(ledgerId)
      if (own === undefined) places.set(ledgerId, [i])
      else own.push(i)
      if (i % STEPS_PER_SLICE === STEPS_PER_SLICE - 1) await breath()
    }
    return [...places].sort(([a], [b]) => a - b).map(([, own]) => own)
  }

  async #isSorted(): Promise<boolean> {
    for (let i = 1; i < this.#count; i++) {
      if (this.#compare(i - 1, i) > 0) return false
      if (i % STEPS_PER_SLICE === STEPS_PER_SLICE - 1) await breath()
    }
    return true
  }

  #take(numbers: Float64Array, place: number): void {
    const own = this.#numbers
    const to = this.#count++ * STRIDE
    for (let i = 0; i < STRIDE; i++) own[to + i] = numbers[place * STRIDE + i] ?? 0
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
