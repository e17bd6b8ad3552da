import { strict as assert } from 'node:assert'
import { connect } from 'node:net'
import { bookieId, entryId, ledgerId, silentLogger, systemClock, type Clock } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { LedgerError } from '../errors.ts'
import { createLedgerClient } from '../ledger-client.ts'
import { describeBookieNode, directoryOf, MemoryBookieNode, TestWriter } from '../testing/index.ts'
import { GrpcBookieNode } from './grpc-bookie-node.ts'
import { serveBookieNode, type ServedBookieNode } from './serve-bookie-node.ts'

const ID = bookieId('node-a')

async function serve(node = new MemoryBookieNode(ID)): Promise<ServedBookieNode> {
  return serveBookieNode(node, { clusterId: 'cluster-a', host: '127.0.0.1', port: 0, logger: silentLogger })
}

function remote(
  port: number,
  options: { nodeId?: string; clusterId?: string; timeoutMs?: number; clock?: Clock } = {}
): GrpcBookieNode {
  return new GrpcBookieNode({
    bookieId: bookieId(options.nodeId ?? ID),
    clusterId: options.clusterId ?? 'cluster-a',
    address: `127.0.0.1:${port}`,
    clock: options.clock ?? systemClock,
    logger: silentLogger,
    timeoutMs: options.timeoutMs ?? 10_000
  })
}

/** Time of the one who waits; the deadline that a request carries is the real one. */
function doorsOf(clock: ManualClock): Pick<Clock, 'nowMs' | 'after'> {
  return { nowMs: () => clock.nowMs(), after: (delayMs, run) => clock.after(delayMs, run) }
}

describeBookieNode(
  'GrpcBookieNode',
  async () => {
    const served = await serve()
    const node = remote(served.port)
    return {
      node,
      restart: async () => node,
      dispose: async () => {
        node.close()
        await served.close()
      }
    }
  },
  { isDurable: false }
)

