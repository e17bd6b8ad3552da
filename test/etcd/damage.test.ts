import { strict as assert } from 'node:assert'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LedgerId } from '@strata/base'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import type { NodeClient } from '../support/node-client.ts'
import { NodeCluster } from '../support/node-cluster.ts'
import { freshPrefix, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const CARE = { metadataStoreSessionTimeoutMillis: 3_000, rwRereplicateBackoffMs: 500, localScrubInterval: 0 }
const NODES = ['a', 'b', 'c']
const ENTRIES = 300
/** Of a machine that does much else. */
const TEST_MS_MAX = 240_000

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

let cluster: NodeCluster
let client: NodeClient
beforeEach(async () => {
  cluster = new NodeCluster({ endpoints: etcd.endpoints, prefix: freshPrefix(), set: CARE })
  await cluster.startAll(...NODES)
  client = await cluster.openClient()
  await client.writable(NODES.length)
}, START_TIMEOUT_MS)
afterEach(() => cluster.close())

const payloadOf = (entry: number): Buffer => Buffer.alloc(1_000, `entry ${entry} of all;`)

async function write(): Promise<LedgerId> {
  const listener = { onConfirmed: () => undefined, onFailed: () => undefined }
  const writer = await client.ledgers.create({ owner: 'test', listener })
  for (let entry = 0; entry < ENTRIES; entry++) writer.append(payloadOf(entry))
  await writer.close()
  return writer.ledgerId
}

/** Turns a bit of each of these entries in the files of a node, wherever it stands there. */
async function damage(name: string, entries: readonly number[]): Promise<void> {
  await cluster.stop(name)
  const directory = join(cluster.dataOf(name), 'journal')
  let count = 0
  for (const file of (await readdir(directory)).filter(each => each.endsWith('.journal'))) {
    const path = join(directory, file)
    const bytes = await readFile(path)
    const handle = await open(path, 'r+')
    for (const entry of entries) {
      const at = bytes.indexOf(payloadOf(entry))
      if (at < 0) continue
      count += 1
      await handle.write(Buffer.of((bytes[at + 500] ?? 0) ^ 0x10), 0, 1, at + 500)
    }
    await handle.close()
  }
  assert.equal(count, entries.length)
  await cluster.start(name)
}

async function damagedOn(name: string): Promise<unknown[]> {
  return (await cluster.ask(name, 'bookie/damaged'))['damaged'] as unknown[]
}

/** Until a whole round of comparing everything with its digest has ended. */
async function scrub(name: string): Promise<void> {
  const rounds = async (): Promise<number> => {
    const { storage } = (await cluster.ask(name, 'bookie/state')) as { storage: { scrubRounds: number } }
    return storage.scrubRounds
  }
  const before = await rounds()
  await cluster.ask(name, 'bookie/scrub', 'PUT')
  while ((await rounds()) === before) await delay(50)
}

async function lossesTold(): Promise<number> {
  await Promise.resolve()
  return [...cluster.running.values()].reduce((sum, bookie) => {
    return sum + (bookie.log().match(/ledger\.entries_lost/g)?.length ?? 0)
  }, 0)
}

describe('bytes that rot on a node', () => {
  test(
    'are found by a scrub, told, and brought back from its peers',
    async () => {
      const id = await write()
      await damage('b', [0, 1, 2, 77, 299])
      await scrub('b')
      // what the node says of itself, and what it says when it is asked
      await client.until(directory => /\d entries are damaged/.test(reasonsOf(directory.bookies(), 'b')))
      const node = client.directory.node(cluster.node('b').bookieId)
      const stretches = await node?.damagedEntries({ ledgerId: 0, entryId: 0, limit: 10 })
      const known = stretches?.map(({ ledgerId, first, last }) => [ledgerId, first, last]) ?? []
      // some may be mended by now
      for (const [ledger, first = -1] of known)
        assert(ledger === id && [0, 77, 299].includes(first), JSON.stringify(known))
      while ((await damagedOn('b')).length > 0) await delay(100)
      const verified = await cluster.strata(`ledgers verify ${id}`)
      assert.equal(verified.records.at(-1)?.['good'], ENTRIES * 3, JSON.stringify(verified.records))
      assert.equal((await cluster.strata('fsck --verify')).code, 0)
      await scrub('b')
      assert.deepEqual(await damagedOn('b'), [])
      assert.equal(await lossesTold(), 0)
    },
    TEST_MS_MAX
  )

  test(
    'on every node that had them are lost, which is told once; everything else is read',
    async () => {
      const id = await write()
      for (const name of NODES) await damage(name, [77])
      for (const name of NODES) await scrub(name)
      while ((await client.metadata.scan({ prefix: 'ledger-losses/' })).records.length === 0) await delay(100)
      const { Auditor: leader } = (await cluster.ask('a', 'autorecovery/who_is_auditor')) as { Auditor: string }
      for (let round = 0; round < 2; round++) await verifyAll(leader)
      assert.equal(await lossesTold(), 1)
      const found = await cluster.strata(`ledgers verify ${id}`)
      assert.equal(found.code, 1)
      const { good, withoutCopy } = found.records.at(-1) as { good: number; withoutCopy: number }
      assert.deepEqual([good, withoutCopy], [(ENTRIES - 1) * 3, 1])
    },
    TEST_MS_MAX
  )
})

interface Care {
  readonly pass: object | null
  readonly lastPass: { readonly kind: string; readonly startedAtMs: number } | null
}

/** Has everything read. What was left undone is tried again so soon that the pass itself may not be the last one when it is asked for. */
async function verifyAll(leader: string): Promise<void> {
  const askedAtMs = Date.now()
  await cluster.ask(leader, 'autorecovery/trigger_audit?verify=true', 'PUT')
  const takenAtMs = Date.now()
  for (;;) {
    const { pass, lastPass } = (await cluster.ask(leader, 'autorecovery/status')) as unknown as Care
    const isOver = lastPass?.kind === 'verify' && lastPass.startedAtMs >= askedAtMs && pass === null
    if (isOver || (lastPass !== null && lastPass.startedAtMs >= takenAtMs)) return
    await delay(50)
  }
}

function reasonsOf(bookies: readonly { bookieId: string; reasons: readonly string[] }[], name: string): string {
  return bookies.find(({ bookieId }) => bookieId === name)?.reasons.join() ?? ''
}
