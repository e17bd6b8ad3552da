import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import type { AckState } from '../ack-state.ts'
import type { LedgerTable } from '../ledger-table.ts'
import { comparePositions, type Position } from '../position.ts'

/** What happens to a log and one of its cursors. Numbers are taken modulo what exists, so that every run means something. */
export type Step =
  | { readonly kind: 'append'; readonly entries: number }
  | { readonly kind: 'roll'; readonly gap: number }
  | { readonly kind: 'trim' }
  | { readonly kind: 'ack'; readonly at: number }
  | { readonly kind: 'ackRun'; readonly at: number; readonly count: number }
  | { readonly kind: 'ackBits'; readonly at: number; readonly words: readonly number[] }
  | { readonly kind: 'ackUpTo'; readonly at: number }
  | { readonly kind: 'reset'; readonly at: number; readonly words: readonly number[] | undefined }
  | { readonly kind: 'ackAbsent'; readonly ledgerId: number; readonly entryId: number }
  | { readonly kind: 'persist'; readonly bytesMax: number }
  | { readonly kind: 'reload' }

const wordsArb = fc.array(fc.constantFrom(0, 1, 2, 3, 5, -1), { maxLength: 4 })
/** Mostly small: many steps then meet the same few entries. */
const atArb = fc.oneof({ weight: 3, arbitrary: fc.nat(12) }, fc.nat(5000))
const stepArb: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('append' as const), entries: fc.integer({ min: 1, max: 12 }) })
  },
  fc.record({ kind: fc.constant('append' as const), entries: fc.integer({ min: 900, max: 1100 }) }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('roll' as const), gap: fc.nat(3) }) },
  fc.record({ kind: fc.constant('trim' as const) }),
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('ack' as const), at: atArb }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ackRun' as const), at: atArb, count: fc.nat(1500) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ackBits' as const), at: atArb, words: wordsArb }) },
  fc.record({ kind: fc.constant('ackUpTo' as const), at: atArb }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reset' as const),
      at: atArb,
      words: fc.option(wordsArb, { nil: undefined })
    })
  },
  fc.record({
    kind: fc.constant('ackAbsent' as const),
    ledgerId: fc.integer({ min: -1, max: 40 }),
    entryId: fc.integer({ min: -1, max: 3000 })
  }),
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('persist' as const), bytesMax: fc.integer({ min: 1, max: 200 }) })
  },
  fc.record({ kind: fc.constant('reload' as const) })
)

/** Long enough that ledgers follow each other, are trimmed, and cursors are persisted several times on the way. */
export const stepsArb = fc.array(stepArb, { minLength: 10, maxLength: 60, size: 'max' })

/** The same cursor as a plain set: what exists, and of that what is acknowledged. */
class Model {
  readonly ledgers: { readonly ledgerId: number; entries: number }[] = []
  readonly acked = new Set<string>()
  readonly bits = new Map<string, readonly number[]>()

  positions(): Position[] {
    return this.ledgers.flatMap(({ ledgerId, entries }) => {
      return Array.from({ length: entries }, (_, entryId) => ({ ledgerId, entryId }))
    })
  }

  has(position: Position): boolean {
    const ledger = this.ledgers.find(({ ledgerId }) => ledgerId === position.ledgerId)
    return ledger !== undefined && position.entryId >= 0 && position.entryId < ledger.entries
  }

  ack(position: Position): boolean {
    if (!this.has(position) || this.acked.has(keyOf(position))) return false
    this.acked.add(keyOf(position))
    this.bits.delete(keyOf(position))
    return true
  }

  ackBits(position: Position, remaining: readonly number[]): boolean {
    if (!this.has(position) || this.acked.has(keyOf(position))) return false
    const old = this.bits.get(keyOf(position))
    const words = Array.from({ length: Math.max(remaining.length, old?.length ?? 0) }, (_, index) => {
      return (remaining[index] ?? 0) & (old === undefined ? -1 : (old[index] ?? 0))
    })
    if (words.every(word => word === 0)) return this.ack(position)
    this.bits.set(keyOf(position), words)
    return false
  }

  reset(first: Position | undefined, remaining: readonly number[] | undefined): void {
    this.acked.clear()
    this.bits.clear()
    for (const position of this.positions()) {
      if (first === undefined || comparePositions(position, first) < 0) this.acked.add(keyOf(position))
    }
    if (first !== undefined && remaining !== undefined) this.ackBits(first, remaining)
  }

  backlog(): number {
    return this.positions().filter(position => !this.acked.has(keyOf(position))).length
  }
}

/** A whole comparison costs as much as many steps. */
const CHECK_EVERY = 5

/** What is tried: the real classes, or mutants of them. */
export interface Implementation {
  readonly AckState: typeof AckState
  readonly LedgerTable: typeof LedgerTable
}

/**
 * Runs the steps on the state, the model and what is persisted, comparing all three. Each check begins its message with
 * the rule that it holds: `returned`, `acknowledged`, `mark-delete`, `bits`, `ranges`, `backlog`, `persisted`.
 */
export class AckRun {
  readonly #implementation: Implementation
  readonly #table: LedgerTable
  readonly #model = new Model()
  readonly #stored: Buffer[]
  #state: AckState

  constructor(implementation: Implementation) {
    this.#implementation = implementation
    this.#table = new implementation.LedgerTable()
    this.#state = new implementation.AckState(this.#table, { ledgerId: -1, entryId: -1 })
    // What a disk would hold: a snapshot, then deltas.
    this.#stored = this.#state.takeSnapshot(1000)
  }

