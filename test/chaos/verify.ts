// Reads back what was written, entry by entry, byte by byte.
import { setTimeout as delay } from 'node:timers/promises'
import type { EntryId } from '@strata/base'
import type { FollowingLedgerClient, LedgerEntry } from '@strata/ledger-client'
import { acknowledgedPastEnd, noteEnd, payloadOf, type LedgerRecord } from './ledger-record.ts'
import { isOperating } from './writer.ts'

const BYTES_MAX = 1024 * 1024
const ENTRIES_MAX = 2_000
const RETRY_MS = 250
const PARALLEL = 4

export interface Verified {
  /** Entries read back with their bytes. */
  entries: number
  /** Acknowledged entries that cannot be read, or read as something else. */
  lost: number
}

export interface VerifyOptions {
  readonly ledgers: FollowingLedgerClient
  readonly violations: string[]
  /** A ledger that is not readable by then is lost. */
  readonly deadlineMs: number
}

/** Closes what is not closed, and reads all of it. To be called when the cluster is whole again. */
export async function verifyAll(records: readonly LedgerRecord[], options: VerifyOptions): Promise<Verified> {
  const total: Verified = { entries: 0, lost: 0 }
  const waiting = [...records]
  const work = async (): Promise<void> => {
    for (let record = waiting.shift(); record !== undefined; record = waiting.shift()) {
      const read = await verifyOne(record, options)
      total.entries += read
      total.lost += Math.max(0, record.acknowledged + 1 - read)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, work))
  return total
}

/** Returns how many entries from the first one on are as they were written. */
async function verifyOne(record: LedgerRecord, options: VerifyOptions): Promise<number> {
  const { violations, ledgers } = options
  const end = await untilAnswered(options, () => ledgers.recover(record.ledgerId))
  if (end === undefined) {
    violations.push(`ledger ${record.ledgerId} cannot be closed: ${JSON.stringify(record)}`)
    return 0
  }
  const problem = noteEnd(record, end.lastEntryId) ?? acknowledgedPastEnd(record)
  if (problem !== undefined) violations.push(problem)
  const reader = await untilAnswered(options, () => ledgers.open(record.ledgerId))
  let next = 0
  while (reader !== undefined && next <= end.lastEntryId) {
    const range = { first: next as EntryId, last: end.lastEntryId, bytesMax: BYTES_MAX, entriesMax: ENTRIES_MAX }
    const entries = await untilAnswered(options, () => reader.read(range))
    if (entries === undefined) {
      violations.push(`ledger ${record.ledgerId} cannot be read at ${next}: ${JSON.stringify(record)}`)
      return next
    }
    for (const entry of entries) {
      if (!isAsWritten(record, next, entry)) {
        violations.push(`ledger ${record.ledgerId}, entry ${next} is not what was written`)
        return next
      }
      next += 1
    }
  }
  return next
}

function isAsWritten(record: LedgerRecord, expected: number, { entryId, payload }: LedgerEntry): boolean {
  return entryId === expected && payload.equals(payloadOf(record.ledgerId, expected))
}

/** undefined: not by the deadline. */
async function untilAnswered<Answer>(
  { deadlineMs }: VerifyOptions,
  ask: () => Promise<Answer>
): Promise<Answer | undefined> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isOperating(error)) throw error
      if (performance.now() > deadlineMs) return undefined
      await delay(RETRY_MS)
    }
  }
}

/** Reads closed ledgers while the faults go on: a node may be silent, and never wrong. */
export async function readAlong(
  records: readonly LedgerRecord[],
  options: Omit<VerifyOptions, 'deadlineMs'> & { pick: (count: number) => number; signal: AbortSignal }
): Promise<number> {
  let count = 0
  while (!options.signal.aborted) {
    const closed = records.filter(({ end }) => end !== undefined && end >= 0)
    const record = closed[options.pick(closed.length)]
    if (record?.end !== undefined) count += await readSome(record, record.end, options)
    await delay(RETRY_MS)
  }
  return count
}

async function readSome(
  record: LedgerRecord,
  end: number,
  { ledgers, violations, pick }: Pick<VerifyOptions, 'ledgers' | 'violations'> & { pick: (count: number) => number }
): Promise<number> {
  const first = pick(end + 1)
  try {
    const reader = await ledgers.open(record.ledgerId)
    const range = { first: first as EntryId, last: end as EntryId, bytesMax: BYTES_MAX, entriesMax: 200 }
    const entries = await reader.read(range)
    const wrong = entries.findIndex((entry, i) => !isAsWritten(record, first + i, entry))
    if (wrong >= 0) violations.push(`ledger ${record.ledgerId}, entry ${first + wrong} was read as something else`)
    return entries.length
  } catch (error) {
    if (!isOperating(error)) throw error
    return 0
  }
}