describe('GrpcBookieNode', () => {
  let behind: MemoryBookieNode
  let served: ServedBookieNode
  let opened: GrpcBookieNode[]
  beforeEach(async () => {
    behind = new MemoryBookieNode(ID)
    served = await serve(behind)
    opened = []
  })
  afterEach(async () => {
    for (const node of opened) node.close()
    behind.releaseSyncs()
    await served.close()
  })
  const open = (
    options: { nodeId?: string; clusterId?: string; timeoutMs?: number; clock?: Clock } = {}
  ): GrpcBookieNode => {
    const node = remote(served.port, options)
    opened.push(node)
    return node
  }
  const lacOf = (node: GrpcBookieNode): Promise<unknown> => node.readLac({ ledgerId: ledgerId(1), fence: true })

  for (const wrong of [{ nodeId: 'node-b' }, { clusterId: 'cluster-b' }]) {
    test(`a request for ${Object.values(wrong).join()} is refused and has no effect`, async () => {
      const node = open(wrong)
      const writer = new TestWriter(node)
      await writer.append(Buffer.from('a'))
      assert.deepEqual(writer.failed, [{ entryId: 0, failure: 'WRONG_NODE' }])
      await assert.rejects(lacOf(node), error => LedgerError.is(error, 'WRONG_NODE'))
      const limits = { first: entryId(0), last: entryId(9), bytesMax: 9, entriesMax: 9, fence: true }
      await assert.rejects(node.read({ ledgerId: ledgerId(1), ...limits }), error =>
        LedgerError.is(error, 'WRONG_NODE')
      )
      const right = new TestWriter(open())
      await right.append(Buffer.from('a'))
      assert.deepEqual(right.added, [0])
    })
  }

  test('failures of the node come through, each with its reason', async () => {
    const node = open()
    for (const failure of ['READ_ONLY', 'STORAGE_FAILED'] as const) {
      behind.failNext(failure)
      const writer = new TestWriter(node)
      await writer.append(Buffer.from('a'))
      assert.deepEqual(writer.failed, [{ entryId: 0, failure }])
    }
    behind.stop()
    await assert.rejects(lacOf(node), error => LedgerError.is(error, 'UNAVAILABLE'))
  })

  test('what the node cannot read comes through, page by page', async () => {
    for (const ledger of [3, 5]) {
      const writer = new TestWriter(behind, ledger)
      for (let i = 0; i < 4; i++) await writer.append(Buffer.from('a'))
      for (const entry of [1, 2]) behind.corrupt(ledgerId(ledger), entryId(entry))
    }
    behind.scrub()
    const node = open()
    const stretch = (ledger: number, entry: number) => ({ ledgerId: ledger, first: entry, last: entry })
    const all = [stretch(3, 1), stretch(3, 2), stretch(5, 1), stretch(5, 2)]
    assert.deepEqual(await node.damagedEntries({ ledgerId: 0, entryId: 0, limit: 9 }), all)
    assert.deepEqual(await node.damagedEntries({ ledgerId: 3, entryId: 2, limit: 2 }), all.slice(1, 3))
    assert.deepEqual(await node.damagedEntries({ ledgerId: 6, entryId: 0, limit: 9 }), [])
  })

  test('an add that is not answered in time fails, and so do all behind it', async () => {
    behind.holdSyncs()
    const clock = new ManualClock()
    const node = open({ timeoutMs: 10_000, clock: { ...doorsOf(clock), wallMs: () => systemClock.wallMs() } })
    const writer = new TestWriter(node)
    writer.add(Buffer.from('a'))
    writer.add(Buffer.from('b'))
    while (served.stats().adds < 2) await node.readLac({ ledgerId: ledgerId(1), fence: false })
    clock.advance(9_999)
    assert.deepEqual(writer.failed, [])
    clock.advance(5_001)
    await writer.settled(1)
    assert.deepEqual(writer.failed, [{ entryId: 1, failure: 'UNREACHABLE' }])
    const hasty = open({ timeoutMs: 40 })
    await assert.rejects(lacOf(hasty), error => LedgerError.is(error, 'UNAVAILABLE'))
    behind.releaseSyncs()
    const later = new TestWriter(node, 2)
    await later.append(Buffer.from('c'))
    assert.deepEqual(later.added, [0])
  })

  test('a node that goes away fails what is pending, and is used again when it is back', async () => {
    const node = open()
    const writer = new TestWriter(node)
    await writer.append(Buffer.from('a'))
    behind.holdSyncs()
    writer.add(Buffer.from('b'))
    await served.close()
    await writer.settled(1)
    assert.deepEqual(writer.failed, [{ entryId: 1, failure: 'UNREACHABLE' }])
    behind.releaseSyncs()
    const { port } = served
    served = await serveBookieNode(behind, { clusterId: 'cluster-a', host: '127.0.0.1', port, logger: silentLogger })
    for (;;) {
      const again = new TestWriter(node, 2) // until the connection is made anew
      await again.append(Buffer.from('c'))
      if (again.failed.length === 0) break
    }
  })

  test('a closed client fails everything at once', async () => {
    const node = open()
    behind.holdSyncs()
    const writer = new TestWriter(node)
    writer.add(Buffer.from('a'))
    node.close()
    writer.add(Buffer.from('b'))
    await writer.settled(1)
    assert(writer.failed.every(({ failure }) => failure === 'UNREACHABLE'))
    await assert.rejects(lacOf(node), error => LedgerError.is(error, 'UNAVAILABLE'))
  })

  test('bytes that are no gRPC disturb nobody', async () => {
    const socket = connect(served.port, '127.0.0.1')
    await new Promise(resolve => socket.once('connect', resolve))
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.on('error', () => undefined)
    socket.resume()
    socket.write(Buffer.alloc(10_000, 0xff))
    await closed
    const writer = new TestWriter(open())
    await writer.append(Buffer.from('a'))
    assert.deepEqual(writer.added, [0])
  })

  test('a ledger is written, recovered and read over three nodes', async () => {
    const locals = ['x', 'y', 'z'].map(name => new MemoryBookieNode(bookieId(name)))
    const servers = await Promise.all(locals.map(serve))
    const nodes = servers.map(({ port }, i) => remote(port, { nodeId: locals[i]?.bookieId ?? '' }))
    opened.push(...nodes)
    let wake = (): void => undefined
    const client = createLedgerClient({
      metadata: new MemoryMetadataStore(),
      directory: directoryOf(nodes),
      quorum: { ensembleSize: 3, writeQuorum: 2, ackQuorum: 2 },
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.7
    })
    const listener = { onConfirmed: () => wake(), onFailed: () => wake() }
    const ledger = await client.create({ owner: 'test', listener })
    const texts = Array.from({ length: 60 }, (_, i) => `entry ${i}`)
    for (const each of texts) ledger.append(Buffer.from(each))
    while (ledger.lastAddConfirmed < 59) await new Promise<void>(resolve => (wake = resolve))
    const end = await client.recover(ledger.ledgerId)
    assert.equal(end.lastEntryId, 59)
    const reader = await client.open(ledger.ledgerId)
    const entries = await reader.read({ first: entryId(0), last: entryId(59), bytesMax: 1e6, entriesMax: 60 })
    assert.deepEqual(
      entries.map(({ payload }) => payload.toString()),
      texts
    )
    for (const node of nodes) node.close()
    await Promise.all(servers.map(server => server.close()))
  })
})
