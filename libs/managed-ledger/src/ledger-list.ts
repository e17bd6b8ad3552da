import type { Clock, Logger } from '@strata/base'
import { ledgerId, reasonOf } from '@strata/base'
import type { LedgerRow, LedgerTable } from '@strata/cursor-protocol'
import type { AppendListener, LedgerAppender, LedgerClient } from '@strata/ledger-client'
import { ManagedLedgerError } from './errors.ts'
import { LEDGERS_PER_CHANGE_MAX, type LogSession } from './log-session.ts'
import type { LedgerRecord } from './records.ts'

export interface LedgerListOwner {
  /** These ledgers are gone from the table. */
  onDropped(ledgerIds: readonly number[]): void
  onFenced(error: Error): void
}

/**
 * The log's list of ledgers: what the metadata says, and the table that memory works with. A ledger is listed before the
 * first entry goes to it, so nothing durable is ever outside the list; it leaves the list after it is deleted.
 */
export class LedgerList {
  readonly name: string
  /** Recorded with every ledger, for whoever finds one that nobody lists. */
  readonly owner: string
  readonly #session: LogSession
  readonly #table: LedgerTable
  readonly #client: LedgerClient
  readonly #clock: Clock
  readonly #log: Logger
  readonly #callbacks: LedgerListOwner
  readonly #unlisted: LedgerRecord[] = []

  constructor(parts: {
    session: LogSession
    table: LedgerTable
    client: LedgerClient
    clock: Clock
    log: Logger
    owner: LedgerListOwner
  }) {
    this.name = parts.session.name
    this.owner = `log:${this.name}@${parts.session.record.epoch}`
    this.#session = parts.session
    this.#table = parts.table
    this.#client = parts.client
    this.#clock = parts.clock
    this.#log = parts.log
    this.#callbacks = parts.owner
  }

  /** @throws ManagedLedgerError LOG_FENCED, METADATA_UNAVAILABLE */
  verifyOwner(): Promise<void> {
    return this.#session.verify()
  }

  /**
   * Creates a ledger and lists it: both, or neither. One of which that stays unknown is found, and closed, by the next owner.
   * @throws ManagedLedgerError LOG_FENCED; errors of the ledger client
   */
  async create(listener: AppendListener): Promise<LedgerAppender> {
    const after = this.#table.lastLedgerId
    const createdAtMs = this.#clock.wallMs()
    const rowOf = (id: number): LedgerRow => {
      return { ledgerId: id, entries: 0, sizeBytes: 0, createdAtMs, closedAtMs: undefined }
    }
    const appender = await this.#client.create({
      owner: this.owner,
      listener,
      ...(after < 0 ? {} : { after: ledgerId(after) }),
      commit: (id, birth) => this.#session.list({ ...rowOf(id), state: 'open' }, birth)
    })
    this.#table.add(rowOf(appender.ledgerId))
    return appender
  }

  /**
   * The ledger takes no more entries; the list follows in the background (until then it is recovered if need be). `isLast`: with
   * what is written of the log next, see `takeUnlisted`.
   */
  close(id: number, { isLast }: { isLast: boolean }): void {
    this.#table.close(id, this.#clock.wallMs())
    const row = this.#table.row(id)
    if (row === undefined) return
    if (isLast && row.entries > 0) {
      this.#unlisted.push({ ...row, state: 'closed' })
      return
    }
    const done =
      row.entries === 0 ? this.drop([id]) : this.#session.change(() => ({ put: [{ ...row, state: 'closed' }] }))
    done.catch((error: unknown) => {
      this.#onBackgroundError('close', error)
    })
  }

  /** Ledgers that were closed as the log's last, for whoever writes why it was. The list has them as open until then. */
  takeUnlisted(): readonly LedgerRecord[] {
    return this.#unlisted.splice(0)
  }

  /** Waits for every change of the metadata asked for so far. */
  settled(): Promise<void> {
    return this.#session.change(() => ({}))
  }

  /**
   * Takes ledgers (the first ones, or empty ones) out of the log: marked for deletion before they leave the table,
   * deleted in the background, or by the next owner. `properties` is asked at the change itself, and put with it.
   * @throws ManagedLedgerError LOG_FENCED
   */
  async drop(
    ledgerIds: readonly number[],
    properties?: () => Readonly<Record<string, string>> | undefined
  ): Promise<void> {
    for (let from = 0; from < ledgerIds.length; from += LEDGERS_PER_CHANGE_MAX) {
      const ids = ledgerIds.slice(from, from + LEDGERS_PER_CHANGE_MAX)
      await this.#session.change(record => ({
        record: {
          trimmedThrough: this.#trimmedAfter(ids) ?? record.trimmedThrough,
          properties: { ...record.properties, ...properties?.() }
        },
        put: ids.flatMap(id => this.#deletingRecord(id))
      }))
      for (const id of ids) this.#table.remove(id)
      this.#callbacks.onDropped(ids)
      this.deleteMarked(ids)
    }
  }

  /** Deletes ledgers that are marked so, in the background. */
  deleteMarked(ids: readonly number[]): void {
    deleteListed({ session: this.#session, client: this.#client, ids }).catch((error: unknown) => {
      this.#onBackgroundError('delete', error)
    })
  }

  #trimmedAfter(ids: readonly number[]): { ledgerId: number; entryId: number } | undefined {
    let last: { ledgerId: number; entryId: number } | undefined
    for (const [index, row] of this.#table.rows.entries()) {
      if (index >= ids.length || !ids.includes(row.ledgerId)) break
      last = { ledgerId: row.ledgerId, entryId: row.entries - 1 }
    }
    return last
  }

  #deletingRecord(id: number): LedgerRecord[] {
    const row = this.#table.row(id)
    return row === undefined ? [] : [{ ...row, state: 'deleting' }]
  }

  #onBackgroundError(work: string, error: unknown): void {
    if (ManagedLedgerError.is(error, 'LOG_FENCED')) this.#callbacks.onFenced(error)
    else if (!this.#session.isEnded) {
      const reason = reasonOf(error)
      this.#log.warn(
        { event: 'ledger_list.change_failed', work, reason },
        'left for the next owner of the log to finish'
      )
    }
  }
}

/** Deletes ledgers, then takes them off the list. @throws ManagedLedgerError LOG_FENCED; errors of the ledger client */
export async function deleteListed(parts: {
  session: LogSession
  client: LedgerClient
  ids: readonly number[]
}): Promise<void> {
  const { session, client, ids } = parts
  for (let from = 0; from < ids.length; from += LEDGERS_PER_CHANGE_MAX) {
    const batch = ids.slice(from, from + LEDGERS_PER_CHANGE_MAX)
    await Promise.all(batch.map(id => client.delete(ledgerId(id))))
    await session.change(() => ({ remove: batch }))
  }
}
