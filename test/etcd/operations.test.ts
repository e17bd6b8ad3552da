import { strict as assert } from 'node:assert'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const REMEMBERED = 30
const STORES = 3
const EACH = 70

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

describe('operation ids', () => {
  test('of the newest transactions are kept, older ones are forgotten, whoever trims', async () => {
    const prefix = freshPrefix()
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    const rows = async (): Promise<number> => {
      const range = { key: base64(`${prefix}o/`), range_end: base64(`${prefix}o0`), count_only: true }
      const { count } = await etcd.first.post<{ count?: string }>('kv/range', range)
      return Number(count ?? 0)
    }
    const open = () => openStore({ endpoints: etcd.endpoints, prefix, operationsMax: REMEMBERED })
    const named = (id: string) => ({
      compares: [],
      changes: [{ kind: 'put', key: 'a', value: Buffer.from(id) } as const],
      operationId: id
    })
    const stores = await Promise.all(Array.from({ length: STORES }, open))
    const committed: { id: string; revision: number }[] = []
    let most = 0
    await Promise.all(
      stores.map(async (store, which) => {
        for (let i = 0; i < EACH; i++) {
          const id = `${which}-${i}`
          const result = await store.transact(named(id))
          assert(result.committed)
          committed.push({ id, revision: result.revision })
          if (i % 10 === 0) most = Math.max(most, await rows())
        }
      })
    )
    // each store trims after as many as are kept, and goes on while it does
    assert(most < REMEMBERED * (1 + 2 * STORES), `${most} rows`)
    await Promise.all(stores.map(store => store.close()))
    const store = await open() // trims
    for (let count = await rows(); count > REMEMBERED;) count = await rows()
    committed.sort((a, b) => a.revision - b.revision)
    for (const { id, revision } of committed.slice(-REMEMBERED)) {
      assert.deepEqual(await store.transact(named(id)), { committed: true, revision })
    }
    assert.equal(await rows(), REMEMBERED)
    const last = committed.at(-1)?.revision ?? 0
    const forgotten = await store.transact(named(committed[0]?.id ?? ''))
    assert(forgotten.committed && forgotten.revision > last)
    await store.close()
  })
})
