import type { EntryId, LedgerId } from '@strata/base'
import { IndexPage, PAGE_SLOTS } from '../format/page.ts'
import type { EntryIndex } from './entry-index.ts'
import { breath } from './index-writer.ts'
import { ledgerOfKey, rangeOf } from './rows.ts'

export interface PlacedEntry {
  readonly ledgerId: LedgerId
  readonly entryId: EntryId
  readonly offset: number
  readonly payloadBytes: number
}

const PAGES_PER_SCAN = 256

/**
 * The entries that the index places between `from` and `to` of a file, ascending by offset. Looks at all of the index: for
 * the rare time when the file itself does not tell. @throws a system error of the index
 */
export async function liveWithin(
  index: EntryIndex,
  { file, from, to }: { readonly file: number; readonly from: number; readonly to: number }
): Promise<PlacedEntry[]> {
  const found = new Map<string, PlacedEntry>()
  const note = (entry: PlacedEntry, inFile: number): void => {
    const isThere = inFile === file && entry.offset >= from && entry.offset < to
    if (isThere) found.set(`${entry.ledgerId}:${entry.entryId}`, entry)
  }
  // Before the store: what leaves a tail meanwhile is in the store by then.
  for (const { ledgerId, tail, flushing } of index.cachedLedgers) {
    for (const each of [flushing, tail]) {
      for (let i = 0; each !== undefined && i < each.count; i++) {
        const place = { offset: each.offset(i), payloadBytes: each.payloadBytes(i) }
        note({ ledgerId, entryId: each.entryId(i) as EntryId, ...place }, each.file(i))
      }
    }
  }
  let next = rangeOf('p').from
  for (;;) {
    const rows = await index.store.scan({ from: next, to: rangeOf('p').to, limit: PAGES_PER_SCAN })
    for (const { key, value } of rows) notePage(key, IndexPage.decode(value), note)
    const last = rows.at(-1)?.key
    if (last === undefined || rows.length < PAGES_PER_SCAN) break
    next = Buffer.concat([last, Buffer.alloc(1)])
    await breath()
  }
  return [...found.values()].sort((a, b) => a.offset - b.offset)
}

function notePage(key: Buffer, page: IndexPage | undefined, note: (entry: PlacedEntry, inFile: number) => void): void {
  if (page === undefined) return
  const ledgerId = ledgerOfKey(key)
  const first = Number(key.readBigUInt64BE(9)) * PAGE_SLOTS
  for (let slot = 0; slot < PAGE_SLOTS; slot++) {
    const inFile = page.fileAt(slot)
    if (inFile === 0) continue
    const entryId = (first + slot) as EntryId
    note({ ledgerId, entryId, offset: page.offsetAt(slot), payloadBytes: page.payloadBytesAt(slot) }, inFile)
  }
}
