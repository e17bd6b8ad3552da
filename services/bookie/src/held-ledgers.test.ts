import { strict as assert } from 'node:assert'
import { MemoryMetadataStore } from '@strata/metadata'
import type { LedgerId } from '@strata/base'
import { describe, test } from 'vitest'
import { addOf, openOn, WaitingSink } from './testing/fixtures.ts'
import { RecordingDisk } from './testing/recording-disk.ts'

describe('what an operator sees and sets', () => {
  test('the ledgers that a node has, also those that the index does not know yet, page by page', async () => {
    const disk = new RecordingDisk()
    const bookie = await openOn(disk, new MemoryMetadataStore())
    const sink = new WaitingSink()
    for (const ledger of [7, 2 ** 40, 3]) bookie.add(addOf(ledger, 0, Buffer.from('a')), sink)
    await sink.acknowledgedUpTo(3, 0)
    await bookie.housekeep()
    bookie.add(addOf(3, 1, Buffer.from('b')), sink)
    bookie.add(addOf(5, 4, Buffer.from('b')), sink)
    await sink.acknowledgedUpTo(5, 4)
    await bookie.readLac({ ledgerId: 9 as LedgerId, fence: true })
    const all = await bookie.heldLedgers({ after: -1, limit: 100 })
    assert.deepEqual(
      all.map(({ ledgerId, lastEntryId, isFenced }) => [ledgerId, lastEntryId, isFenced]),
      [
        [3, 1, false],
        [5, 4, false],
        [7, 0, false],
        [9, -1, true],
        [2 ** 40, 0, false]
      ]
    )
    const paged = []
    for (let after = -1; ;) {
      const page = await bookie.heldLedgers({ after, limit: 2 })
      paged.push(...page)
      const last = page.at(-1)
      if (last === undefined) break
      after = last.ledgerId
    }
    assert.deepEqual(paged, all)
    await bookie.close()
  })

  test('a node that was made read-only refuses adds and reads on, until it is writable again', async () => {
    const bookie = await openOn(new RecordingDisk(), new MemoryMetadataStore())
    const sink = new WaitingSink()
    bookie.add(addOf(1, 0, Buffer.from('a')), sink)
    await sink.acknowledgedUpTo(1, 0)
    bookie.setReadOnly(true)
    assert.equal(bookie.health().state, 'read-only')
    assert.match(bookie.health().reasons.join(), /operator/)
    bookie.add(addOf(1, 1, Buffer.from('b')), sink)
    await sink.failed(1)
    assert.deepEqual(sink.failures, [{ ledgerId: 1, entryId: 1, failure: 'READ_ONLY' }])
    assert.equal((await bookie.readLac({ ledgerId: 1 as LedgerId, fence: true })).authority, true)
    bookie.setReadOnly(false)
    bookie.add(addOf(2, 0, Buffer.from('c')), sink)
    await sink.acknowledgedUpTo(2, 0)
    assert.deepEqual(bookie.health(), { state: 'writable', reasons: [] })
    await bookie.close()
  })
})
