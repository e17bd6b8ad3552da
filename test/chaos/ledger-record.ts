// What is known of a ledger outside the cluster: enough to say, at the end, whether anything was lost.
import type { LedgerId } from '@strata/base'

export interface LedgerRecord {
  readonly ledgerId: LedgerId
  readonly writer: string
  /** Entries handed to the ledger. */
  appended: number
  /** The last entry that was acknowledged; -1: none. */
  acknowledged: number
  /** Where somebody was told that the ledger ends. Never two answers. */
  end: number | undefined
}

const BYTES_MIN = 40
const BYTES_SPREAD = 1_200

/** The one content that an entry can have. */
export function payloadOf(ledgerId: number, entryId: number): Buffer {
  const mixed = Math.imul(ledgerId * 31 + entryId, 0x9e3779b1) >>> 0
  return Buffer.alloc(BYTES_MIN + (mixed % BYTES_SPREAD), `${ledgerId}/${entryId}/${mixed.toString(36)} `)
}

/** Notes an end that somebody was told. Returns what is wrong with it. */
export function noteEnd(record: LedgerRecord, end: number): string | undefined {
  const name = `ledger ${record.ledgerId} of ${record.writer}`
  if (record.end !== undefined && record.end !== end) return `${name} ends at ${record.end} and at ${end}`
  record.end = end
  if (end >= record.appended) return `${name} ends at ${end}, with ${record.appended} entries appended`
  return acknowledgedPastEnd(record)
}

/** Also what is acknowledged after the end was told. */
export function acknowledgedPastEnd({ ledgerId, writer, acknowledged, end }: LedgerRecord): string | undefined {
  if (end === undefined || acknowledged <= end) return undefined
  return `ledger ${ledgerId} of ${writer} ends at ${end}, and ${acknowledged} was acknowledged`
}
