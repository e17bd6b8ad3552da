import type { Entry } from '@strata/managed-ledger'

/**
 * Positions waiting for delivery, lowest first, with the entry itself where it is still in memory.
 * Positions that were acknowledged meanwhile stay until they come up: whoever pops asks the entry table.
 */
export class PositionHeap {
  #ledgers: number[] = []
  #ids: number[] = []
  #entries: (Entry | undefined)[] = []

  get size(): number {
    return this.#ids.length
  }

  get ledgerId(): number {
    return this.#ledgers[0] ?? -1
  }

  get entryId(): number {
    return this.#ids[0] ?? -1
  }

  get entry(): Entry | undefined {
    return this.#entries[0]
  }

  /** Is there one before the position? */
  isBefore(ledgerId: number, entryId: number): boolean {
    if (this.size === 0) return false
    return this.ledgerId < ledgerId || (this.ledgerId === ledgerId && this.entryId < entryId)
  }

  push(ledgerId: number, entryId: number, entry: Entry | undefined): void {
    let at = this.#ids.length
    this.#ledgers.push(ledgerId)
    this.#ids.push(entryId)
    this.#entries.push(entry)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  /** Drops the lowest; read it before through the getters. */
  pop(): void {
    const last = this.#ids.length - 1
    if (last < 0) return
    this.#swap(0, last)
    this.#ledgers.pop()
    this.#ids.pop()
    this.#entries.pop()
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      if (left >= last) return
      const least = left + 1 < last && this.#isBefore(left + 1, left) ? left + 1 : left
      if (!this.#isBefore(least, at)) return
      this.#swap(at, least)
      at = least
    }
  }

  clear(): void {
    this.#ledgers = []
    this.#ids = []
    this.#entries = []
  }

  /** Every position, in no order. */
  forEach(visit: (ledgerId: number, entryId: number, entry: Entry | undefined) => void): void {
    for (let at = 0; at < this.#ids.length; at++) {
      visit(this.#ledgers[at] as number, this.#ids[at] as number, this.#entries[at])
    }
  }

  #isBefore(a: number, b: number): boolean {
    const ledgers = this.#ledgers
    const ids = this.#ids
    const byLedger = (ledgers[a] as number) - (ledgers[b] as number)
    return byLedger < 0 || (byLedger === 0 && (ids[a] as number) < (ids[b] as number))
  }

  #swap(a: number, b: number): void {
    const ledger = this.#ledgers[a] as number
    this.#ledgers[a] = this.#ledgers[b] as number
    this.#ledgers[b] = ledger
    const id = this.#ids[a] as number
    this.#ids[a] = this.#ids[b] as number
    this.#ids[b] = id
    const entry = this.#entries[a]
    this.#entries[a] = this.#entries[b]
    this.#entries[b] = entry
  }
}
