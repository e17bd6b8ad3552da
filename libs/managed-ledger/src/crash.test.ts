import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import type { Cursor, ManagedLedger } from './contract.ts'
import { Appends, KEEP_ALL, LogWorld, type Owner } from './testing/log-world.ts'

type Step =
  | { readonly kind: 'append'; readonly count: number }
  | { readonly kind: 'ack'; readonly cursor: number; readonly at: number }
  | { readonly kind: 'ackUpTo'; readonly cursor: number; readonly at: number }
  | { readonly kind: 'flush'; readonly cursor: number }
  | { readonly kind: 'reset'; readonly cursor: number; readonly at: number }
  | { readonly kind: 'openCursor'; readonly cursor: number; readonly isEarliest: boolean }
  | { readonly kind: 'deleteCursor'; readonly cursor: number }
  | { readonly kind: 'turns'; readonly count: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'failWriters'; readonly after: number }
  | { readonly kind: 'crash'; readonly keep: number }
  | { readonly kind: 'takeover' }
  | { readonly kind: 'close' }

const cursor = fc.nat(2)
const at = fc.nat(60)
const stepArb: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('ack' as const), cursor, at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ackUpTo' as const), cursor, at }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('flush' as const), cursor }) },
  fc.record({ kind: fc.constant('reset' as const), cursor, at }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('openCursor' as const), cursor, isEarliest: fc.boolean() }) },
  fc.record({ kind: fc.constant('deleteCursor' as const), cursor }),
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 6 }) }) },
  fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(300, 600, 70_000) }),
  fc.record({ kind: fc.constant('failWriters' as const), after: fc.nat(4) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), keep: fc.nat(5) }) },
  fc.record({ kind: fc.constant('takeover' as const) }),
  fc.record({ kind: fc.constant('close' as const) })
)

/** What is known of one cursor: `issued` may be acknowledged, `durable` must be. Keys are positions. */
interface CursorModel {
  issued: Set<string>
  durable: Set<string>
  /** Raised by a reset: what was asked before it says nothing of what is after it. */
  generation: number
}

const keyOf = (position: { readonly ledgerId: number; readonly entryId: number }): string => {
  return `${position.ledgerId}:${position.entryId}`
}

class Run {
  readonly #world = new LogWorld()
  readonly #isTrimming: boolean
  readonly #confirmed = new Map<string, string>()
  readonly #cursors = new Map<string, CursorModel>()
  #owner!: Owner
  #log!: ManagedLedger<string>
  #appends!: Appends
  #noted = 0
  #labels = 0

  constructor(isTrimming: boolean) {
    this.#isTrimming = isTrimming
  }

  async run(steps: readonly Step[]): Promise<void> {
    await this.#open()
    for (const step of steps) await this.#apply(step)
    this.#world.ledgers.failAfter = undefined
    await this.#kill(1)
    await this.#open()
    const outcomes = await this.#soon(this.#appends.all('last'))
    assert.equal(outcomes.at(-1)?.error, undefined)
  }

