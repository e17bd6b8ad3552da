import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, silentLogger, systemClock } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { afterEach, beforeEach, test } from 'vitest'
import type { BulkCopies, EntryRecords, RunRequest } from '../contract.ts'
import { MemoryBookieNode, TestWriter } from '../testing/index.ts'
import { GrpcBookieNode } from './grpc-bookie-node.ts'
import { serveBookieNode, type ServedBookieNode } from './serve-bookie-node.ts'

const ID = bookieId('node-a')
const KIB = 1024
const ASKED = 2048 * KIB

/** A node that other ones copy from. */
class GivingNode extends MemoryBookieNode {
  readonly asked: RunRequest[] = []
  released = 0
  readonly bulk: BulkCopies = {
    readRecords: request => {
      this.asked.push(request)
      const bytes = Buffer.alloc(request.bytesMax, 'records')
      const release = (): void => {
        this.released += 1
        bytes.fill(0)
      }
      return Promise.resolve({ bytes, isFenced: true, release })
    },
    copyFrom: order => Promise.resolve({ next: order.first, bytes: 0 })
  }
}

let behind: GivingNode
let clock: ManualClock
let served: ServedBookieNode
let node: GrpcBookieNode
beforeEach(async () => {
  behind = new GivingNode(ID)
  clock = new ManualClock()
  const host = { host: '127.0.0.1', port: 0 }
  served = await serveBookieNode(behind, { clusterId: 'c', ...host, logger: silentLogger, clock })
  const of = { bookieId: ID, clusterId: 'c', address: `127.0.0.1:${served.port}`, timeoutMs: 30_000 }
  node = new GrpcBookieNode({ ...of, clock: systemClock, logger: silentLogger })
})
afterEach(async () => {
  behind.releaseSyncs()
  node.close()
  await served.close()
})

function read(): Promise<EntryRecords | undefined> {
  const range = { ledgerId: ledgerId(9), first: entryId(0), last: entryId(1_000), every: 1 }
  return node.bulk.readRecords({ ...range, bytesMax: ASKED, entriesMax: 1_000 })
}

/** What the node answers after everything that was sent to it before. */
async function roundTrip(): Promise<void> {
  await node.readLac({ ledgerId: ledgerId(9), fence: false })
}

test('a node that no writer waits for gives as much as it is asked for', async () => {
  const records = await read()
  assert.deepEqual(records, { bytes: Buffer.alloc(ASKED, 'records'), isFenced: true })
})

test('a node has the memory of what it gave back when that is on its way, once', async () => {
  for (const count of [1, 2]) {
    assert.deepEqual((await read())?.bytes, Buffer.alloc(ASKED, 'records'))
    assert.equal(behind.released, count)
  }
})

test('while writers wait for a node it gives others little for their copies, and the more the longer it takes', async () => {
  behind.holdSyncs()
  const writer = new TestWriter(node, 1)
  for (let i = 0; i < 32; i++) writer.add(Buffer.alloc(64 * KIB))
  while (served.stats().heldAddBytes < ASKED) await roundTrip()
  const reads = Array.from({ length: 3 }, read)
  while (behind.asked.length === 0) await roundTrip()
  for (let i = 0; i < 20; i++) await roundTrip()
  // a 32nd of what was written is less than one piece
  assert.deepEqual(
    behind.asked.map(({ bytesMax }) => bytesMax),
    [128 * KIB]
  )
  clock.advance(100) // about a megabyte a second: the piece before it is paid for, and a little more
  while (behind.asked.length < 2) await roundTrip()
  for (let i = 0; i < 20; i++) await roundTrip()
  assert.equal(behind.asked.length, 2)
  clock.advance(500)
  assert.deepEqual(
    (await Promise.all(reads)).map(records => records?.bytes.length),
    Array(3).fill(128 * KIB)
  )
})
