import { strict as assert } from 'node:assert'
import { cp, rename } from 'node:fs/promises'
import type { LedgerId } from '@strata/base'
import { LedgerError } from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { LedgerRecord } from '../chaos/ledger-record.ts'
import { verifyAll } from '../chaos/verify.ts'
import { ChaosWriter } from '../chaos/writer.ts'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import type { NodeClient } from '../support/node-client.ts'
import { NodeCluster } from '../support/node-cluster.ts'
import { SeededRandom, seedOfRun } from '../support/random.ts'
import { SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const NODES = ['a', 'b', 'c', 'd']
const SET = { metadataStoreSessionTimeoutMillis: 3_000, strataOrphanLedgerGraceSec: 0 }
const WRITERS = 3
const VERIFY_MS_MAX = 60_000
/** An idle machine takes a minute. */
const TEST_MS_MAX = 600_000

/** Several writers, ledger after ledger, each entry of one content; and what they were told. */
class Load {
  readonly records: LedgerRecord[] = []
  readonly violations: string[] = []
  readonly #over = new AbortController()
  readonly #writers: Promise<unknown>

  constructor({ ledgers }: NodeClient, seed: number) {
    const { records, violations } = this
    const random = new SeededRandom(seed)
    const writers = Array.from({ length: WRITERS }, (_, i) => {
      return new ChaosWriter({ name: `writer-${i}`, ledgers, random, records, violations, entriesMax: 1_000 })
    })
    this.#writers = Promise.all(writers.map(writer => writer.run(this.#over.signal)))
  }

  /** Until so many more ledgers have an end. */
  async closed(more: number): Promise<void> {
    const count = (): number => this.records.filter(({ end }) => end !== undefined).length
    for (const enough = count() + more; count() < enough;) await turn()
  }

  /** Until every ledger that is written has more confirmed than now. */
  async confirmed(): Promise<void> {
    const open = this.records.filter(({ end }) => end === undefined)
    const before = open.map(({ acknowledged }) => acknowledged)
    while (!open.every(({ acknowledged, end }, i) => end !== undefined || acknowledged > (before[i] ?? -1)))
      await turn()
  }

  /** Nothing more is begun; what waits for the metadata goes on waiting. */
  end(): void {
    this.#over.abort()
  }

  async stop(): Promise<void> {
    this.end()
    await this.#writers
  }

  /** Everything that was ever confirmed is there, byte for byte. */
  async verify({ ledgers }: NodeClient): Promise<void> {
    const { records, violations } = this
    const { entries, lost } = await verifyAll(records, {
      ...{ ledgers, violations },
      deadlineMs: performance.now() + VERIFY_MS_MAX
    })
    assert.deepEqual(violations, [])
    assert.equal(lost, 0)
    assert(entries > 0)
  }

  /** Deletes one that is closed, and knows nothing of it any more. */
  async deleteOne({ ledgers }: NodeClient): Promise<LedgerId> {
    const at = this.records.findIndex(({ end }) => end !== undefined)
    const [record] = this.records.splice(at, 1)
    assert(record !== undefined)
    await ledgers.delete(record.ledgerId)
    return record.ledgerId
  }
}

const turn = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

describe('a metadata store that is not what it was, under load', () => {
  let etcd: EtcdPeers
  let cluster: NodeCluster
  let client: NodeClient
  let load: Load
  beforeEach(async () => {
    etcd = await startEtcd({ scripts: SCRIPTS })
    cluster = new NodeCluster({ endpoints: etcd.endpoints, prefix: '/strata/', set: SET })
    await cluster.startAll(...NODES)
    client = await cluster.openClient({ timeoutMs: 3_000, times: { stalledMsMax: 4_000 } })
    await client.writable(NODES.length)
    load = new Load(client, seedOfRun())
  }, START_TIMEOUT_MS)
  afterEach(async () => {
    await load.stop()
    await cluster.close()
    await etcd.stop()
  })

  /** What an operator does, in the end, to every process. */
  async function restartAll(): Promise<void> {
    await cluster.kill(...NODES)
    await cluster.startAll(...NODES)
  }

  async function collectGarbage(): Promise<void> {
    for (const name of NODES) await cluster.ask(name, 'bookie/gc', 'PUT')
  }

  /** Nobody uses the nodes, whatever they are asked for. */
  async function checkRefused(): Promise<NodeClient> {
    const listed = await cluster.strata('bookies list')
    assert.deepEqual(
      listed.records.map(({ bookieId, state }) => [bookieId, state]),
      NODES.map(name => [name, 'set-aside'])
    )
    const fresh = await cluster.openClient({ timeoutMs: 3_000 })
    assert.deepEqual(fresh.directory.bookies(), [])
    const listener = { onConfirmed: () => undefined, onFailed: () => undefined }
    await assert.rejects(fresh.ledgers.create({ owner: 'test', listener }), error =>
      LedgerError.is(error, 'NOT_ENOUGH_BOOKIES')
    )
    return fresh
  }

  /** What is made afterwards has an id above all that any node holds. */
  async function checkNextId(fresh: NodeClient): Promise<void> {
    let highest = -1
    for (const { bookieId } of fresh.directory.bookies()) {
      for (;;) {
        const page = await fresh.directory.node(bookieId)?.heldLedgers({ after: highest, limit: 1_000 })
        const last = page?.at(-1)?.ledgerId
        if (last === undefined) break
        highest = last
      }
    }
    assert(highest >= Math.max(...load.records.map(({ ledgerId }) => ledgerId)))
    const listener = { onConfirmed: () => undefined, onFailed: () => undefined }
    const writer = await fresh.ledgers.create({ owner: 'test', listener })
    assert(writer.ledgerId > highest)
    await writer.close()
  }

  test(
    'set back to an older copy: nothing is used, deleted or lost; what nodes have is known again',
    async () => {
      await load.closed(3)
      const { directory } = etcd.first
      await etcd.first.stop()
      await cp(directory, `${directory}.copy`, { recursive: true })
      await etcd.first.start()

      // ledgers come, change their nodes, close and go
      await load.confirmed()
      await cluster.kill('b')
      await load.confirmed()
      await cluster.start('b')
      await load.closed(3)
      await load.deleteOne(client)
      await collectGarbage()
      await load.confirmed()

      await etcd.first.kill()
      await rename(directory, `${directory}.newer`)
      await rename(`${directory}.copy`, directory)
      await etcd.first.start()
      await load.stop()
      await restartAll()
      await collectGarbage()
      const fresh = await checkRefused()

      const found = await cluster.strata('fsck')
      assert.equal(found.code, 1)
      assert(found.records.some(({ kind }) => kind === 'unknown'))
      const accepted = await cluster.strata('fsck --accept-store')
      assert.equal(accepted.code, 0, accepted.stderr + JSON.stringify(accepted.records))
      assert.deepEqual(accepted.records.at(-1)?.['accepted'], NODES)
      await fresh.writable(NODES.length)
      await load.verify(fresh)
      await checkNextId(fresh)
      await collectGarbage()
      await load.verify(fresh)
      // and from now on it is the store that they know
      await cluster.kill('a')
      await cluster.start('a')
      await fresh.writable(NODES.length)
    },
    TEST_MS_MAX
  )

  test(
    'emptied: its name comes from the nodes, its ledgers as well',
    async () => {
      await load.closed(4)
      await load.deleteOne(client)
      await collectGarbage()
      await load.confirmed()
      await empty(client.metadata)
      await client.until(it => it.bookies().length === 0)
      await load.stop()
      // they say that they are there, and that nobody is to use them
      while ((await registered(client.metadata)) < NODES.length) await turn()
      await collectGarbage()
      assert.equal((await cluster.strata('fsck')).code, 1) // it has no name

      // one that does not run cannot be started either, and another one cannot take the store for its own
      await cluster.kill('a')
      await assert.rejects(cluster.start('a'), /names no cluster.*recover-cluster-id/)
      await assert.rejects(cluster.start('stranger'), /names no cluster/)
      const { clusterId } = cluster
      assert.equal((await cluster.strata('fsck --recover-cluster-id another')).code, 1)
      const named = await cluster.strata('fsck --recover-cluster-id')
      assert.deepEqual(named.records, [{ clusterId, named: true }])
      await cluster.start('a')
      const fresh = await checkRefused()
      const accepted = await cluster.strata('fsck --accept-store')
      assert.equal(accepted.code, 0, accepted.stderr + JSON.stringify(accepted.records))
      await fresh.writable(NODES.length)
      await load.verify(fresh)
      await checkNextId(fresh)
      await collectGarbage()
      await load.verify(fresh)
    },
    TEST_MS_MAX
  )

  test(
    'swapped for another cluster’s: its deletion records delete nothing, and nothing of it is written to',
    async () => {
      const other = await startEtcd({ scripts: SCRIPTS })
      const others = new NodeCluster({ endpoints: other.endpoints, prefix: '/strata/', set: SET })
      try {
        await load.closed(4)
        await load.deleteOne(client)
        await collectGarbage() // so that they know how far the store was
        // the same ids, all of them deleted
        await others.start('x')
        const theirs = await others.openClient({ quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 } })
        await theirs.writable(1)
        const highest = Math.max(...load.records.map(({ ledgerId }) => ledgerId))
        for (let id = -1; id < highest;) {
          const listener = { onConfirmed: () => undefined, onFailed: () => undefined }
          const writer = await theirs.ledgers.create({ owner: 'test', listener })
          await writer.close()
          await theirs.ledgers.delete(writer.ledgerId)
          id = writer.ledgerId
        }
        await others.close()
        await load.confirmed()
        await Promise.all([etcd.first.kill(), other.first.kill()])
        const [ours, foreign] = [etcd.first.directory, other.first.directory]
        await rename(ours, `${ours}.ours`)
        await rename(foreign, ours)
        await etcd.first.start()
        const before = await keysOf(etcd)
        load.end()
        await collectGarbage()
        await cluster.kill(...NODES)
        await assert.rejects(cluster.start('a'), /of another cluster than the metadata store/)
        assert.deepEqual(await keysOf(etcd), before)

        await etcd.first.kill()
        await rename(ours, `${ours}.theirs`)
        await rename(`${ours}.ours`, ours)
        await etcd.first.start()
        await cluster.startAll(...NODES)
        const fresh = await cluster.openClient({ timeoutMs: 3_000 })
        await fresh.writable(NODES.length)
        await load.stop()
        await load.verify(fresh)
        await collectGarbage()
        await load.verify(fresh)
        await checkNextId(fresh)
      } finally {
        await others.close()
        await other.stop()
      }
    },
    TEST_MS_MAX
  )
})

async function empty(store: MetadataStore): Promise<void> {
  for (;;) {
    const { records } = await store.scan({ prefix: '', keysOnly: true, limit: 100 })
    if (records.length === 0) return
    await store.transact({ compares: [], changes: records.map(({ key }) => ({ kind: 'delete' as const, key })) })
  }
}

async function registered(store: MetadataStore): Promise<number> {
  return (await store.scan({ prefix: 'available-bookies/', keysOnly: true })).records.length
}

/** With their versions: who writes is seen. Without those that go by themselves. */
async function keysOf({ first }: EtcdPeers): Promise<unknown> {
  const request = { key: 'AA==', range_end: 'AA==', keys_only: true }
  const { kvs } = await first.post<{ kvs: { key: string; mod_revision: string }[] }>('kv/range', request)
  const rows = kvs.map(({ key, mod_revision }) => [Buffer.from(key, 'base64').toString(), mod_revision] as const)
  return rows.filter(([key]) => !/available-bookies|auditor/.test(key))
}
