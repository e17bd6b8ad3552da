import { strict as assert } from 'node:assert'
import { entryId, ledgerId, type LedgerId } from '@strata/base'
import { entryDigest } from '@strata/ledger-protocol'
import { test } from 'vitest'
import type { BookieNode, EntryRun, RunRequest, StoredEntry } from '../contract.ts'
import { runOf } from '../entry-run.ts'

const LEDGER = ledgerId(7)
const LIMITS = { bytesMax: 1 << 20, entriesMax: 1_000 }

/** Ids from `first` on, `every` apart. */
export function testRun(
  { first = 0, every = 1, count, bytes = 100 }: { first?: number; every?: number; count: number; bytes?: number },
  ledger: LedgerId = LEDGER
): EntryRun {
  const entries = Array.from({ length: count }, (_, i): StoredEntry => {
    const id = entryId(first + i * every)
    const payload = Buffer.alloc(bytes, `entry ${id}`)
    const fields = { ledgerId: ledger, entryId: id, lac: entryId(id - 1), lengthBytes: (id + 1) * bytes, payload }
    return { entryId: id, lac: fields.lac, lengthBytes: fields.lengthBytes, crc32c: entryDigest(fields), payload }
  })
  return runOf(ledger, entries) ?? assert.fail('no entries')
}

function withDamage(run: EntryRun, at: number): EntryRun {
  const entries = run.entries().map((entry, i) => (i === at ? { ...entry, payload: Buffer.alloc(100, 'rot') } : entry))
  return runOf(run.ledgerId, entries) ?? assert.fail('no entries')
}

function request(range: { first: number; last: number; every?: number }): RunRequest {
  return {
    ledgerId: LEDGER,
    first: entryId(range.first),
    last: entryId(range.last),
    every: range.every ?? 1,
    ...LIMITS
  }
}

/** Runs of entries, which go from node to node. */
export function describeRuns(subject: () => { readonly node: BookieNode }): void {
  test('a run is given and taken as a whole, and goes on to another ledger that is fenced', async () => {
    const { node } = subject()
    await node.readLac({ ledgerId: LEDGER, fence: true })
    const run = testRun({ count: 300, bytes: 700 })
    assert.equal(await node.addRun(run), undefined)
    const back = await node.readRun(request({ first: 0, last: 1_000 }))
    assert(back !== undefined)
    const { first, last, count, payloadBytes } = back
    assert.deepEqual({ first, last, count, payloadBytes }, { first: 0, last: 299, count: 300, payloadBytes: 210_000 })
    assert.deepEqual(back.entries(), run.entries())
    assert.equal(await node.addRun(back), undefined) // once more, as it came
  })

  test('a stripe is a run: of entries so far apart, and of no others', async () => {
    const { node } = subject()
    assert.equal(await node.addRun(testRun({ count: 20 })), undefined)
    const stripe = await node.readRun(request({ first: 1, last: 18, every: 3 }))
    assert.deepEqual(stripe?.entries(), testRun({ first: 1, every: 3, count: 6 }).entries())
    const other = testRun({ first: 30, every: 3, count: 4 })
    assert.equal(await node.addRun(other), undefined)
    const gap = await node.readRun(request({ first: 18, last: 100, every: 3 }))
    assert.deepEqual(gap?.last, 18)
    assert.deepEqual((await node.readRun(request({ first: 30, last: 39, every: 3 })))?.entries(), other.entries())
  })

  test('where the first entry is not there nothing is given', async () => {
    const { node } = subject()
    assert.equal(await node.addRun(testRun({ first: 5, count: 3 })), undefined)
    assert.equal(await node.readRun(request({ first: 4, last: 7 })), undefined)
  })

  test('of a run with an entry that is not what was written nothing is taken', async () => {
    const { node } = subject()
    const failure = await node.addRun(withDamage(testRun({ count: 9 }), 4))
    assert.deepEqual(failure, { entryId: 4, failure: 'DAMAGED' })
    assert.equal(await node.readRun(request({ first: 0, last: 8 })), undefined)
  })
}