  async #open(): Promise<void> {
    this.#owner = this.#world.owner({ cursorLedgerBytesMax: 200 })
    const opening = this.#owner.factory.open<string>('t', {
      create: true,
      retention: this.#isTrimming ? { timeMs: 0, sizeBytes: 0 } : KEEP_ALL.retention,
      rollover: { entriesMax: 7, bytesMax: 1 << 20, ageMsMin: 0, ageMsMax: 60_000 }
    })
    this.#log = await this.#soon(opening)
    this.#appends = new Appends(this.#log)
    this.#noted = 0
    await this.#check()
  }

  async #apply(step: Step): Promise<void> {
    const log = this.#log
    if (step.kind === 'append') {
      for (let count = 0; count < step.count; count++) this.#appends.append(String(this.#labels++))
    } else if (step.kind === 'turns') await this.#turns(step.count)
    else if (step.kind === 'time') this.#world.clock.advance(step.ms)
    else if (step.kind === 'failWriters') this.#world.ledgers.failAfter = step.after
    else if (step.kind === 'close') {
      this.#world.ledgers.failAfter = undefined
      await this.#soon(log.close())
      this.#noteAppends()
      await this.#open()
    } else if (step.kind === 'crash') {
      await this.#kill(step.keep)
      await this.#open()
    } else if (step.kind === 'takeover') {
      const old = this.#owner
      await this.#open() // the old owner goes on until it is fenced
      this.#noteAppends()
      old.client.kill(() => 0)
    } else await this.#applyToCursor(step, `c${step.cursor}`)
  }

  async #applyToCursor(step: Extract<Step, { readonly cursor: number }>, name: string): Promise<void> {
    const log = this.#log
    const known = log.cursor(name)
    const model = this.#cursors.get(name)
    if (step.kind === 'openCursor') {
      if (known !== undefined) return
      this.#noteAppends()
      const before = [...this.#positions(), ...this.#confirmed.keys()]
      const opened = await this.#soon(log.openCursor(name, { initial: step.isEarliest ? 'earliest' : 'latest' }))
      const stored = new Set(this.#positions())
      const gone = before.filter(key => !stored.has(key))
      const acked = new Set([...ackedKeys(opened, stored), ...gone])
      this.#cursors.set(name, { issued: acked, durable: new Set(acked), generation: 0 })
      return
    }
    if (known === undefined || model === undefined) return
    if (step.kind === 'deleteCursor') {
      await this.#soon(log.deleteCursor(name))
      this.#cursors.delete(name)
    } else if (step.kind === 'flush') this.#flush(known, model)
    else if (step.kind === 'reset') {
      const first = log.positionAfter({ ledgerId: -1, entryId: -1 }, step.at + 1)
      model.generation += 1
      const before = [...this.#positions(), ...model.issued] // some may be trimmed at once
      await this.#soon(known.reset(first))
      const stored = new Set(this.#positions())
      const gone = before.filter(key => !stored.has(key))
      model.issued = new Set([...ackedKeys(known, stored), ...gone])
      model.durable = new Set(model.issued)
    } else {
      const target = log.positionAfter({ ledgerId: -1, entryId: -1 }, step.at + 1)
      if (step.kind === 'ack') known.acknowledge(target.ledgerId, target.entryId)
      else known.acknowledgeUpTo(target)
      for (const key of ackedKeys(known, this.#positions())) model.issued.add(key)
    }
  }

  #flush(known: Cursor, model: CursorModel): void {
    const asked = new Set(model.issued)
    const { generation } = model
    const owner = this.#owner
    known.afterDurable(error => {
      if (error !== undefined || owner.client.isKilled || model.generation !== generation) return
      for (const key of asked) model.durable.add(key)
    })
  }

  /** Lets time pass for work that waits for it (retries), until the work is done. */
  async #soon<Result>(work: Promise<Result>): Promise<Result> {
    let isDone = false
    const done = work.finally(() => {
      isDone = true
    })
    done.catch(() => undefined)
    await this.#world.until(() => {
      if (!isDone) this.#world.clock.advance(20)
      return isDone
    })
    return done
  }

  async #turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await new Promise<void>(resolve => setImmediate(resolve))
    this.#noteAppends()
  }

  async #kill(keep: number): Promise<void> {
    this.#noteAppends()
    this.#owner.client.kill(pending => Math.min(keep, pending))
    await this.#turns(1)
  }

  #noteAppends(): void {
    const { outcomes } = this.#appends
    for (; this.#noted < outcomes.length; this.#noted++) {
      const outcome = outcomes[this.#noted]
      if (outcome?.position !== undefined) this.#confirmed.set(keyOf(outcome.position), outcome.label)
    }
  }

  *#positions(): Generator<string> {
    const { ledgers } = this.#log.stats()
    for (const { ledgerId, entries } of ledgers)
      for (let id = 0; id < entries; id++) yield keyOf({ ledgerId, entryId: id })
  }

  async #check(): Promise<void> {
    const log = this.#log
    const stored = await this.#read(5)
    assert.deepEqual(await this.#read(11), stored, 'what is cached is what is stored')
    const numbers = [...stored.values()].filter(label => label !== 'last').map(Number)
    assert.ok(
      numbers.every((label, index) => index === 0 || label > (numbers[index - 1] ?? 0)),
      `order and uniqueness: ${numbers.join()}`
    )
    for (const [key, model] of this.#cursors) this.#checkCursor(log.cursor(key), model, stored)
    assert.equal(log.cursors().length, this.#cursors.size, 'cursors')
    for (const [key, label] of this.#confirmed) {
      if (stored.get(key) === label) continue
      assert.equal(stored.get(key), undefined, `other content at ${key}`)
      assert.ok(this.#isTrimming, `lost ${key}`)
      for (const { issued } of this.#cursors.values()) assert.ok(issued.has(key), `trimmed unacknowledged ${key}`)
    }
    // What is there now was confirmed by recovery.
    for (const [key, label] of stored) this.#confirmed.set(key, label)
  }

  async #read(entriesMax: number): Promise<Map<string, string>> {
    const stored = new Map<string, string>()
    for (let from = this.#log.firstPosition; ;) {
      const entries = await this.#log.read(from, { entriesMax, bytesMax: 1 << 20 })
      const last = entries.at(-1)
      if (last === undefined) return stored
      for (const entry of entries) stored.set(keyOf(entry), entry.payload.toString())
      from = this.#log.nextPosition(last)
    }
  }

  #checkCursor(known: Cursor | undefined, model: CursorModel, stored: ReadonlyMap<string, string>): void {
    assert.ok(known !== undefined, 'a cursor is lost')
    const acked = ackedKeys(known, stored.keys())
    for (const key of model.durable) assert.ok(!stored.has(key) || acked.has(key), `came back: ${key}`)
    for (const key of acked) assert.ok(model.issued.has(key), `acknowledged by nobody: ${key}`)
    assert.equal(known.backlogEntries(), stored.size - acked.size, 'backlog')
    const gone = [...model.issued].filter(key => !stored.has(key))
    model.issued = new Set([...acked, ...gone])
    model.durable = new Set([...acked, ...gone])
    model.generation += 1
  }
}

function ackedKeys(known: Cursor, keys: Iterable<string>): Set<string> {
  const acked = new Set<string>()
  for (const key of keys) {
    const [ledgerId = 0, entryId = 0] = key.split(':').map(Number)
    if (known.isAcknowledged(ledgerId, entryId)) acked.add(key)
  }
  return acked
}

describe('after any crash, takeover or close', () => {
  test.each([false, true])('nothing durable is lost, nothing answered comes back (trimming: %s)', async isTrimming => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepArb, { minLength: 10, maxLength: 70, size: 'max' }), async steps => {
        await new Run(isTrimming).run(steps)
      }),
      { numRuns: 40 }
    )
  })
})
