import { basename } from 'node:path'
import type { LedgerId } from '@strata/base'
import {
  decodeRecordHeader,
  fileName,
  HEADER_BYTES,
  IndexPage,
  isDigestRight,
  PAGE_SLOTS,
  pageKey
} from '@strata/bookie/testing'
import type { SimVolume } from '@strata/sim'

/** Does the index on the disk point at a record of the entry, in a file that is there, with its digest right? */
export function isOnDisk(volume: SimVolume, { ledgerId, entryId }: { ledgerId: LedgerId; entryId: number }): boolean {
  const row = volume.index.get(pageKey(ledgerId, Math.floor(entryId / PAGE_SLOTS)))
  const place = row && IndexPage.decode(row)?.at(entryId % PAGE_SLOTS)
  if (place === undefined) return false
  const names = [fileName('entry-log', place.file), fileName('journal', place.file)]
  const path = volume.paths.find(each => names.includes(basename(each)))
  const inode = path === undefined ? undefined : volume.find(path)
  const bytes = Buffer.alloc(HEADER_BYTES + place.payloadBytes)
  if (inode === undefined || inode.read(bytes, place.offset) < bytes.length) return false
  const header = decodeRecordHeader(bytes, 0)
  if (header?.ledgerId !== ledgerId || header.entryId !== entryId) return false
  return isDigestRight(header, bytes.subarray(HEADER_BYTES))
}
