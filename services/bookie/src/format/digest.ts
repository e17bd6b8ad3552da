import { crc32c } from '@node-rs/crc32'
import type { RecordHeader } from './record.ts'

/** Does the payload (with ledger, entry, LAC and length) match the digest that its writer computed? */
export function isDigestRight(header: RecordHeader, payload: Uint8Array): boolean {
  return entryDigest(header, payload) === header.crc32c
}

export function entryDigest(
  entry: { readonly ledgerId: number; readonly entryId: number; readonly lac: number; readonly lengthBytes: number },
  payload: Uint8Array
): number {
  const head = Buffer.allocUnsafe(32)
  head.writeBigUInt64BE(BigInt(entry.ledgerId), 0)
  head.writeBigUInt64BE(BigInt(entry.entryId), 8)
  head.writeBigUInt64BE(BigInt(entry.lac + 1), 16)
  head.writeBigUInt64BE(BigInt(entry.lengthBytes), 24)
  return crc32c(payload, crc32c(head))
}
