import type { Compare, MetadataStore } from '@strata/metadata'
import { decodeLedgerRecord, decodeLogRecord, ledgerKey, logKey } from './records.ts'

/** What a log's committed list says of a ledger that names the log as its owner. */
export interface Listing {
  readonly standing: 'listed' | 'deleting' | 'not listed'
  /** Hold for as long as the log says nothing else of the ledger. */
  readonly compares: readonly Compare[]
}

/** @throws ManagedLedgerError LOG_CORRUPT, MetadataError */
export async function listingOf(
  metadata: MetadataStore,
  { log, role, ledgerId }: { log: string; role: 'data' | 'cursors'; ledgerId: number }
): Promise<Listing> {
  if (role === 'data') {
    const key = ledgerKey(log, ledgerId)
    const stored = await metadata.get(key)
    const compares = [{ key, version: stored?.version ?? 0 }]
    if (stored === undefined) return { standing: 'not listed', compares }
    const isDeleting = decodeLedgerRecord(key, stored.value).state === 'deleting'
    return { standing: isDeleting ? 'deleting' : 'listed', compares }
  }
  const key = logKey(log)
  const stored = await metadata.get(key)
  const compares = [{ key, version: stored?.version ?? 0 }]
  if (stored === undefined) return { standing: 'not listed', compares }
  const { cursorLedgerId, obsoleteLedgerIds } = decodeLogRecord(stored.value)
  if (cursorLedgerId === ledgerId) return { standing: 'listed', compares }
  return { standing: obsoleteLedgerIds.includes(ledgerId) ? 'listed' : 'not listed', compares }
}
