import { strict as assert } from 'node:assert'
import { Client, credentials, type ClientDuplexStream } from '@grpc/grpc-js'
import { bookieId, entryId, ledgerId, NO_ENTRY, silentLogger, systemClock } from '@strata/base'
import { entryDigest } from '@strata/ledger-protocol'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { AddRequest } from '../contract.ts'
import { MemoryBookieNode, TestWriter } from '../testing/index.ts'
import { encodedAddBatch } from '../testing/encoded-add-batch.ts'
import { testRun } from '../testing/run-conformance.ts'
import { NodeCredit } from './add-credit.ts'
import { AddQueue } from './add-queue.ts'
import { GrpcBookieNode } from './grpc-bookie-node.ts'
import { addBytes } from './add-batch.ts'
import { decodeAddAnswers } from './node-messages.ts'
import { serveBookieNode, type ServedBookieNode } from './serve-bookie-node.ts'
import { asBuffer, PATHS } from './service.ts'

const ID = bookieId('node-a')
const KIB = 1024
const ADD_BYTES_MAX = 64 * KIB

function addOf(entry: number, options: { ledger?: number; payload?: Buffer; recovery?: boolean } = {}): AddRequest {
  const { ledger = 1, payload = Buffer.alloc(KIB, entry), recovery = false } = options
  const ids = { ledgerId: ledgerId(ledger), entryId: entryId(entry), lac: NO_ENTRY }
  const fields = { ...ids, lengthBytes: (entry + 1) * payload.length, payload }
  return { ...fields, crc32c: entryDigest(fields), recovery }
}

/** Of recovery, in the node's journal at a time. */
const RECOVERY_BYTES_MAX = 4 * 1024 * KIB

/** A node that counts what it was given. */
class CountingNode extends MemoryBookieNode {
  readonly given: AddRequest[] = []

  override add(...[request, sink]: Parameters<MemoryBookieNode['add']>): void {
    this.given.push(request)
    super.add(request, sink)
  }

  get givenBytes(): number {
    return this.given.reduce((sum, request) => sum + addBytes(request.payload.length), 0)
  }
}

