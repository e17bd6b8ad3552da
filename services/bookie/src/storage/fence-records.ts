import { NO_ENTRY } from '@strata/base'
import { encodeRecord, HEADER_BYTES, RECORD_KIND, recordMemory } from '../format/record.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import { LedgerState } from '../index/ledger-state.ts'
import { applyLedgerRow, ledgerOfKey, rangeOf } from '../index/rows.ts'

const ROWS_PER_SCAN = 1_000

/**
 * A record for every ledger that the index knows to be fenced: for when it cannot be told which fences stood in a damaged
 * part of a file, and the file is to go. The buffer given is used again for the next one. @throws a system error of the index
 */
export async function* fenceRecords(index: EntryIndex, generation: number): AsyncGenerator<Buffer> {
  const memory = recordMemory(Buffer.alloc(HEADER_BYTES))
  const { to } = rangeOf('l')
  for (let from = rangeOf('l').from; ;) {
    const rows = await index.store.scan({ from, to, limit: ROWS_PER_SCAN })
    for (const { key, value } of rows) {
      const ledger = new LedgerState(ledgerOfKey(key))
      applyLedgerRow(ledger, value)
      if (!ledger.isFenceSynced) continue
      const { ledgerId, lac } = ledger
      const body = { ledgerId, entryId: NO_ENTRY, lac, lengthBytes: 0, crc32c: 0, payload: Buffer.alloc(0) }
      encodeRecord(memory, 0, body, { kind: RECORD_KIND.fence, generation, sequence: 0, unsynced: 0 })
      yield memory.bytes
    }
    const last = rows.at(-1)?.key
    if (last === undefined || rows.length < ROWS_PER_SCAN) return
    from = Buffer.concat([last, Buffer.alloc(1)])
  }
}
