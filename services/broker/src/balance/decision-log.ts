import type { Clock } from '@strata/base'
import { transactUntilAnswered, type MetadataStore } from '@strata/metadata'
import { scanAll } from '../namespace/rows.ts'
import { balanceKeys, decodeCycle, encodeCycle, type DecisionCycle, type LoggedDecision } from './rows.ts'

/** At one a minute more than four hours. */
const SLOTS = 256
/** Decisions of a row: some 30 KB. */
const DECISIONS_PER_ROW = 75

/** Decisions for people, and for the next leader: a ring of rows, so that neither a restart nor a new leader forgets them. */
export class DecisionLog {
  readonly #store: MetadataStore
  readonly #clock: Clock
  /** undefined: not known yet. */
  #next: number | undefined

  constructor(store: MetadataStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** @throws MetadataError */
  async append(cycle: DecisionCycle): Promise<void> {
    this.#next ??= await this.#slotAfterLast()
    for (let at = 0; at < cycle.decisions.length; at += DECISIONS_PER_ROW) {
      const value = encodeCycle({ ...cycle, decisions: cycle.decisions.slice(at, at + DECISIONS_PER_ROW) })
      const changes = [{ kind: 'put', key: balanceKeys.decision(this.#next), value } as const]
      await transactUntilAnswered(this.#store, { compares: [], changes }, { clock: this.#clock })
      this.#next = (this.#next + 1) % SLOTS
    }
  }

  /** Oldest first. @throws MetadataError */
  async cycles(): Promise<DecisionCycle[]> {
    const cycles: DecisionCycle[] = []
    for await (const record of scanAll(this.#store, balanceKeys.decisions)) cycles.push(decodeCycle(record))
    return cycles.sort((a, b) => a.atMs - b.atMs)
  }

  /** One line each, oldest first. @throws MetadataError */
  async reasonsOf(bundle: string): Promise<string[]> {
    const cycles = await this.cycles()
    return cycles.flatMap(cycle =>
      cycle.decisions.filter(decision => concerns(decision, bundle)).map(decision => lineOf(cycle, decision))
    )
  }

  async #slotAfterLast(): Promise<number> {
    let last = -1
    let lastVersion = -Infinity
    // not by their times: a leader whose clock was an hour ahead would have written the last one for an hour
    for await (const { key, version } of scanAll(this.#store, balanceKeys.decisions)) {
      if (version < lastVersion) continue
      last = Number(key.slice(balanceKeys.decisions.length))
      lastVersion = version
    }
    return (last + 1) % SLOTS
  }
}

function concerns(decision: LoggedDecision, bundle: string): boolean {
  return decision.bundle === bundle || (decision.kind === 'merge' && decision.to === bundle)
}

function lineOf({ atMs, leader }: DecisionCycle, { reason, outcome }: LoggedDecision): string {
  return `${new Date(atMs).toISOString()} ${leader}: ${reason}; ${outcome}`
}