describe('the flow of adds', () => {
  let behind: CountingNode
  let served: ServedBookieNode
  const opened: { close(): void }[] = []
  beforeEach(async () => {
    behind = new CountingNode(ID)
    served = await serveBookieNode(behind, {
      clusterId: 'cluster-a',
      host: '127.0.0.1',
      port: 0,
      logger: silentLogger,
      addBytesMax: ADD_BYTES_MAX
    })
  })
  afterEach(async () => {
    for (const { close } of opened.splice(0)) close()
    behind.releaseSyncs()
    await served.close()
  })

  function open(queueBytesMax = 64 * 1024 * KIB): GrpcBookieNode {
    const node = new GrpcBookieNode({
      bookieId: ID,
      clusterId: 'cluster-a',
      address: `127.0.0.1:${served.port}`,
      clock: systemClock,
      logger: silentLogger,
      timeoutMs: 30_000,
      queueBytesMax
    })
    opened.push({ close: () => node.close() })
    return node
  }

  /** What a node answers after everything that was sent to it before. */
  const roundTrip = (node: GrpcBookieNode): Promise<unknown> => node.readLac({ ledgerId: ledgerId(77), fence: false })

  /** A peer that does not keep to the rules unless a test says so. */
  function rawStream(): {
    stream: ClientDuplexStream<Buffer, Buffer>
    send: (adds: AddRequest[], taken?: number) => void
  } {
    const client = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure())
    const stream = client.makeBidiStreamRequest<Buffer, Buffer>(PATHS.add, asBuffer, asBuffer)
    opened.push({
      close: () => {
        stream.cancel()
        client.close()
      }
    })
    const address = { clusterId: Buffer.from('cluster-a'), nodeId: Buffer.from(ID) }
    const send = (adds: AddRequest[], taken = 0): void => {
      const batch = adds.map(request => ({ channel: request.ledgerId, request }))
      stream.write(encodedAddBatch(address, batch, taken))
    }
    return { stream, send }
  }

  test('a stalled disk holds no more than the credit that was given; the rest waits, and comes in order', async () => {
    behind.holdSyncs()
    const node = open()
    const writer = new TestWriter(node)
    for (let i = 0; i < 500; i++) writer.add(Buffer.alloc(KIB, i))
    while (behind.givenBytes < ADD_BYTES_MAX) await roundTrip(node)
    for (let i = 0; i < 20; i++) await roundTrip(node)
    const one = addBytes(addOf(0).payload.length)
    assert(behind.givenBytes < ADD_BYTES_MAX + one, `${behind.givenBytes} bytes`)
    assert.equal(served.stats().heldAddBytes, behind.givenBytes)
    behind.releaseSyncs()
    await writer.settled(499)
    assert.deepEqual(writer.failed, [])
    assert.deepEqual(
      behind.given.map(({ entryId: id }) => id),
      Array.from({ length: 500 }, (_, i) => i)
    )
    while (served.stats().heldAddBytes > 0) await roundTrip(node)
  })

  test('an add larger than all credit passes alone', async () => {
    const node = open()
    const writer = new TestWriter(node)
    writer.add(Buffer.alloc(10))
    writer.add(Buffer.alloc(ADD_BYTES_MAX * 3))
    writer.add(Buffer.alloc(10))
    await writer.settled(2)
    assert.deepEqual(writer.failed, [])
  })

  test('what waits too long for credit is bounded: the node counts as unreachable', async () => {
    behind.holdSyncs()
    const node = open(256 * KIB)
    const writer = new TestWriter(node)
    for (let i = 0; i < 400; i++) writer.add(Buffer.alloc(KIB, i))
    await writer.settled(399)
    assert.deepEqual(writer.failed, [{ entryId: 399, failure: 'UNREACHABLE' }])
  })

  test('many peers share the credit, and nobody is forgotten', async () => {
    behind.holdSyncs()
    const nodes = [open(), open(), open(), open(), open()]
    const writers = nodes.map((node, i) => new TestWriter(node, i + 1))
    for (const writer of writers) for (let i = 0; i < 300; i++) writer.add(Buffer.alloc(KIB))
    const [first] = nodes
    assert(first !== undefined)
    while (behind.givenBytes < ADD_BYTES_MAX) await roundTrip(first)
    for (let i = 0; i < 20; i++) await Promise.all(nodes.map(roundTrip))
    // each may have had a window before the node was full
    assert(behind.givenBytes <= ADD_BYTES_MAX * 6, `${behind.givenBytes} bytes`)
    behind.releaseSyncs()
    await Promise.all(writers.map(writer => writer.settled(299)))
    assert(writers.every(({ failed }) => failed.length === 0))
  })

  test('a peer that sends past its credit is refused', async () => {
    behind.holdSyncs()
    const { stream, send } = rawStream()
    const ended = new Promise<Error>(resolve => stream.once('error', resolve))
    await new Promise(resolve => {
      stream.once('data', resolve)
      send([])
    })
    send(Array.from({ length: 200 }, (_, i) => addOf(i)))
    assert.match((await ended).message, /past the credit/)
    assert(behind.givenBytes < ADD_BYTES_MAX + addBytes(addOf(0).payload.length))
    behind.releaseSyncs()
    const right = new TestWriter(open(), 9)
    await right.append(Buffer.from('a'))
    assert.deepEqual(right.failed, [])
  })

  test('a peer that sends before it has credit is refused', async () => {
    const { stream, send } = rawStream()
    const ended = new Promise<Error>(resolve => stream.once('error', resolve))
    send([addOf(0)])
    assert.match((await ended).message, /past the credit/)
    assert.equal(behind.given.length, 0)
  })

  test('a peer that never says that it took answers ends without credit, and goes on when it does', async () => {
    const { stream, send } = rawStream()
    let messages = 0
    let granted = 0
    let sent = 0
    let entry = 0
    let wake = (): void => undefined
    stream.on('error', () => undefined)
    stream.on('data', (message: Buffer) => {
      messages += 1
      granted = Math.max(granted, decodeAddAnswers(message).grantedBytes)
      wake()
    })
    const oneMore = (): void => {
      const add = addOf(entry++, { payload: Buffer.alloc(1) })
      sent += addBytes(add.payload.length)
      send([add])
    }
    send([])
    while (messages < 256) {
      if (sent < granted) oneMore()
      const before = messages
      while (messages === before) await new Promise<void>(resolve => (wake = resolve))
    }
    const node = open()
    while (sent < granted) oneMore() // no answer to any of these, and no credit
    for (let i = 0; i < 20; i++) await roundTrip(node)
    assert.equal(messages, 256)
    assert(served.stats().heldAddBytes > 0)
    send([], messages)
    while (served.stats().heldAddBytes > 0 || granted <= sent) await roundTrip(node) // what grants may be on its way
  })

  test('adds of recovery leave room to those of writers', async () => {
    behind.holdSyncs()
    const node = open()
    const repair = new TestWriter(node, 1)
    const payload = Buffer.alloc(KIB)
    for (let i = 0; i < 3_000; i++) repair.add(payload, { recovery: true })
    while (behind.given.length === 0) await roundTrip(node)
    for (let i = 0; i < 20; i++) await roundTrip(node)
    assert(behind.givenBytes < ADD_BYTES_MAX / 2)
    const writer = new TestWriter(node, 2)
    writer.add(payload)
    while (!behind.given.some(({ recovery }) => !recovery)) await roundTrip(node)
    behind.releaseSyncs()
    await Promise.all([repair.settled(2_999), writer.settled(0)])
    assert.deepEqual([repair.failed, writer.failed], [[], []])
  })

  test('of runs a stalled disk gets a part, those of the own process in it, and writers pass the rest', async () => {
    behind.holdSyncs()
    const node = open()
    const run = testRun({ count: 1_000, bytes: KIB })
    const runs = Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? node : served.runs).addRun(run))
    while (behind.givenBytes < RECOVERY_BYTES_MAX) await roundTrip(node)
    for (let i = 0; i < 20; i++) await roundTrip(node)
    assert(behind.givenBytes < 1.2 * RECOVERY_BYTES_MAX, `${behind.givenBytes} bytes`)
    const writer = new TestWriter(node, 2)
    writer.add(Buffer.alloc(KIB))
    while (!behind.given.some(({ recovery }) => !recovery)) await roundTrip(node)
    behind.releaseSyncs()
    assert.deepEqual(await Promise.all(runs), Array(16).fill(undefined))
    await writer.settled(0)
    assert.equal(behind.given.length, 16_001)
    assert.equal(served.stats().waitingRecoveryAdds, 0)
  })
})

