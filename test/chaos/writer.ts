// Writes ledger after ledger, as the owner of a log does: the next one begins when it is known where the last one ends.
import { setTimeout as delay } from 'node:timers/promises'
import { asError, CodedError } from '@strata/base'
import type { FollowingLedgerClient, LedgerAppender } from '@strata/ledger-client'
import type { SeededRandom } from '../support/random.ts'
import { noteEnd, payloadOf, type LedgerRecord } from './ledger-record.ts'

const TICK_MS = 10
const ENTRIES_A_TICK = 4
const PENDING_BYTES_MAX = 256 * 1024
const RETRY_MS = 200

export interface WriterOptions {
  readonly name: string
  readonly ledgers: FollowingLedgerClient
  readonly random: SeededRandom
  /** Gets every ledger that is begun. */
  readonly records: LedgerRecord[]
  readonly violations: string[]
  /** Of one ledger. */
  readonly entriesMax?: number
}

const ENTRIES_MAX = 3_000

export class ChaosWriter {
  readonly #options: WriterOptions
  /** Writers that ended before their time, and ledgers that were recovered for it. */
  failures = 0
  recovered = 0
  /** The ledger being written, for who wants to take it away. */
  current: LedgerRecord | undefined

  constructor(options: WriterOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#writeOne(signal)
      } catch (error) {
        if (!isOperating(error)) throw error
        await delay(RETRY_MS) // not enough nodes, or the metadata store is silent
      }
    }
  }

  async #writeOne(signal: AbortSignal): Promise<void> {
    const { name, ledgers, random, records, violations, entriesMax = ENTRIES_MAX } = this.#options
    const state: { failure: Error | undefined; record: LedgerRecord | undefined } = {
      failure: undefined,
      record: undefined
    }
    const onConfirmed = (lac: number): void => {
      if (state.record === undefined) return
      const { ledgerId, acknowledged } = state.record
      if (lac <= acknowledged) violations.push(`ledger ${ledgerId}: ${lac} is acknowledged behind ${acknowledged}`)
      state.record.acknowledged = lac
    }
    const onFailed = (error: Error): void => {
      state.failure = error
    }
    const ledger = await ledgers.create({ owner: `log:chaos/${name}@1`, listener: { onConfirmed, onFailed } })
    const record: LedgerRecord = {
      ledgerId: ledger.ledgerId,
      writer: name,
      appended: 0,
      acknowledged: -1,
      end: undefined
    }
    state.record = record
    records.push(record)
    this.current = record
    const entries = random.between(50, entriesMax)
    while (state.failure === undefined && record.appended < entries && !signal.aborted) {
      this.#append(ledger, { record, hasFailed: () => state.failure !== undefined })
      await delay(TICK_MS)
    }
    if (state.failure === undefined && (await this.#close(ledger, record))) return
    this.failures += 1
    await this.#recover(record, signal)
  }

  #append(ledger: LedgerAppender, { record, hasFailed }: { record: LedgerRecord; hasFailed: () => boolean }): void {
    for (let i = 0; i < ENTRIES_A_TICK && ledger.pendingBytes < PENDING_BYTES_MAX; i++) {
      if (hasFailed()) return
      const entryId = ledger.append(payloadOf(record.ledgerId, record.appended))
      if (entryId !== record.appended) this.#options.violations.push(`ledger ${record.ledgerId}: ids skip`)
      record.appended += 1
    }
  }

  async #close(ledger: LedgerAppender, record: LedgerRecord): Promise<boolean> {
    try {
      const { lastEntryId } = await ledger.close()
      this.#note(noteEnd(record, lastEntryId))
      if (lastEntryId !== record.appended - 1) this.#note(`ledger ${record.ledgerId} was closed short`)
      return true
    } catch (error) {
      if (!isOperating(error)) throw error
      return false
    }
  }

  /** What stays blocked when the time is over is recovered when the cluster is whole. */
  async #recover(record: LedgerRecord, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const { lastEntryId } = await this.#options.ledgers.recover(record.ledgerId)
        this.#note(noteEnd(record, lastEntryId))
        this.recovered += 1
        return
      } catch (error) {
        if (!isOperating(error)) throw error
        await delay(RETRY_MS)
      }
    }
  }

  #note(violation: string | undefined): void {
    if (violation !== undefined) this.#options.violations.push(violation)
  }
}

/** What a cluster in trouble answers; anything else is a bug. */
export function isOperating(error: unknown): boolean {
  return asError(error) instanceof CodedError
}
