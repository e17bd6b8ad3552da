import { strict as assert } from 'node:assert'
import { MetadataError, type Lease } from '@strata/metadata'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, openThrough, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { FaultyProxy } from './faulty-proxy.ts'

let etcd: EtcdPeers
beforeAll(async () => {
  // the least time of a lease is one and a half election time-outs, in whole seconds
  etcd = await startEtcd({ scripts: SCRIPTS, arguments: ['--heartbeat-interval=50', '--election-timeout=500'] })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

/** Its margin (a tenth, 200 ms at least) and its rate of keep-alives leave room for a machine with other work. */
const TTL_MS = 3_000

describe('a lease', () => {
  let proxy: FaultyProxy
  /** Behind the proxy. */
  let store: EtcdMetadataStore
  let other: EtcdMetadataStore
  beforeEach(async () => {
    const prefix = freshPrefix()
    proxy = await FaultyProxy.open(etcd.first.endpoint)
    other = await openStore({ endpoints: etcd.endpoints, prefix })
    store = await openThrough(proxy, { prefix, attemptMs: 500 })
  })
  afterEach(async () => {
    await proxy.close()
    await Promise.all([store.close(), other.close()])
  })
  const own = (lease: Lease) =>
    store.transact({
      compares: [{ key: 'owner', version: 0 }],
      changes: [{ kind: 'put', key: 'owner', value: Buffer.from('me'), lease }]
    })
  const lost = (lease: Lease): Promise<void> => new Promise(resolve => lease.onLost(resolve))
  /** When others see that the record of the owner is gone: does the holder of the lease know that it is lost? */
  const vanished = async (lease: Lease): Promise<{ knows: Promise<boolean> }> => {
    let tell = (_knows: boolean): void => undefined
    const knows = new Promise<boolean>(resolve => (tell = resolve))
    await other.watch('owner', events => {
      if (events.some(({ value }) => value === undefined)) tell(lease.isLost)
    })
    return { knows }
  }
  const revoke = (lease: Lease) => etcd.first.post('lease/revoke', { ID: lease.id })

  test('is kept for as long as etcd can be reached, whatever breaks in between', async () => {
    const lease = await store.grantLease(2 * TTL_MS - 1)
    assert.equal(lease.ttlMs, 2 * TTL_MS)
    const version = await own(lease)
    assert(version.committed)
    // each answer is one keep-alive, a third of the time after the one before
    for (let round = 0; round < 4; round++) {
      proxy.cut()
      const before = proxy.answerCount
      await proxy.until(({ answerCount }) => answerCount > before)
    }
    assert.equal(lease.isLost, false)
    assert.equal((await other.get('owner'))?.version, version.revision)
  })

  test('is lost to its holder before its records are gone, when nothing comes through any more', async () => {
    const lease = await store.grantLease(TTL_MS)
    assert((await own(lease)).committed)
    const { knows } = await vanished(lease)
    const lostAt = lost(lease)
    const before = proxy.answerCount
    await proxy.until(({ answerCount }) => answerCount > before)
    proxy.silence()
    await lostAt
    assert.equal(lease.isLost, true)
    assert.equal(await knows, true)
    const late = store.transact({ compares: [], changes: [{ kind: 'put', key: 'x', value: Buffer.from(''), lease }] })
    await assert.rejects(late, error => MetadataError.is(error, 'LEASE_LOST'))
  })

  test('stays lost when etcd can be reached again in time', async () => {
    const lease = await store.grantLease(2 * TTL_MS)
    assert((await own(lease)).committed)
    const lostAt = lost(lease)
    proxy.silence()
    await lostAt
    proxy.heal()
    await store.get('until it is connected')
    assert.equal(lease.isLost, true)
    await lease.revoke()
    assert.equal(await other.get('owner'), undefined)
  })

  test('that someone else revoked is lost as soon as it is heard of', async () => {
    const lease = await store.grantLease(60_000)
    const lostAt = lost(lease)
    await revoke(lease)
    await assert.rejects(own(lease), error => MetadataError.is(error, 'LEASE_LOST'))
    await lostAt
    const short = await store.grantLease(TTL_MS)
    const shortLost = lost(short)
    await revoke(short)
    await shortLost // by its next keep-alive
  })

  test('is given back when its store is closed', async () => {
    const lease = await store.grantLease(60_000)
    assert((await own(lease)).committed)
    await store.close()
    assert.equal(await other.get('owner'), undefined)
    assert.equal(lease.isLost, false)
  })

  test('that its transaction names is checked before the transaction, but not before its name', async () => {
    const lease = await store.grantLease(60_000)
    const named = {
      compares: [],
      changes: [{ kind: 'put', key: 'owner', value: Buffer.from('me'), lease } as const],
      operationId: 'op'
    }
    const result = await store.transact(named)
    assert(result.committed)
    await revoke(lease)
    assert.deepEqual(await store.transact(named), result)
    await lease.revoke()
    assert.deepEqual(await store.transact(named), result)
    await assert.rejects(store.transact({ ...named, operationId: 'op2' }), error =>
      MetadataError.is(error, 'LEASE_LOST')
    )
  })
})
