import { strict as assert } from 'node:assert'
import { updateRecord } from '@strata/metadata'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({
    scripts: SCRIPTS,
    members: 3,
    arguments: ['--heartbeat-interval=100', '--election-timeout=800']
  })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

describe('three members', () => {
  test('lose their leader under load: nothing is lost, done twice, or told out of order', async () => {
    const prefix = freshPrefix()
    const endpoints = [...etcd.endpoints]
    const stores = await Promise.all(
      // everyone begins with another member, so that some are connected to the leader and some are not
      endpoints.map((_, i) => openStore({ endpoints: [...endpoints.slice(i), ...endpoints.slice(0, i)], prefix }))
    )
    const [watcher] = stores
    assert(watcher !== undefined)
    let told = 0
    let last = 0
    let wake = (): void => undefined
    await watcher.watch('count', events => {
      told += events.length
      const version = events[0]?.version ?? 0
      assert(version > last)
      last = version
      wake()
    })
    const lease = await watcher.grantLease(20_000)
    let isRunning = true
    let count = 0
    const increment = (value: Uint8Array | undefined): Uint8Array => {
      return Buffer.from(String(Number(Buffer.from(value ?? []).toString()) + 1))
    }
    const writers = stores.map(async store => {
      while (isRunning) {
        await updateRecord(store, 'count', current => ({ put: increment(current?.value) }), { patienceMs: 30_000 })
        count += 1
        wake()
      }
    })
    const until = async (isReached: () => boolean): Promise<void> => {
      while (!isReached()) await new Promise<void>(resolve => (wake = resolve))
    }
    await until(() => count > 20)
    const leader = await etcd.leader()
    await leader.kill()
    const before = count
    await until(() => count > before + 20)
    isRunning = false
    await Promise.all(writers)
    const record = await stores[1]?.get('count')
    assert.equal(Buffer.from(record?.value ?? []).toString(), String(count))
    await until(() => last === record?.version)
    assert.equal(told, count)
    assert.equal(lease.isLost, false)
    await Promise.all(stores.map(store => store.close()))
    await leader.start()
  })

  test('one of which hangs delay a call, but do not fail it', async () => {
    const [first] = etcd.members
    assert(first !== undefined)
    const store = await openStore({ endpoints: etcd.endpoints, attemptMs: 1_000 })
    await store.transact({ compares: [], changes: [{ kind: 'put', key: 'a', value: Buffer.from('1') }] })
    first.signal('SIGSTOP')
    try {
      assert((await store.get('a')) !== undefined)
      const change = { kind: 'put', key: 'b', value: Buffer.from('2') } as const
      assert((await store.transact({ compares: [], changes: [change], operationId: 'op' })).committed)
    } finally {
      first.signal('SIGCONT')
    }
    await store.close()
  })
})
