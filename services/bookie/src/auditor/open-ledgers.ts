import type { BookieId, Clock, LedgerId, Logger } from '@strata/base'
import { LedgerError, type LedgerClient, type VersionedLedger } from '@strata/ledger-client'
import type { Unfinished } from './ledger-repair.ts'
import type { NodeWatch } from './node-watch.ts'

export interface OpenLedgerDoors {
  readonly ledgers: LedgerClient
  readonly nodes: NodeWatch
  readonly clock: Clock
  readonly logger: Logger
  /** How long a ledger is left to its writer, or its recoverer. */
  readonly graceMs: number
}

/** Ledgers that are waited for at one time; those past it have their turn later. */
const WAITING_MAX = 100_000

/**
 * Ledgers that are not closed and need it: one whose last ensemble has a member that is gone or is to leave, and one whose
 * recovery does not end. Each is left to its writer for a grace period in which nothing of it changes, then recovered.
 */
export class OpenLedgers {
  readonly #doors: OpenLedgerDoors
  readonly #waiting = new Map<LedgerId, { readonly version: number; readonly sinceMs: number }>()
  readonly #alarmed = new Set<LedgerId>()

  constructor(doors: OpenLedgerDoors) {
    this.#doors = doors
  }

  needsRecovery({ record }: VersionedLedger): boolean {
    if (record.state === 'closed') return false
    return record.state === 'in-recovery' || this.#troubled(record.ensembles.at(-1)?.bookies ?? []).length > 0
  }

  /** undefined: it is closed now. @throws LedgerError what recovery throws, but for RECOVERY_BLOCKED and UNAVAILABLE; MetadataError */
  async visit(id: LedgerId, ledger: VersionedLedger): Promise<Unfinished | undefined> {
    const { clock, graceMs, ledgers, logger } = this.#doors
    const before = this.#waiting.get(id)
    if (before?.version !== ledger.version) {
      if (this.#waiting.size < WAITING_MAX) {
        this.#waiting.set(id, { version: ledger.version, sinceMs: clock.nowMs() })
      }
      if (graceMs > 0) return { why: 'it is left to its writer for a while', retry: true }
    } else if (clock.nowMs() - before.sinceMs < graceMs) {
      return { why: 'it is left to its writer for a while', retry: true }
    }
    try {
      const end = await ledgers.recover(id)
      this.#waiting.delete(id)
      this.#alarmed.delete(id)
      const fields = { event: 'ledger.recovered', ledgerId: id, lastEntryId: end.lastEntryId }
      logger.info(fields, 'closed a ledger that its writer left')
      return undefined
    } catch (error) {
      if (LedgerError.is(error, 'NO_SUCH_LEDGER')) return undefined
      if (!LedgerError.is(error, 'RECOVERY_BLOCKED') && !LedgerError.is(error, 'UNAVAILABLE')) throw error
      this.#alarm(id, error)
      return { why: `it cannot be closed: ${blockersOf(error)}`, retry: true }
    }
  }

  #troubled(members: readonly BookieId[]): BookieId[] {
    return members.filter(id => this.#doors.nodes.standing(id) !== 'present')
  }

  #alarm(id: LedgerId, error: unknown): void {
    if (this.#alarmed.has(id) || this.#alarmed.size >= WAITING_MAX) return
    this.#alarmed.add(id)
    const fields = { event: 'ledger.recovery_blocked', ledgerId: id, err: error }
    this.#doors.logger.error(fields, 'a ledger cannot be closed before nodes are back or declared destroyed')
  }
}

function blockersOf(error: { details: Readonly<Record<string, unknown>>; message: string }): string {
  const { blockers } = error.details
  return blockers === undefined ? error.message : JSON.stringify(blockers)
}
