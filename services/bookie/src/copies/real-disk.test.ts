import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId } from '@strata/base'
import { afterEach, beforeEach, test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import { addOf, readAll, TestNode, WaitingSink } from '../testing/fixtures.ts'

const COUNT = 90
const LAST = entryId(COUNT - 1)
const SOURCE = bookieId('source')

/** Of all lengths: what is read for others begins and ends anywhere in its blocks. */
const payloadOf = (entry: number): Buffer => Buffer.alloc(1 + ((entry * 7_919) % 60_000), `${entry}/`)

let nodes: TestNode[]
beforeEach(async () => {
  nodes = await Promise.all([TestNode.create(), TestNode.create(), TestNode.create()])
})
afterEach(() => Promise.all(nodes.map(node => node.destroy())))

async function checkCopied(to: Bookie, from: Bookie): Promise<void> {
  const { bulk } = from
  to.useNodes(() => (bulk === undefined ? {} : { bulk }))
  const order = { ledgerId: ledgerId(1), first: entryId(0), last: LAST, every: 1, from: [SOURCE], bytesMax: 1e9 }
  assert.equal((await to.bulk?.copyFrom(order))?.next, COUNT)
  const { payloads } = await readAll(to, 1, LAST)
  assert.equal(payloads.length, COUNT)
  for (const [entry, payload] of payloads.entries()) assert(payload.equals(payloadOf(entry)), `entry ${entry}`)
}

test('what stands in a journal is copied from a real disk, and from there, where its file ends within a block', async () => {
  const [first, second, third] = await Promise.all(nodes.map(node => node.open()))
  assert(first !== undefined && second !== undefined && third !== undefined)
  const sink = new WaitingSink()
  for (let entry = 0; entry < COUNT; entry++) first.add(addOf(1, entry, payloadOf(entry)), sink)
  await sink.acknowledgedUpTo(1, LAST)
  await checkCopied(second, first)
  await checkCopied(third, second)
  for (const bookie of [first, second, third]) await bookie.close()
})
