import { strict as assert } from 'node:assert'
import { Client, credentials, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import { bookieId, silentLogger, systemClock } from '@strata/base'
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

/** In front of a node of today: one that was built before there were runs. */
beforeEach(async () => {
  behind = new MemoryBookieNode(ID)
  served = await serveBookieNode(behind, { clusterId: 'c', host: '127.0.0.1', port: 0, logger: silentLogger })
  client = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure(), CHANNEL_OPTIONS)
  earlier = new Server(CHANNEL_OPTIONS)
  earlier.addService({ add: SERVICE.add }, { add: passOn })
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

test('a node of the release before takes the entries of a run one by one', async () => {
  const run = testRun({ count: 300, bytes: 700 })
  assert.equal(await node.addRun(run), undefined)
  const { ledgerId, first, last } = run
  const { entries } = await behind.read({ ledgerId, first, last, fence: false, bytesMax: 1 << 20, entriesMax: 1_000 })
  assert.deepEqual(entries, run.entries())
})

test('any other failure of a run is one', async () => {
  await served.close()
  earlier.forceShutdown()
  await expect(node.addRun(testRun({ count: 1 }))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})
