import { strict as assert } from 'node:assert'
import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js'
import { bookieId, entryId, ledgerId, systemClock, type Logger } from '@strata/base'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { LedgerError } from '../errors.ts'
import { encodedAddBatch } from '../testing/encoded-add-batch.ts'
import { MemoryBookieNode, TestWriter } from '../testing/index.ts'
import { GrpcBookieNode } from './grpc-bookie-node.ts'
import { callMetadata } from './node-security.ts'
import { serveBookieNode, type ServedBookieNode } from './serve-bookie-node.ts'
import { asBuffer, encodeLacRequest, encodeReadRequest, PATHS } from './service.ts'

const ID = bookieId('node-a')
const CLUSTER = 'cluster-a'
const SECRET = 'a secret of this cluster alone'
const NEXT_SECRET = 'the one that follows it'
const names = { clusterId: CLUSTER, nodeId: ID }

/** Keeps every line. */
function loggerTo(lines: string[]): Logger {
  const write = (fields: object, message: string): void => {
    lines.push(JSON.stringify(fields) + message)
  }
  const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger }
  return logger
}

describe('a node with a secret', () => {
  let behind: MemoryBookieNode
  let served: ServedBookieNode
  let lines: string[]
  const closing: (() => void)[] = []
  beforeEach(async () => {
    lines = []
    behind = new MemoryBookieNode(ID)
    served = await serveBookieNode(behind, {
      clusterId: CLUSTER,
      host: '127.0.0.1',
      port: 0,
      logger: loggerTo(lines),
      security: { secrets: [SECRET, NEXT_SECRET], tls: undefined }
    })
    const friend = open([SECRET])
    const writer = new TestWriter(friend)
    await writer.append(Buffer.from('private'))
    assert.deepEqual(writer.failed, [])
  })
  afterEach(async () => {
    for (const close of closing.splice(0)) close()
    await served.close()
  })

  function open(secrets: readonly string[]): GrpcBookieNode {
    const node = new GrpcBookieNode({
      bookieId: ID,
      clusterId: CLUSTER,
      address: `127.0.0.1:${served.port}`,
      clock: systemClock,
      logger: loggerTo(lines),
      timeoutMs: 10_000,
      security: { secrets, tls: undefined }
    })
    closing.push(() => node.close())
    return node
  }

  const readOptions = { ledgerId: ledgerId(1), first: entryId(0), last: entryId(9), bytesMax: 99, entriesMax: 9 }

  for (const [who, secrets] of Object.entries({ 'without a secret': [], 'with another secret': ['a guess'] })) {
    test(`a stranger ${who} neither reads nor writes nor fences`, async () => {
      const stranger = open(secrets)
      const writer = new TestWriter(stranger, 2)
      await writer.append(Buffer.from('forged'))
      assert.deepEqual(writer.failed, [{ entryId: 0, failure: 'UNREACHABLE' }])
      const isRefused = (error: unknown): boolean =>
        LedgerError.is(error, 'UNAVAILABLE') && error.details['reason'] === 'UNAUTHENTICATED'
      await assert.rejects(stranger.read({ ...readOptions, fence: false }), isRefused)
      await assert.rejects(stranger.read({ ...readOptions, fence: true }), isRefused)
      await assert.rejects(stranger.readLac({ ledgerId: ledgerId(1), fence: true }), isRefused)
      await assert.rejects(stranger.writeLac({ ledgerId: ledgerId(1), lac: entryId(7) }), isRefused)

      assert.deepEqual(behind.entryIds(ledgerId(2)), [])
      const friend = open([SECRET])
      const again = new TestWriter(friend)
      await again.append(Buffer.from('not fenced'), { entry: 1 })
      assert.deepEqual(again.failed, [])
      assert.equal((await friend.readLac({ ledgerId: ledgerId(1), fence: false })).lac, -1)
      assert(served.stats().refusedCalls >= 5)
    })
  }

  test('a call that has seen a proof for one method or node cannot use it for another', async () => {
    const seen = callMetadata({ secrets: [SECRET], tls: undefined }, names, PATHS.readLac)
    const client = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure())
    closing.push(() => client.close())
    const ask = (path: string, request: Buffer): Promise<ServiceError | null> =>
      new Promise(resolve => {
        client.makeUnaryRequest(path, asBuffer, asBuffer, request, seen, error => resolve(error))
      })
    const read = await ask(PATHS.read, encodeReadRequest(names, { ...readOptions, fence: false }))
    assert.equal(read?.code, status.UNAUTHENTICATED)
    const lac = await ask(PATHS.readLac, encodeLacRequest(names, { ledgerId: ledgerId(1), fence: false }))
    assert.equal(lac, null)
  })

  test('a secret is changed without a stop: nodes take the old one and the next', async () => {
    for (const secrets of [[SECRET], [NEXT_SECRET, SECRET]]) {
      const writer = new TestWriter(open(secrets), 5)
      await writer.append(Buffer.from('a'))
      assert.deepEqual(writer.failed, [])
    }
  })

  test('no secret is in any line of a log, nor on the wire', async () => {
    const stranger = open(['a guess'])
    await new TestWriter(stranger, 2).append(Buffer.from('x'))
    assert(lines.length > 0)
    for (const line of lines) assert(!line.includes(SECRET) && !line.includes('a guess') && !line.includes('proof":"'))
    const sent = JSON.stringify(callMetadata({ secrets: [SECRET], tls: undefined }, names, PATHS.read).toJSON())
    assert(!sent.includes(SECRET))
  })

  test('a stranger that streams without an end is cut off', async () => {
    const client = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure())
    closing.push(() => client.close())
    const stream = client.makeBidiStreamRequest(PATHS.add, asBuffer, asBuffer)
    const ended = new Promise<ServiceError>(resolve => stream.once('error', resolve))
    const address = { clusterId: Buffer.from(CLUSTER), nodeId: Buffer.from(ID) }
    for (let i = 0; i < 100; i++) stream.write(encodedAddBatch(address, [], 0))
    assert.equal((await ended).code, status.UNAUTHENTICATED)
    assert.equal(served.stats().addStreams, 1) // the friend's
  })
})
