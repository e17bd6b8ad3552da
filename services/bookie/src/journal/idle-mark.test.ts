import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import { MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import { HEADER_BYTES } from '../format/record.ts'
import { addOf, openOn, SMALL, WaitingSink } from '../testing/fixtures.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'

const COUNT = 5
const PAYLOAD = 'the last one written'
/** Nothing but the journal itself tells how far it was. */
const SETTINGS = { ...SMALL, tellSequenceMs: Infinity }

async function add(bookie: Bookie): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = 0; entry < COUNT; entry++) bookie.add(addOf(1, entry, Buffer.from(PAYLOAD)), sink)
  await sink.acknowledgedUpTo(1, COUNT - 1)
}

/** What the disk has after a crash, with the last entry's payload damaged, and no index that knows better. */
function damagedTail(disk: RecordingDisk): RecordingDisk {
  const image = disk.copy((path, bytes) => {
    const at = path.endsWith('.journal') ? bytes.lastIndexOf(PAYLOAD) : -1
    if (at >= 0) bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes
  })
  image.dropIndex()
  return image
}

test('what was written last is proven once the journal was idle for a while', async () => {
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const bookie = await openOn(disk, metadata, SETTINGS)
  await add(bookie)
  const before = bookie.stats().sequence
  const unproven = damagedTail(disk)
  await bookie.housekeep()
  assert.equal(bookie.stats().sequence, before, 'not at once')
  await bookie.housekeep()
  await bookie.housekeep()
  await bookie.housekeep()
  const proven = damagedTail(disk)
  assert.equal(bookie.stats().sequence, before + 1, 'one mark, and no more')
  await assert.rejects(openOn(proven, metadata, SETTINGS), { code: 'JOURNAL_DAMAGED' })
  const again = await openOn(unproven, metadata, SETTINGS)
  const range = { first: 0 as EntryId, last: 99 as EntryId, bytesMax: 1e6, entriesMax: 100 }
  const { entries } = await again.read({ ledgerId: 1 as LedgerId, ...range, fence: false })
  assert.equal(entries.length, COUNT - 1, 'it looks torn')
  await again.close()
  await bookie.close()
})

test('a mark that is damaged costs nothing', async () => {
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const bookie = await openOn(disk, metadata, SETTINGS)
  await add(bookie)
  for (let round = 0; round < 4; round++) await bookie.housekeep()
  const image = disk.copy((path, bytes) => {
    const at = path.endsWith('.journal') ? bytes.lastIndexOf(PAYLOAD) : -1
    const markAt = Math.ceil((at + PAYLOAD.length) / 8) * 8
    if (at >= 0) bytes.fill(0xee, markAt, markAt + HEADER_BYTES)
    return bytes
  })
  image.dropIndex()
  const again = await openOn(image, metadata, SETTINGS)
  const range = { first: 0 as EntryId, last: 99 as EntryId, bytesMax: 1e6, entriesMax: 100 }
  assert.equal((await again.read({ ledgerId: 1 as LedgerId, ...range, fence: false })).entries.length, COUNT)
  await again.close()
  await bookie.close()
})
