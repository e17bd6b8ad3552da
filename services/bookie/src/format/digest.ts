import { hasValidDigest } from '@strata/ledger-protocol'
import type { RecordHeader } from './record.ts'

/** Does the payload (with ledger, entry, LAC and length) match the digest that its writer computed? */
export function isDigestRight(header: RecordHeader, payload: Buffer): boolean {
  const { ledgerId, entryId, lac, lengthBytes, crc32c } = header
  return hasValidDigest({ ledgerId, entryId, lac, lengthBytes, crc32c, payload })
}
