import { strict as assert } from 'node:assert'
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall
} from '@grpc/grpc-js'
import { bookieId, entryId, ledgerId, silentLogger, systemClock } from '@strata/base'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryBookieNode } from '../testing/index.ts'
import { testRun } from '../testing/run-conformance.ts'
import { GrpcBookieNode } from './grpc-bookie-node.ts'
import { serveBookieNode, type ServedBookieNode } from './serve-bookie-node.ts'
import { asBuffer, CHANNEL_OPTIONS, PATHS, SERVICE } from './service.ts'

const ID = bookieId('node-a')
let behind: MemoryBookieNode
let served: ServedBookieNode
let earlier: Server
let client: Client
let node: GrpcBookieNode

/** In front of a node of today: one that was built before there were runs, and questions about many ledgers at once. */
beforeEach(async () => {
  behind = new MemoryBookieNode(ID)
  served = await serveBookieNode(behind, { clusterId: 'c', host: '127.0.0.1', port: 0, logger: silentLogger })
  client = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure(), CHANNEL_OPTIONS)
  earlier = new Server(CHANNEL_OPTIONS)
  const { add, read, readLac } = SERVICE
  earlier.addService({ add, read, readLac }, { add: passOn, read: askFor(PATHS.read), readLac: askFor(PATHS.readLac) })
  const port = await new Promise<number>((resolve, reject) => {
    earlier.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  const of = { bookieId: ID, clusterId: 'c', address: `127.0.0.1:${port}`, timeoutMs: 10_000 }
  node = new GrpcBookieNode({ ...of, clock: systemClock, logger: silentLogger })
})
afterEach(async () => {
  node.close()
  earlier.forceShutdown()
  client.close()
  await served.close()
})

function passOn(from: ServerDuplexStream<Buffer, Buffer>): void {
  const to = client.makeBidiStreamRequest(PATHS.add, asBuffer, asBuffer, from.metadata)
  from.on('data', (message: Buffer) => to.write(message))
  to.on('data', (message: Buffer) => from.write(message))
  from.on('cancelled', () => {
    to.cancel()
  })
  to.on('error', () => from.end())
}

function askFor(path: string): (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => void {
  return (call, answer) => {
    client.makeUnaryRequest(path, asBuffer, asBuffer, call.request, call.metadata, answer)
  }
}

test('a node of the release before is asked about many ledgers one by one', async () => {
  const run = testRun({ count: 3 })
  assert.equal(await node.addRun(run), undefined)
  const read = { first: entryId(0), last: entryId(9), fence: true, bytesMax: 1 << 20, entriesMax: 9 }
  const [fenced, absent, whole] = await Promise.all([
    node.readLac({ ledgerId: run.ledgerId, fence: true }),
    node.readLac({ ledgerId: ledgerId(99), fence: true }),
    node.read({ ledgerId: run.ledgerId, ...read })
  ])
  assert.deepEqual(fenced, { lac: 1, authority: true })
  assert.deepEqual(absent, { lac: -1, authority: true })
  assert.deepEqual(whole, { entries: run.entries(), end: 'absent' })
})

test('a node of the release before takes the entries of a run one by one', async () => {
  const run = testRun({ count: 300, bytes: 700 })
  assert.equal(await node.addRun(run), undefined)
  const { ledgerId, first, last } = run
  const { entries } = await behind.read({ ledgerId, first, last, fence: false, bytesMax: 1 << 20, entriesMax: 1_000 })
  assert.deepEqual(entries, run.entries())
})

test('a node of the release before copies nothing by itself, and gives no records', async () => {
  const { ledgerId: id, first, last } = testRun({ count: 3 })
  const order = { ledgerId: id, first, last, every: 1, from: [ID], bytesMax: 1 << 20 }
  assert.deepEqual(await node.bulk.copyFrom(order), { next: first, bytes: 0 })
  await expect(node.bulk.readRecords({ ...order, entriesMax: 9 })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('any other failure of a run is one', async () => {
  await served.close()
  earlier.forceShutdown()
  await expect(node.addRun(testRun({ count: 1 }))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})
