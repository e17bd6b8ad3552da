import type { Compare } from '@strata/metadata'
import type { BundleName } from './contract.ts'
import type { Outcome, OwnerRow, RawPut } from './events.ts'
import type { LocalBundle } from './local-bundle.ts'
import type { MachineContext } from './machine-context.ts'
import { ownershipKeys } from './rows.ts'

/** After a transaction that found something else than what is known here, unless news come earlier. */
const CONFLICT_PAUSE_MS = 50
const FAILURE_PAUSE_MS = 250

/** A row that is wanted, without its time. */
export interface WantedRow {
  readonly owner: string
  readonly next: string
  readonly reason: string
  readonly movingMs?: number
  readonly namesTopics?: boolean
  /** The bundle is given to somebody: only where the namespace has it. */
  readonly isGiving?: boolean
}

/**
 * Writes rows of owners: one transaction a bundle under way at most.
 *
 * Invariant H2: every transaction compares the row as it was judged, this broker's registration, and that the registration of
 * the former owner is gone; one that gives a bundle to somebody compares that the namespace has it, too.
 */
export class OwnerWriter {
  readonly #context: MachineContext
  readonly #onSettled: (local: LocalBundle, outcome: Outcome) => void

  /** @param onSettled what was committed is known by then */
  constructor(context: MachineContext, onSettled: (local: LocalBundle, outcome: Outcome) => void) {
    this.#context = context
    this.#onSettled = onSettled
  }

  put(local: LocalBundle, wanted: WantedRow): void {
    const row = this.rowOf(wanted)
    const { namesTopics = false, isGiving = false } = wanted
    local.pending = 'write'
    const judgedVersion = this.#versionOf(local)
    this.#context.transact({
      compares: this.#compares(local),
      changes: [{ kind: 'own', bundle: local.name, row, namesTopics }],
      ...(isGiving ? { within: local.name } : {}),
      onOutcome: outcome => {
        if (outcome.kind === 'committed') {
          this.#context.decided(local.key, `${this.#describe(row)}: ${row.reason}`)
          this.apply(local.name, { row, version: outcome.revision })
          if (isGiving) local.isObsolete = false // the namespace was compared
        }
        this.#settle(local, outcome, judgedVersion)
      }
    })
  }

  remove(local: LocalBundle): void {
    local.pending = 'write'
    const judgedVersion = this.#versionOf(local)
    this.#context.transact({
      compares: this.#compares(local),
      changes: [{ kind: 'delete', key: ownershipKeys.owner(local.key) }],
      onOutcome: outcome => {
        if (outcome.kind === 'committed') this.apply(local.name, { row: undefined, version: outcome.revision })
        this.#settle(local, outcome, judgedVersion)
      }
    })
  }

  /**
   * The rows of a split or a merge give way to those of its parts, all held here. The new rows have the version of this
   * transaction, which is above those of all rows before: epochs of holds grow with every change of division, too.
   */
  redivide(
    locals: readonly LocalBundle[],
    division: { parts: readonly BundleName[]; row: OwnerRow; compares: readonly Compare[]; change: RawPut },
    onOutcome: (outcome: Outcome) => void
  ): void {
    const { parts, row, compares, change } = division
    const judged = locals.map(local => ({ local, version: this.#versionOf(local) }))
    for (const local of locals) local.pending = 'redivide'
    const own = locals.map(({ key }) => ({ key: ownershipKeys.owner(key), version: this.#versionOf({ key }) }))
    const free = parts.map(part => ({ key: ownershipKeys.owner(part.toString()), version: 0 }))
    this.#context.transact({
      compares: [...own, ...free, this.#context.registry.ownCompare, ...compares],
      changes: [
        ...locals.map(({ key }) => ({ kind: 'delete', key: ownershipKeys.owner(key) }) as const),
        ...parts.map(part => ({ kind: 'own', bundle: part, row, namesTopics: false }) as const),
        change
      ],
      onOutcome: outcome => {
        if (outcome.kind === 'committed') {
          for (const { name } of locals) this.apply(name, { row: undefined, version: outcome.revision })
          for (const part of parts) this.apply(part, { row, version: outcome.revision })
        }
        onOutcome(outcome)
        for (const { local, version } of judged) this.#settle(local, outcome, version)
      }
    })
  }

  rowOf({ owner, next, reason, movingMs = 0 }: WantedRow): OwnerRow {
    return { owner, next, reason, movingMs, sinceMs: Math.trunc(this.#context.wallMs), loadedTopics: [] }
  }

  apply(bundle: BundleName, { row, version }: { row: OwnerRow | undefined; version: number }): void {
    const { table, nowMs } = this.#context
    table.apply({ bundle: bundle.toString(), row, version, source: 'answer', nowMs })
  }

  #settle(local: LocalBundle, outcome: Outcome, judgedVersion: number): void {
    const { nowMs } = this.#context
    const hasNews = this.#versionOf(local) !== judgedVersion
    local.pending = 'no'
    // a division that is remembered may be older than a row that was given by it: the news of it must have time to come
    if ((outcome.kind === 'conflict' || outcome.kind === 'obsolete') && !hasNews)
      local.pausedUntilMs = nowMs + CONFLICT_PAUSE_MS
    if (outcome.kind === 'failed') local.pausedUntilMs = nowMs + FAILURE_PAUSE_MS
    this.#onSettled(local, outcome)
  }

  /** Of its row as it is known; 0: there is none. */
  #versionOf({ key }: Pick<LocalBundle, 'key'>): number {
    return this.#context.table.get(key)?.version ?? 0
  }

  #compares(local: LocalBundle): Compare[] {
    const { table, registry } = this.#context
    const former = table.get(local.key)?.row.owner ?? ''
    const compares = [{ key: ownershipKeys.owner(local.key), version: this.#versionOf(local) }, registry.ownCompare]
    if (former !== '' && former !== registry.instance) {
      compares.push({ key: ownershipKeys.broker(former), version: 0 })
    }
    return compares
  }

  #describe({ owner, next }: OwnerRow): string {
    const nameOf = (instance: string): string => this.#context.registry.get(instance)?.id ?? instance
    if (next === '') return `owned by ${nameOf(owner)}`
    return owner === '' ? `given to ${nameOf(next)}` : `from ${nameOf(owner)} to ${nameOf(next)}`
  }
}
