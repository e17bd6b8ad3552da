import { CodedError, type Clock, type LedgerId, type Logger } from '@strata/base'
import { LedgerError, LedgerMetadata, type LedgerRecord } from '@strata/ledger-client'
import { orphanDecision, type OwnershipFacts } from '@strata/ledger-protocol'
import { listingOf, parseOwner, type Listing } from '@strata/managed-ledger'
import type { Compare, MetadataStore } from '@strata/metadata'

export interface OrphanDoors {
  readonly metadata: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly guards: readonly Compare[]
  /** How long a ledger that its owner does not list is kept. */
  readonly graceMs: number
}

/** Watched at one time; those past it have their turn when others are gone. */
const WATCHED_MAX = 100_000

/**
 * Deletes the metadata of ledgers that their owners do not list, with a deletion record, so that their nodes give the space back.
 * Only by what was committed, and in one transaction with its still being so: an owner that this program does not know, or
 * whose list cannot be read, keeps its ledgers.
 */
export class OrphanCollector {
  readonly #doors: OrphanDoors
  readonly #unlistedSinceMs = new Map<LedgerId, number>()

  constructor(doors: OrphanDoors) {
    this.#doors = doors
  }

  /** Looks at one ledger; true: it was deleted. @throws MetadataError; LedgerError NOT_LEADER */
  async look(id: LedgerId, { owner }: LedgerRecord): Promise<boolean> {
    const { clock, graceMs } = this.#doors
    const found = await this.#listing(id, owner)
    const listing: OwnershipFacts['listing'] = found?.standing ?? 'unknown'
    if (listing !== 'not listed') this.#unlistedSinceMs.delete(id)
    else if (!this.#unlistedSinceMs.has(id) && this.#unlistedSinceMs.size < WATCHED_MAX) {
      this.#unlistedSinceMs.set(id, clock.nowMs())
    }
    const sinceMs = this.#unlistedSinceMs.get(id) ?? clock.nowMs()
    const unlistedForMs = clock.nowMs() - sinceMs
    const isDue = orphanDecision({ listing, unlistedForMs, graceMs }) === 'delete'
    // one that is being deleted is its owner's to delete, as long as there is one that will
    if (!isDue || found === undefined || listing === 'deleting') return false
    return this.#delete(id, { owner, found })
  }

  async #listing(ledgerId: LedgerId, owner: string): Promise<Listing | undefined> {
    const known = parseOwner(owner)
    if (known === undefined) return undefined
    try {
      return await listingOf(this.#doors.metadata, { ...known, ledgerId })
    } catch (error) {
      if (error instanceof CodedError && !error.retryable) return undefined // it cannot be read: that is no 'no'
      throw error
    }
  }

  async #delete(id: LedgerId, { owner, found }: { owner: string; found: Listing }): Promise<boolean> {
    const { metadata, clock, logger, guards } = this.#doors
    try {
      await new LedgerMetadata(metadata, clock, [...guards, ...found.compares]).delete(id)
    } catch (error) {
      if (!LedgerError.is(error, 'NOT_LEADER')) throw error
      return false // listed meanwhile, or another leader does it
    }
    this.#unlistedSinceMs.delete(id)
    const fields = { event: 'ledger.orphan_deleted', ledgerId: id, owner }
    logger.info(fields, 'deleted a ledger that its owner does not list')
    return true
  }
}
