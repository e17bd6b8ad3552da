import { strict as assert } from 'node:assert'
import { MetadataError, transactUntilAnswered, type Transaction } from '@strata/metadata'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, openThrough, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { FaultyProxy, type Fault } from './faulty-proxy.ts'

const put = (key: string, value = key) => ({ kind: 'put', key, value: Buffer.from(value) }) as const
const unavailable = (error: unknown): boolean => MetadataError.is(error, 'UNAVAILABLE')

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

describe('a transaction whose answer is lost', () => {
  let proxy: FaultyProxy
  let prefix: string
  /** Behind the proxy. */
  let store: EtcdMetadataStore
  /** Another process, which nothing happens to. */
  let other: EtcdMetadataStore
  let opened: EtcdMetadataStore[]
  beforeEach(async () => {
    opened = []
    prefix = freshPrefix()
    proxy = await FaultyProxy.open(etcd.first.endpoint)
    other = await openStore({ endpoints: etcd.endpoints, prefix })
    store = await openThrough(proxy, { prefix })
    opened.push(other, store)
  })
  afterEach(async () => {
    await proxy.close()
    await Promise.all(opened.map(each => each.close()))
  })
  const increment = async (operationId: string): Promise<Transaction> => {
    const record = await other.get('count')
    const next = Number(Buffer.from(record?.value ?? []).toString()) + 1
    return {
      compares: [{ key: 'count', version: record?.version ?? 0 }],
      changes: [put('count', String(next))],
      operationId
    }
  }
  const count = async (): Promise<number> => Number(Buffer.from((await other.get('count'))?.value ?? []).toString())

  test('is answered as committed if it was, and is applied once', async () => {
    for (let round = 1; round <= 5; round++) {
      const transaction = await increment(`op-${round}`)
      proxy.failNext('cut at answer')
      const result = await store.transact(transaction)
      assert(result.committed)
      const record = await other.get('count')
      assert.equal(record?.version, result.revision)
      assert.equal(await count(), round)
    }
    assert.equal(proxy.faultCount, 5)
  })

  test('is applied if it was not, whatever becomes of its first attempts', async () => {
    const transaction = await increment('op')
    proxy.failNext('cut at request', 'cut at answer', 'cut at request', 'cut at answer')
    assert((await store.transact(transaction)).committed)
    assert.equal(await count(), 1)
    assert.equal(proxy.faultCount, 4)
  })

  test('without a name is not sent again: its caller hears that nobody knows', async () => {
    for (const [fault, expected] of [
      ['cut at answer', 1],
      ['cut at request', 1]
    ] as const) {
      const { compares, changes } = await increment('')
      const answers = proxy.answerCount
      proxy.failNext(fault)
      await assert.rejects(store.transact({ compares, changes }), unavailable)
      assert.equal(await count(), expected)
      assert.equal(proxy.answerCount - answers, fault === 'cut at answer' ? 1 : 0)
    }
  })

  test('is still found after the store itself gave up asking', async () => {
    const impatient = await openThrough(proxy, { prefix, patienceMs: 500 })
    opened.push(impatient)
    const transaction = await increment('op')
    proxy.failNext('cut at answer', ...Array<Fault>(1_000).fill('cut at request'))
    await assert.rejects(impatient.transact(transaction), unavailable)
    proxy.failNoMore()
    assert.equal(await count(), 1)
    const result = await store.transact(transaction)
    assert(result.committed)
    assert.equal((await other.get('count'))?.version, result.revision)
    assert.equal(await count(), 1)
  })

  test('cannot be carried out any more once its caller was told of a conflict', async () => {
    await other.transact({ compares: [], changes: [put('a', 'there')] })
    proxy.failNext('hold request')
    const answer = store.transact({
      compares: [{ key: 'a', version: 0 }],
      changes: [put('a', 'by the late attempt')],
      operationId: 'op'
    })
    await proxy.until(({ faultCount }) => faultCount === 1)
    proxy.cut()
    const result = await answer
    assert(!result.committed)
    assert.equal(Buffer.from(result.conflicts[0]?.current?.value ?? []).toString(), 'there')
    await other.transact({ compares: [], changes: [{ kind: 'delete', key: 'a' }] })
    // now its compare would hold
    const answers = proxy.answerCount
    proxy.release()
    await proxy.until(({ answerCount }) => answerCount > answers)
    assert.equal(await other.get('a'), undefined)
    // and the same name, submitted anew, is judged anew
    const again = { compares: [{ key: 'a', version: 0 }], changes: [put('a', 'anew')], operationId: 'op' }
    const committed = await store.transact(again)
    assert(committed.committed)
    assert.deepEqual(await store.transact(again), committed)
    assert.equal((await other.get('a'))?.version, committed.revision)
  })

  test('increments by compare-and-set through broken connections lose nothing and repeat nothing', async () => {
    const rounds = 30
    const faults = ['cut at answer', 'cut at request'] as const
    for (let round = 0; round < rounds; round++) {
      const { compares, changes } = await increment('')
      if (round % 3 > 0) proxy.failNext(faults[round % 2] ?? 'cut at answer')
      assert((await transactUntilAnswered(store, { compares, changes })).committed)
    }
    assert.equal(await count(), rounds)
    assert.equal(proxy.faultCount, 20)
  })
})
