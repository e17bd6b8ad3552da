import { randomUUID } from 'node:crypto'
import { CodedError, type BookieId, type Clock, type EntryId, type LedgerId, type Logger } from '@strata/base'
import { withEnsemble, type Ensemble, type LedgerEnd } from '@strata/ledger-protocol'
import type { LedgerMetadata, VersionedLedger } from './ledger-metadata.ts'
import type { LedgerRecord } from './ledger-records.ts'

/**
 * A record of so many ensembles stays well below what a value may have. A ledger that would have more ends, and its owner
 * begins the next one.
 */
const ENSEMBLES_MAX = 100
/** Between attempts to learn whether a change was made, while the store does not answer. */
const ASK_AGAIN_MS = 1_000

export type Committed =
  /** The metadata says so. */
  | 'committed'
  /** The ledger is not open any more, or its last ensemble is not the writer's: another process has it. */
  | 'fenced'

/**
 * The metadata of a ledger as its writer knows it: changed by compare-and-set, merged with what others may change beside it
 * (the ensembles before the last one), and asked about again until it is certain what it says. One change at a time.
 */
export class OpenLedgerMetadata {
  readonly #ledgerId: LedgerId
  readonly #metadata: LedgerMetadata
  readonly #clock: Clock
  readonly #log: Logger
  #known: VersionedLedger

  constructor(options: {
    ledgerId: LedgerId
    created: VersionedLedger
    metadata: LedgerMetadata
    clock: Clock
    logger: Logger
  }) {
    this.#ledgerId = options.ledgerId
    this.#known = options.created
    this.#metadata = options.metadata
    this.#clock = options.clock
    this.#log = options.logger
  }

  /** Can there be one more, if it does not begin where the last one does? */
  hasRoomFor(firstEntryId: EntryId): boolean {
    return this.#known.record.ensembles.length < ENSEMBLES_MAX || this.lastEnsemble?.firstEntryId === firstEntryId
  }

  get lastEnsemble(): Ensemble | undefined {
    return this.#known.record.ensembles.at(-1)
  }

  /** As it was known last. */
  get record(): LedgerRecord {
    return this.#known.record
  }

  /** Entries from `firstEntryId` on are on these nodes. */
  changeEnsemble(next: { firstEntryId: EntryId; bookies: readonly BookieId[] }): Promise<Committed> {
    return this.#commit(record => ({ ...record, ensembles: withEnsemble(record.ensembles, next) }))
  }

  /** Closed at `end`, by this writer or by a recoverer that found the same end. */
  async close(end: LedgerEnd): Promise<Committed> {
    const committed = await this.#commit(record => ({ ...record, state: 'closed', end }))
    if (committed === 'committed') return committed
    // A recoverer was faster. Everything appended here is confirmed, so it can have closed at this very end only.
    const current = await this.#untilAnswered(() => this.#metadata.read(this.#ledgerId))
    return current?.record.end?.lastEntryId === end.lastEntryId ? 'committed' : 'fenced'
  }

  async #commit(change: (record: LedgerRecord) => Omit<LedgerRecord, 'operationId'>): Promise<Committed> {
    for (;;) {
      const before = this.#known
      const operationId = randomUUID() // one operation, however often it is submitted
      const stored = await this.#untilAnswered(() =>
        this.#metadata.replace(this.#ledgerId, before, change(before.record), operationId)
      )
      if (stored !== undefined) {
        this.#known = stored
        return 'committed'
      }
      const current = await this.#untilAnswered(() => this.#metadata.read(this.#ledgerId))
      if (current?.record.state !== 'open') return 'fenced'
      if (!isSame(current.record.ensembles.at(-1), this.lastEnsemble)) return 'fenced'
      this.#known = current
    }
  }

  /** No deadline: nothing may be concluded before there is an answer, and without the store no other ledger is begun. */
  async #untilAnswered<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!(error instanceof CodedError) || !error.retryable) throw error
        const details = { event: 'ledger.metadata_unanswered', ledgerId: this.#ledgerId, code: String(error.code) }
        this.#log.warn(details, 'the metadata store does not say whether a ledger was changed')
        await new Promise<void>(resolve => this.#clock.after(ASK_AGAIN_MS, resolve))
      }
    }
  }
}

function isSame(a: Ensemble | undefined, b: Ensemble | undefined): boolean {
  if (a === undefined || b === undefined || a.firstEntryId !== b.firstEntryId) return false
  return a.bookies.length === b.bookies.length && a.bookies.every((bookie, i) => bookie === b.bookies[i])
}
