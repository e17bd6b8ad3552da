import { strict as assert } from 'node:assert'
import { entryId, ledgerId, NO_ENTRY, type BookieId, type EntryId } from '@strata/base'
import type { RecoveryRead } from '../ledger-recovery.ts'
import type { EntryAdd, StoredEntry } from '../quorum.ts'

/** Ways to break a node or a shell, each of which the checks must catch. */
export interface Bugs {
  readonly ackBeforeSync?: boolean
  readonly ignoreFence?: boolean
  readonly fenceNotDurable?: boolean
  readonly answerFenceAtOnce?: boolean
  readonly sayNoAfterLoss?: boolean
  readonly changeWithoutCompare?: boolean
  readonly writeBeforeChange?: boolean
  readonly closeWithoutCompare?: boolean
  readonly forgetReplacements?: boolean
  readonly tellUnconfirmed?: boolean
}

export const LEDGER = ledgerId(1)

/** Seeded chance and an agenda: all that happens follows from the seed. */
export class World {
  readonly bugs: Bugs
  nowMs = 0
  isStormy = true
  #state: number
  /** Ascending by time; those of one time in the order they came. */
  readonly #agenda: { readonly atMs: number; readonly run: () => void }[] = []

  constructor(seed: number, bugs: Bugs) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
    this.bugs = bugs
  }

  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1))
  }

  after(delayMs: number, run: () => void): void {
    const atMs = this.nowMs + delayMs
    let low = 0
    let high = this.#agenda.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#agenda[middle]?.atMs ?? 0) <= atMs) low = middle + 1
      else high = middle
    }
    this.#agenda.splice(low, 0, { atMs, run })
  }

  /** Loses some messages while the weather is bad. */
  deliver(run: () => void): void {
    if (!this.isStormy || this.random() > 0.05) this.after(this.between(0, this.isStormy ? 40 : 2), run)
  }

  run(untilMs: number): void {
    for (;;) {
      const next = this.#agenda[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#agenda.shift()
      this.nowMs = next.atMs
      next.run()
    }
    this.nowMs = untilMs
  }
}

interface Disk {
  isFenced: boolean
  readonly entries: Map<EntryId, EntryAdd>
}

const copyOf = (disk: Disk): Disk => ({ isFenced: disk.isFenced, entries: new Map(disk.entries) })

export class Node {
  readonly id: BookieId
  readonly #world: World
  disk: Disk = { isFenced: false, entries: new Map() }
  #memory: Disk = { isFenced: false, entries: new Map() }
  hasAuthority = true
  /** Told by the writer; lost with the process. */
  #told: EntryId = NO_ENTRY
  /** Raised by each crash: what belongs to an earlier life is answered no more. */
  life = 0
  isDown = false
  isSlow = false
  isReadOnly = false

  constructor(world: World, id: BookieId) {
    this.#world = world
    this.id = id
  }

  add(add: EntryAdd, answer: (result: 'added' | 'FENCED' | 'READ_ONLY') => void): void {
    if (this.isReadOnly) return answer('READ_ONLY')
    if (this.#memory.isFenced && !add.recovery && this.#world.bugs.ignoreFence !== true) return answer('FENCED')
    const before = this.#memory.entries.get(add.entryId)
    assert(before === undefined || before.crc32c === add.crc32c, 'an entry id never carries other bytes')
    this.#memory.entries.set(add.entryId, add)
    if (this.#world.bugs.ackBeforeSync === true) answer('added')
    else this.#sync(() => answer('added'))
  }

  fence(answer: () => void): void {
    this.#memory.isFenced = true
    if (this.#world.bugs.answerFenceAtOnce === true) answer()
    else this.#sync(answer)
  }

  lac(): EntryId {
    return [...this.disk.entries.values()].reduce((lac, add) => (add.lac > lac ? add.lac : lac), this.#told)
  }

  tell(lac: EntryId): void {
    if (lac > this.#told) this.#told = lac
  }

  read(first: EntryId): RecoveryRead {
    const entries: StoredEntry[] = []
    for (let id = first; ; id = entryId(id + 1)) {
      const add = this.disk.entries.get(id)
      if (add === undefined) return { entries, end: this.hasAuthority ? 'absent' : 'unknown' }
      if (entries.length === 3) return { entries, end: 'limit' }
      entries.push(add)
    }
  }

  /** What was not synced is gone. */
  crash(): void {
    this.life += 1
    this.#told = NO_ENTRY
    this.#memory = copyOf(this.disk)
  }

  /** Answers nothing for a while, and has crashed when it is back. */
  stopFor(ms: number): void {
    this.isDown = true
    this.crash()
    this.#world.after(ms, () => (this.isDown = false))
  }

  refuseFor(ms: number): void {
    this.isReadOnly = true
    this.#world.after(ms, () => (this.isReadOnly = false))
  }

  loseDisk(): void {
    this.life += 1
    this.hasAuthority = this.#world.bugs.sayNoAfterLoss === true
    this.disk = { isFenced: false, entries: new Map() }
    this.#memory = copyOf(this.disk)
  }

  #sync(done: () => void): void {
    const life = this.life
    const written = copyOf(this.#memory)
    this.#world.after(this.#world.between(1, 25) + (this.isSlow ? 400 : 0), () => {
      if (life !== this.life) return
      const isFenced = this.#world.bugs.fenceNotDurable === true ? false : written.isFenced
      this.disk = {
        isFenced: this.disk.isFenced || isFenced,
        entries: new Map([...this.disk.entries, ...written.entries])
      }
      done()
    })
  }
}
