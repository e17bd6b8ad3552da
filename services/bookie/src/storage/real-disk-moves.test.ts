import { strict as assert } from 'node:assert'
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, test } from 'vitest'
import { bookieDirectories, type Bookie } from '../bookie-types.ts'
import { addOf, readAll, TestNode, WaitingSink } from '../testing/fixtures.ts'

const MIB = 1024 * 1024
const COUNT = 400
const LEDGERS = [1, 2]

/** Of all lengths: records begin and end anywhere in blocks and pieces; one is larger than a piece, one than a chunk. */
function payloadOf(ledger: number, entry: number): Buffer {
  const large = ledger === 1 ? { 50: 1.5 * MIB, 120: 4.5 * MIB }[entry] : undefined
  return Buffer.alloc(large ?? 1 + (((entry + ledger) * 7_919) % 60_000), `${ledger}/${entry}/`)
}

let node: TestNode
beforeEach(async () => {
  node = await TestNode.create({
    settings: { journalFileBytes: 8 * MIB, journalBytesMax: MIB, moveChunkBytes: 4 * MIB }
  })
})
afterEach(() => node.destroy())

async function check(bookie: Bookie): Promise<void> {
  for (const ledger of LEDGERS) {
    const { payloads } = await readAll(bookie, ledger, COUNT - 1)
    assert.equal(payloads.length, COUNT)
    for (const [entry, payload] of payloads.entries()) {
      assert(payload.equals(payloadOf(ledger, entry)), `${ledger}/${entry}`)
    }
  }
}

test('what is moved past the page cache is what was written, also after a start, and after one without an index', async () => {
  const bookie = await node.open()
  const sink = new WaitingSink()
  for (let entry = 0; entry < COUNT; entry++) {
    for (const ledger of LEDGERS) bookie.add(addOf(ledger, entry, payloadOf(ledger, entry)), sink)
    for (const ledger of LEDGERS) await sink.acknowledgedUpTo(ledger, entry)
  }
  await bookie.housekeep()
  assert.ok(bookie.stats().movedBytes > 16 * MIB)
  await check(bookie)
  await bookie.close()
  const again = await node.open()
  await check(again)
  await again.close()
  await rm(bookieDirectories(node.root).index, { recursive: true })
  await check(await node.open())
})