describe('AddQueue', () => {
  const channel = (number: number, isRecovery = false): { number: number; isRecovery: boolean } => ({
    number,
    isRecovery
  })

  test('writers go first; recovery is bounded until it is answered', () => {
    const queue = new AddQueue()
    queue.grant(1e9)
    const big = Buffer.alloc(2_400 * KIB)
    for (let i = 0; i < 4; i++) queue.push(channel(1, true), addOf(i, { payload: big, recovery: true }))
    queue.push(channel(2), addOf(0, { ledger: 2 }))
    assert.deepEqual(
      queue.take(1e9).map(add => [add.channel, add.request.entryId]),
      [
        [2, 0],
        [1, 0],
        [1, 1]
      ]
    )
    assert.deepEqual(queue.take(1e9), [])
    assert.equal(queue.onAnswer({ channel: 1, entryId: entryId(1), failure: undefined }), true)
    assert.deepEqual(
      queue.take(1e9).map(add => add.request.entryId),
      [2, 3]
    )
    assert.equal(queue.onAnswer({ channel: 1, entryId: entryId(3), failure: undefined }), false)
    assert(queue.isEmpty && queue.bytes === 0)
  })

  test('nothing goes without credit, and a stream that is made anew has none', () => {
    const queue = new AddQueue()
    queue.push(channel(1), addOf(0))
    assert.deepEqual(queue.take(1e9), [])
    assert.equal(queue.grant(1), true)
    assert.equal(queue.take(1e9).length, 1)
    queue.push(channel(1), addOf(1))
    assert.deepEqual(queue.take(1e9), [])
    assert.equal(queue.grant(1), false)
    queue.reset()
    assert(queue.isEmpty)
    queue.push(channel(1), addOf(2))
    assert.deepEqual(queue.take(1e9), [])
  })
})

describe('NodeCredit', () => {
  test('windows shrink with the number of streams; who found the node full is called when there is room', () => {
    const credit = new NodeCredit(8 * 1024 * KIB)
    let calls = 0
    const first = credit.open(() => (calls += 1))
    assert.equal(first.raise(), 8 * 1024 * KIB)
    assert.equal(first.raise(), undefined)
    assert(first.receive(8 * 1024 * KIB))
    const second = credit.open(() => (calls += 10))
    assert.equal(second.raise(), undefined)
    assert.equal(calls, 0)
    assert(!second.receive(1))
    first.settle(1024 * KIB)
    assert.equal(calls, 10)
    assert.equal(second.raise(), 4 * 1024 * KIB)
    first.close()
    assert.equal(credit.heldBytes, 7 * 1024 * KIB)
    first.settle(7 * 1024 * KIB)
    assert.equal(credit.heldBytes, 0)
  })
})
