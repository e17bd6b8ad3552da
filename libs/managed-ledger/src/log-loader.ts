import { entryId, ledgerId, NO_ENTRY, type Clock } from '@strata/base'
import { AckState, LedgerTable } from '@strata/cursor-protocol'
import type { LedgerClient, LedgerReader } from '@strata/ledger-client'
import { decodeCursorEntry } from './cursor-ledger-codec.ts'
import type { StoredCursor } from './cursor-store.ts'
import { ManagedLedgerError } from './errors.ts'
import { LEDGERS_PER_CHANGE_MAX, type LogSession } from './log-session.ts'
import type { LedgerRecord } from './records.ts'

/** A log as a new owner finds it: every ledger closed, every cursor as it was last made durable. */
export interface LoadedLog {
  readonly session: LogSession
  readonly table: LedgerTable
  readonly cursors: readonly StoredCursor[]
  /** Out of the log, still to be deleted. */
  readonly deletingIds: readonly number[]
  /** Its owner before wrote it until its end, or until moments ago: it is likely to be written at once. */
  readonly isInUse: boolean
}

const READ_BYTES_MAX = 1024 * 1024
/** A cursor ledger is read in runs, all of them at once: so much each, if its entries are of one size. */
const RUN_BYTES = READ_BYTES_MAX / 2
const RUN_ENTRIES_MAX = 2_000
/** So many ledgers that were recovered are listed as closed with the next change; nothing waits for that. */
const LATER_MAX = 16
const IN_USE_MS = 10_000

/**
 * Recovers every ledger that is not closed and reads the cursor ledger, all at once.
 * @throws ManagedLedgerError LOG_FENCED, METADATA_UNAVAILABLE, STORAGE_FAILED (retryable: nothing was decided), LOG_CORRUPT
 */
export async function loadLog(parts: { session: LogSession; client: LedgerClient; clock: Clock }): Promise<LoadedLog> {
  const { session, client } = parts
  const listed = session.isFirst ? [] : await session.listLedgers()
  const [records, cursorEntries] = await storageFailures(
    Promise.all([
      Promise.all(listed.map(record => closedRecord(record, parts))),
      readCursorLedger(session.record.cursorLedgerId, client)
    ])
  )
  const recovered = records.filter((record, index) => record !== listed[index])
  const isLater = recovered.length <= LATER_MAX && recovered.every(({ state }) => state === 'closed')
  // Until it is listed as closed the next owner asks for its end: a list of one that is to be deleted must say so before.
  if (isLater) session.putLater(recovered)
  const changed = isLater ? [] : recovered
  for (let from = 0; from < changed.length; from += LEDGERS_PER_CHANGE_MAX) {
    await session.change(() => ({ put: changed.slice(from, from + LEDGERS_PER_CHANGE_MAX) }))
  }
  const table = new LedgerTable(session.record.trimmedThrough)
  for (const record of records) if (record.state === 'closed') table.add(record)
  const deletingIds = records.filter(record => record.state === 'deleting').map(record => record.ledgerId)
  const isInUse = records.some(({ closedAtMs = 0 }) => closedAtMs >= parts.clock.wallMs() - IN_USE_MS)
  return { session, table, deletingIds, isInUse, cursors: decodeCursors(cursorEntries, table) }
}

/** What the ledger holds for ever; one without entries is of no use. */
async function closedRecord(
  record: LedgerRecord,
  parts: { client: LedgerClient; clock: Clock }
): Promise<LedgerRecord> {
  if (record.state !== 'open') return record
  const end = await parts.client.recover(ledgerId(record.ledgerId))
  return {
    ...record,
    state: end.lastEntryId === NO_ENTRY ? 'deleting' : 'closed',
    entries: end.lastEntryId + 1,
    sizeBytes: end.lengthBytes,
    closedAtMs: parts.clock.wallMs()
  }
}

async function readCursorLedger(id: number | undefined, client: LedgerClient): Promise<Buffer[]> {
  if (id === undefined) return []
  const [end, reader] = await Promise.all([client.recover(ledgerId(id)), client.open(ledgerId(id))])
  const entryBytes = Math.max(1, end.lengthBytes / (end.lastEntryId + 1))
  const runEntries = Math.max(1, Math.min(Math.floor(RUN_BYTES / entryBytes), RUN_ENTRIES_MAX))
  const runs: Promise<Buffer[]>[] = []
  for (let first = 0; first <= end.lastEntryId; first += runEntries) {
    runs.push(readRun(reader, first, Math.min(first + runEntries - 1, end.lastEntryId)))
  }
  return (await Promise.all(runs)).flat()
}

async function readRun(reader: LedgerReader, first: number, last: number): Promise<Buffer[]> {
  const payloads: Buffer[] = []
  while (first + payloads.length <= last) {
    const read = await reader.read({
      first: entryId(first + payloads.length),
      last: entryId(last),
      bytesMax: READ_BYTES_MAX,
      entriesMax: RUN_ENTRIES_MAX
    })
    if (read.length === 0) throw new Error(`cursor ledger ${reader.ledgerId} gave no entry below its end`)
    for (const { payload } of read) payloads.push(payload)
  }
  return payloads
}

/** @throws CursorError MALFORMED_CURSOR_STATE, UNKNOWN_CURSOR_STATE_VERSION */
export function decodeCursors(entries: readonly Buffer[], table: LedgerTable): StoredCursor[] {
  const cursors = new Map<number, StoredCursor>()
  for (const record of entries.flatMap(decodeCursorEntry)) {
    const { number } = record
    const known = cursors.get(number)
    if (record.kind === 'remove') cursors.delete(number)
    else if (record.kind === 'define') {
      const state = known?.state ?? new AckState(table, { ledgerId: -1, entryId: -1 })
      cursors.set(number, { number, name: record.name, properties: record.properties, state })
    } else if (known === undefined) throw ManagedLedgerError.create('LOG_CORRUPT', { cursorNumber: number })
    else known.state.apply(record.chunk)
  }
  for (const { state } of cursors.values()) state.settle()
  return [...cursors.values()]
}

async function storageFailures<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (error) {
    throw ManagedLedgerError.create('STORAGE_FAILED', {}, error)
  }
}