  run(steps: readonly Step[]): void {
    for (const [index, step] of steps.entries()) {
      this.#apply(step)
      if (index % CHECK_EVERY === 0) this.#check(this.#state)
    }
    this.#check(this.#state)
    this.#persist(100)
    try {
      this.#check(this.#reloaded())
    } catch (error) {
      throw new Error('persisted', { cause: error })
    }
  }

  #check(state: AckState): void {
    let isPrefix = true
    let mark: Position | undefined
    for (const position of this.#model.positions()) {
      const isAcked = this.#model.acked.has(keyOf(position))
      // Not assert.equal: its message would be made for each of thousands of positions.
      if (state.isAcknowledged(position.ledgerId, position.entryId) !== isAcked) {
        assert.fail(`acknowledged ${keyOf(position)}`)
      }
      isPrefix &&= isAcked
      if (isPrefix) mark = position
    }
    if (mark !== undefined) assert.deepEqual(state.markDelete, mark, 'mark-delete')
    assert.equal(state.backlogEntries(), this.#model.backlog(), 'backlog')
    for (const [key, words] of this.#model.bits) {
      const [ledgerId = 0, entryId = 0] = key.split(':').map(Number)
      assert.deepEqual(trimmed(state.remainingBits(ledgerId, entryId) ?? []), trimmed(words), `bits of ${key}`)
    }
    const listed = [...state.ranges()].flatMap(({ ledgerId, first, last }) => {
      return Array.from({ length: last - first + 1 }, (_, index) => keyOf({ ledgerId, entryId: first + index }))
    })
    const past = this.#model.positions().filter(position => comparePositions(position, state.markDelete) > 0)
    const expected = past.map(keyOf).filter(key => this.#model.acked.has(key))
    assert.deepEqual(listed, expected, 'ranges')
  }

  #apply(step: Step): void {
    const model = this.#model
    const table = this.#table
    const state = this.#state
    const positions = model.positions()
    const at = 'at' in step && positions.length > 0 ? positions[step.at % positions.length] : undefined
    if (step.kind === 'append') this.#append(step.entries)
    else if (step.kind === 'roll') this.#roll(step.gap)
    else if (step.kind === 'trim') this.#trim()
    else if (step.kind === 'persist') this.#persist(step.bytesMax)
    else if (step.kind === 'reload') {
      this.#persist(50)
      this.#state = this.#reloaded()
    } else if (step.kind === 'ackAbsent') {
      assert.equal(state.acknowledge(step.ledgerId, step.entryId), model.ack(step), 'returned')
    }
    if (at === undefined || !('at' in step)) return
    const { ledgerId, entryId } = at
    if (step.kind === 'ack') assert.equal(state.acknowledge(ledgerId, entryId), model.ack(at), 'returned')
    else if (step.kind === 'ackBits') {
      assert.equal(
        state.acknowledgeBits(ledgerId, entryId, Int32Array.from(step.words)),
        model.ackBits(at, step.words),
        'returned'
      )
    } else if (step.kind === 'ackUpTo') {
      state.acknowledgeUpTo(at)
      for (const position of positions) if (comparePositions(position, at) <= 0) model.ack(position)
    } else if (step.kind === 'ackRun') {
      const index = step.at % positions.length
      for (const position of positions.slice(index, index + step.count)) {
        assert.equal(state.acknowledge(position.ledgerId, position.entryId), model.ack(position), 'returned')
      }
    } else {
      state.reset(table.previous(at), step.words === undefined ? undefined : Int32Array.from(step.words))
      model.reset(at, step.words)
    }
  }

  #append(entries: number): void {
    const last = this.#model.ledgers.at(-1)
    if (last === undefined) {
      this.#roll(0)
      this.#append(entries)
      return
    }
    last.entries += entries
    this.#table.grow(last.ledgerId, last.entries, last.entries * 10)
  }

  #roll(gap: number): void {
    const last = this.#table.rows.at(-1)?.ledgerId ?? this.#table.trimmedThrough.ledgerId
    const row = { ledgerId: last + 1 + gap, entries: 0, sizeBytes: 0, createdAtMs: 0, closedAtMs: undefined }
    this.#table.add(row)
    this.#model.ledgers.push({ ledgerId: row.ledgerId, entries: 0 })
  }

  #trim(): void {
    const first = this.#model.ledgers[0]
    if (first === undefined || this.#model.ledgers.length < 2) return
    this.#model.ledgers.shift()
    for (const key of [...this.#model.acked, ...this.#model.bits.keys()]) {
      if (!key.startsWith(`${first.ledgerId}:`)) continue
      this.#model.acked.delete(key)
      this.#model.bits.delete(key)
    }
    this.#table.remove(first.ledgerId)
    this.#state.settle()
  }

  #persist(bytesMax: number): void {
    this.#stored.push(...this.#state.takeChanges(bytesMax))
    assert.equal(this.#state.hasChanges, false, 'persisted')
  }

  #reloaded(): AckState {
    const state = new this.#implementation.AckState(this.#table, { ledgerId: -1, entryId: -1 })
    for (const chunk of this.#stored) state.apply(chunk)
    state.settle()
    return state
  }
}

function keyOf(position: Position): string {
  return `${position.ledgerId}:${position.entryId}`
}

function trimmed(words: ArrayLike<number>): number[] {
  const list = Array.from(words)
  while (list.at(-1) === 0) list.pop()
  return list
}
