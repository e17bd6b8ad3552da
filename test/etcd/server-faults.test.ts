import { strict as assert } from 'node:assert'
import { cp, rename, rm } from 'node:fs/promises'
import { MetadataError, type TransactionResult } from '@strata/metadata'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { FaultyProxy } from './faulty-proxy.ts'

const QUOTA_BYTES = 8 * 1024 * 1024
const replaced = (error: unknown): boolean => MetadataError.is(error, 'STORE_REPLACED') && !error.retryable
const unavailable = (error: unknown): boolean => MetadataError.is(error, 'UNAVAILABLE')
const put = (key: string, value: string | Uint8Array = key) =>
  ({ kind: 'put', key, value: Buffer.from(value) }) as const

describe('a server', () => {
  let etcd: EtcdPeers
  let prefix: string
  let store: EtcdMetadataStore
  beforeEach(async () => {
    etcd = await startEtcd({ scripts: SCRIPTS, arguments: [`--quota-backend-bytes=${QUOTA_BYTES}`] })
    prefix = freshPrefix()
    store = await openStore({ endpoints: etcd.endpoints, prefix })
  }, START_TIMEOUT_MS)
  afterEach(async () => {
    await Promise.all([store.close(), etcd.stop()])
  })
  const commit = async (...changes: ReturnType<typeof put>[]): Promise<number> => {
    const result = await store.transact({ compares: [], changes, operationId: changes[0]?.key ?? '' })
    assert(result.committed)
    return result.revision
  }

  test('that is killed and comes back has everything, and watches and leases go on', async () => {
    const seen: string[] = []
    let wake = (): void => undefined
    await store.watch('', events => {
      seen.push(...events.map(({ key, version }) => `${key}@${version}`))
      wake()
    })
    const lease = await store.grantLease(30_000)
    const leased = await store.transact({ compares: [], changes: [{ ...put('leased'), lease }] })
    assert(leased.committed)
    const before = await commit(put('before'))
    await etcd.first.kill()
    const pending = commit(put('meanwhile'))
    const reading = store.get('before')
    await etcd.first.start()
    const meanwhile = await pending
    assert.equal((await reading)?.version, before)
    const after = await commit(put('after'))
    while (seen.length < 4) await new Promise<void>(resolve => (wake = resolve))
    assert.deepEqual(seen, [
      `leased@${leased.revision}`,
      `before@${before}`,
      `meanwhile@${meanwhile}`,
      `after@${after}`
    ])
    assert.equal(lease.isLost, false)
    assert.equal((await store.get('leased'))?.version, leased.revision)
  })

  test('that is full refuses changes for now, answers reads, and takes changes again after it was tidied', async () => {
    const told = new Map<string, number[]>()
    let wake = (): void => undefined
    await store.watch('k', events => {
      for (const { value, version } of events) {
        const id = Buffer.from(value ?? [])
          .toString()
          .trimEnd()
        told.set(id, [...(told.get(id) ?? []), version])
      }
      wake()
    })
    const submit = async (id: string): Promise<TransactionResult | 'full'> => {
      const changes = [put(`k${id.length % 3}`, id.padEnd(60_000))] // a history that can be compacted
      try {
        return await store.transact({ compares: [], changes, operationId: id })
      } catch (error) {
        assert(MetadataError.is(error, 'NO_SPACE') && error.retryable)
        return 'full'
      }
    }
    const answers = new Map<string, TransactionResult | 'full'>()
    // several at once, so that some are on their way when the server finds that it is full
    for (let round = 0; ![...answers.values()].includes('full'); round++) {
      const ids = Array.from({ length: 16 }, (_, i) => `${round}.${i}`)
      await Promise.all(ids.map(async id => answers.set(id, await submit(id))))
    }
    // what was committed is known although nothing can be written
    for (const [id, answer] of [...answers].slice(-40)) {
      if (answer !== 'full') assert.deepEqual(await submit(id), answer)
    }
    const unnamed = store.transact({ compares: [], changes: [put('k')] })
    await assert.rejects(unnamed, error => MetadataError.is(error, 'NO_SPACE'))

    // what an operator does
    const { header } = await etcd.first.post<{ header: { revision: string } }>('kv/range', { key: 'AA==' })
    await etcd.first.post('kv/compaction', { revision: header.revision, physical: true })
    await etcd.first.post('maintenance/defragment', {})
    const { alarms } = await etcd.first.post<{ alarms: object[] }>('maintenance/alarm', { action: 'GET' })
    assert.equal(alarms.length, 1)
    await etcd.first.post('maintenance/alarm', { action: 'DEACTIVATE', ...alarms[0] })
    for (const [id, answer] of [...answers].slice(-40)) {
      const again = await submit(id)
      assert(again !== 'full' && again.committed, id)
      if (answer !== 'full') assert.deepEqual(again, answer)
      answers.set(id, again)
    }
    while (told.size < answers.size) await new Promise<void>(resolve => (wake = resolve))
    for (const [id, answer] of answers) {
      assert(answer !== 'full' && answer.committed)
      assert.deepEqual(told.get(id), [answer.revision], `${id} was applied once`)
    }
  })

  test('that is set back to an earlier state is not believed any more', async () => {
    const { directory } = etcd.first
    await commit(put('kept'))
    await etcd.first.stop()
    await cp(directory, `${directory}.copy`, { recursive: true })
    await etcd.first.start()
    const lost = await commit(put('lost'))
    const ended: string[] = []
    await store.watch('', events => ended.push(...events.map(({ key }) => key)))
    await etcd.first.kill()
    await rename(directory, `${directory}.newer`)
    await rename(`${directory}.copy`, directory)
    await etcd.first.start()
    await assert.rejects(store.get('lost'), replaced)
    // also when it has caught up with the revisions that were given before
    const fresh = await openStore({ endpoints: etcd.endpoints, prefix })
    for (let revision = 0; revision <= lost;) {
      const result = await fresh.transact({ compares: [], changes: [put('new')] })
      revision = result.committed ? result.revision : 0
    }
    assert.equal(await fresh.get('lost'), undefined)
    await assert.rejects(store.get('new'), replaced)
    await assert.rejects(commit(put('x')), replaced)
    assert.deepEqual(ended, [])
    await fresh.close()
  })

  test('that lost everything is not written to, however far it has come since', async () => {
    const last = await commit(put('lost'))
    const { directory } = etcd.first
    await etcd.first.kill()
    await rm(directory, { recursive: true })
    await etcd.first.start()
    const fresh = await openStore({ endpoints: etcd.endpoints, prefix })
    for (let revision = 0; revision <= last;) {
      const result = await fresh.transact({ compares: [], changes: [put('new')] })
      revision = result.committed ? result.revision : 0
    }
    await assert.rejects(store.transact({ compares: [], changes: [put('x')] }), replaced)
    assert.equal(await fresh.get('x'), undefined)
    await assert.rejects(store.get('lost'), replaced)
    await fresh.close()
  })

  test('of another cluster is not believed, and forgotten when ours is back', async () => {
    const other = await startEtcd({ scripts: SCRIPTS })
    const proxy = await FaultyProxy.open(etcd.first.endpoint)
    const through = await openStore({ endpoints: [proxy.endpoint], prefix, patienceMs: 700 })
    const seen: string[] = []
    let wake = (): void => undefined
    await through.watch('', events => {
      seen.push(...events.map(({ key }) => key))
      wake()
    })
    await commit(put('ours'))
    const theirs = await openStore({ endpoints: other.endpoints, prefix })
    for (const key of ['theirs', 'ours', 'more', 'still more']) {
      await theirs.transact({ compares: [], changes: [put(key, 'theirs')] })
    }
    proxy.turnTo(other.first.endpoint)
    await assert.rejects(through.get('theirs'), unavailable)
    const named = { compares: [], changes: [put('x')], operationId: 'x' }
    await assert.rejects(through.transact(named), unavailable)
    assert.equal(await theirs.get('x'), undefined)
    proxy.turnTo(etcd.first.endpoint)
    while ((await through.transact(named).catch(() => undefined)) === undefined) continue // it is connecting
    assert.equal(Buffer.from((await through.get('ours'))?.value ?? []).toString(), 'ours')
    while (!seen.includes('x')) await new Promise<void>(resolve => (wake = resolve))
    assert.deepEqual(seen, ['ours', 'x'])
    await Promise.all([through.close(), theirs.close()])
    await Promise.all([proxy.close(), other.stop()])
  })

  test('of another format than ours is left alone', async () => {
    await store.close()
    const key = Buffer.from(`${prefix}f`).toString('base64')
    await etcd.first.post('kv/put', { key, value: Buffer.from('9').toString('base64') })
    await assert.rejects(openStore({ endpoints: etcd.endpoints, prefix }), error =>
      MetadataError.is(error, 'STORE_CORRUPT')
    )
  })

  test('that is not there is unavailable after a while, not absent', async () => {
    await etcd.first.kill()
    const impatient = openStore({ endpoints: etcd.endpoints, patienceMs: 200 })
    await assert.rejects(impatient, unavailable)
  })
})
