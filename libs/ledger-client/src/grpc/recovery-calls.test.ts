import { strict as assert } from 'node:assert'
import { Client } from '@grpc/grpc-js'
import { bookieId, entryId, ledgerId, silentLogger, systemClock, type LedgerId } from '@strata/base'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, test, vi } from 'vitest'
import type { BookieNode } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { MemoryBookieNode, TestWriter } from '../testing/index.ts'
import { GrpcBookieNode } from './grpc-bookie-node.ts'
import { serveBookieNode, type ServedBookieNode } from './serve-bookie-node.ts'

const ID = bookieId('node-a')
const LEDGERS = 6

/** Of one ledger: how long it is, what is wrong with it, and what is asked of it. */
const questionArb = fc.record({
  ledger: fc.integer({ min: 1, max: LEDGERS }),
  read: fc.option(fc.record({ first: fc.nat(8), count: fc.integer({ min: 1, max: 9 }), bytesMax: fc.nat(300) }), {
    nil: undefined
  })
})
type Question = typeof questionArb extends fc.Arbitrary<infer Value> ? Value : never

async function ask(node: BookieNode, { ledger, read }: Question): Promise<unknown> {
  const id = ledgerId(ledger)
  if (read === undefined) return node.readLac({ ledgerId: id, fence: true })
  const first = entryId(read.first)
  return node.read({ ledgerId: id, first, last: entryId(99), bytesMax: read.bytesMax, entriesMax: 3, fence: true })
}

describe('what recovery asks about many ledgers', () => {
  let behind: MemoryBookieNode
  let served: ServedBookieNode
  let node: GrpcBookieNode
  const remote = (nodeId: string, timeoutMs = 30_000): GrpcBookieNode => {
    const to = { bookieId: bookieId(nodeId), clusterId: 'c', address: `127.0.0.1:${served.port}`, timeoutMs }
    return new GrpcBookieNode({ ...to, clock: systemClock, logger: silentLogger })
  }
  beforeEach(async () => {
    behind = new MemoryBookieNode(ID)
    served = await serveBookieNode(behind, { clusterId: 'c', host: '127.0.0.1', port: 0, logger: silentLogger })
    node = remote(ID)
    for (let ledger = 1; ledger < LEDGERS; ledger++) {
      const writer = new TestWriter(behind, ledger) // the last one has nothing
      for (let i = 0; i < ledger; i++) await writer.append(Buffer.alloc(100, `${ledger}`), { lac: i - 1 })
    }
    behind.corrupt(ledgerId(3), entryId(1))
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    behind.releaseReads()
    behind.releaseSyncs()
    node.close()
    await served.close()
  })
  const fence = (ledger: number): Promise<unknown> => ask(node, { ledger, read: undefined })
  const isFenced = async (id: LedgerId): Promise<boolean> => {
    const writer = new TestWriter(behind, id)
    await writer.append(Buffer.from('a'), { entry: 50 })
    return writer.failed.length === 1
  }

  test('is answered together as it is one by one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(questionArb, { minLength: 2, maxLength: 150 }), async questions => {
        const together = await Promise.all(questions.map(question => ask(node, question)))
        const alone: unknown[] = []
        for (const question of questions) alone.push(await ask(behind, question))
        assert.deepEqual(together, alone)
      }),
      { numRuns: 20 }
    )
    for (let ledger = 1; ledger < LEDGERS; ledger++) assert(await isFenced(ledgerId(ledger)))
  })

  test('is few calls, and one that comes alone is a call of its own', async () => {
    const together = vi.spyOn(Client.prototype, 'makeServerStreamRequest')
    const alone = vi.spyOn(Client.prototype, 'makeUnaryRequest')
    await Promise.all(Array.from({ length: 130 }, (_, i) => fence(1 + (i % LEDGERS))))
    assert.deepEqual([together.mock.calls.length, alone.mock.calls.length], [3, 0])
    await fence(1)
    assert.deepEqual([together.mock.calls.length, alone.mock.calls.length], [3, 1])
  })

  test('one that the node is slow with holds up none of the others', async () => {
    behind.holdReads()
    const slow = ask(node, { ledger: 2, read: { first: 0, count: 1, bytesMax: 9 } })
    await Promise.all([fence(1), fence(3)]) // of the same turn
    behind.releaseReads()
    assert.equal((await (slow as ReturnType<BookieNode['read']>)).entries.length, 1)
  })

  test('one that fails, fails alone', async () => {
    const { readLac } = behind
    behind.readLac = options =>
      options.ledgerId === 2 ? Promise.reject(LedgerError.create('UNAVAILABLE')) : readLac.call(behind, options)
    const [first, second, third] = await Promise.allSettled([fence(1), fence(2), fence(3)])
    assert.deepEqual([first.status, third.status], ['fulfilled', 'fulfilled'])
    assert(second.status === 'rejected' && LedgerError.is(second.reason, 'UNAVAILABLE'))
  })

  test('another node refuses it, and does nothing', async () => {
    const wrong = remote('node-b')
    const id = ledgerId(1)
    const asked = [1, 2].map(() => wrong.readLac({ ledgerId: id, fence: true }))
    for (const answer of await Promise.allSettled(asked)) {
      assert(answer.status === 'rejected' && LedgerError.is(answer.reason, 'WRONG_NODE'))
    }
    assert.equal(await isFenced(id), false)
    wrong.close()
  })

  test('what is not answered in time, or by a node that is given up, fails', async () => {
    behind.holdReads()
    const read = { first: 0, count: 1, bytesMax: 9 }
    const hasty = remote(ID, 50)
    const late = [1, 2].map(ledger => ask(hasty, { ledger, read }))
    for (const answer of await Promise.allSettled(late)) {
      assert(answer.status === 'rejected' && LedgerError.is(answer.reason, 'UNAVAILABLE'))
    }
    hasty.close()
    const gone = [1, 2].map(ledger => ask(hasty, { ledger, read }))
    for (const answer of await Promise.allSettled(gone)) {
      assert(answer.status === 'rejected' && LedgerError.is(answer.reason, 'UNAVAILABLE'))
    }
  })

  test('entries that are large come in several messages', async () => {
    const payload = Buffer.alloc(700_000, 'x')
    for (let ledger = 10; ledger < 30; ledger++) await new TestWriter(behind, ledger).append(payload)
    const questions = Array.from({ length: 20 }, (_, i) => ({
      ledger: 10 + i,
      read: { first: 0, count: 1, bytesMax: 1 << 20 }
    }))
    const answers = await Promise.all(questions.map(question => ask(node, question)))
    for (const answer of answers as Awaited<ReturnType<BookieNode['read']>>[]) {
      assert.equal(answer.entries[0]?.payload.equals(payload), true)
    }
  })
})
