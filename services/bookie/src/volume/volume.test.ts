import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EntryId, LedgerId } from '@strata/base'
import { MemoryMetadataStore, type Transaction } from '@strata/metadata'
import { afterEach, beforeEach, test } from 'vitest'
import type { Bookie } from '../bookie-types.ts'
import { NodeDisk } from '../disk/node-disk.ts'
import { addOf, TestNode, WaitingSink } from '../testing/fixtures.ts'

let node: TestNode
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(() => node.destroy())

async function addOne(bookie: Bookie, ledger: number): Promise<void> {
  const sink = new WaitingSink()
  bookie.add(addOf(ledger, 0, Buffer.from('kept')), sink)
  await sink.acknowledgedUpTo(ledger, 0)
}

const end = async (bookie: Bookie, ledger: number): Promise<[number, string]> => {
  const range = { first: 0 as EntryId, last: 5 as EntryId, bytesMax: 1_000, entriesMax: 10 }
  const answer = await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })
  return [answer.entries.length, answer.end]
}

async function nameLedger(metadata: MemoryMetadataStore, ledger: number): Promise<void> {
  const key = `ledgers/${String(ledger).padStart(16, '0')}`
  await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.of(1) }] })
}

test('a directory in use names the process; one left behind by a crash is taken', async () => {
  const bookie = await node.open()
  await assert.rejects(node.open(), {
    code: 'DIRECTORY_IN_USE',
    details: { directory: join(node.root, 'journal'), pid: process.pid }
  })
  await bookie.close()
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  await writeFile(join(node.root, 'journal', 'lock'), `${child.pid ?? 0} 123\n`)
  await writeFile(join(node.root, 'index', 'lock'), `${process.pid} 123\n`)
  await (await node.open()).close()
})

test('a directory that cannot be written, and a disk that is too small, are told before anything is done', async () => {
  await assert.rejects(node.open({ settings: { startFreeBytesMin: 1e18 } }), { code: 'DISK_TOO_SMALL' })
  await writeFile(join(node.root, 'file'), '')
  const directories = {
    journal: join(node.root, 'file', 'x'),
    entryLogs: join(node.root, 'b'),
    index: join(node.root, 'c')
  }
  await assert.rejects(node.open({ directories }), { code: 'DIRECTORY_UNWRITABLE' })
})

test('a node of another cluster, another name, or an empty metadata store is refused', async () => {
  await (await node.open()).close()
  await assert.rejects(node.open({ clusterId: 'other' }), { code: 'WRONG_CLUSTER' })
  await assert.rejects(node.open({ bookieId: 'other' as never }), { code: 'WRONG_VOLUME' })
  await assert.rejects(node.open({ metadata: new MemoryMetadataStore() }), { code: 'WRONG_CLUSTER' })
  await (await node.open()).close()
})

test('data without an identity is refused', async () => {
  await (await node.open()).close()
  for (const directory of ['journal', 'entry-logs', 'index']) await rm(join(node.root, directory, 'identity'))
  await assert.rejects(node.open(), { code: 'WRONG_VOLUME' })
})

test('a volume that was lost answers unknown for what it may have held, absent for what came later', async () => {
  const bookie = await node.open()
  await nameLedger(node.metadata, 7)
  await addOne(bookie, 7)
  await bookie.close()
  for (const name of await readdir(node.root)) await rm(join(node.root, name), { recursive: true })
  const again = await node.open()
  assert.deepEqual(await end(again, 7), [0, 'unknown'])
  assert.deepEqual(await end(again, 3), [0, 'unknown'])
  assert.deepEqual(await end(again, 8), [0, 'absent'])
  assert.equal((await again.readLac({ ledgerId: 7 as LedgerId, fence: false })).authority, false)
  await again.close()
  const third = await node.open()
  assert.deepEqual(await end(third, 7), [0, 'unknown'], 'for ever')
  await third.close()
})

test('a node that may have lost a fence takes nothing from the writer of that ledger, only write-backs', async () => {
  const bookie = await node.open()
  await nameLedger(node.metadata, 7)
  await bookie.readLac({ ledgerId: 7 as LedgerId, fence: true })
  await bookie.close()
  for (const name of await readdir(node.root)) await rm(join(node.root, name), { recursive: true })
  const again = await node.open()
  const sink = new WaitingSink()
  again.add(addOf(7, 0, Buffer.from('late')), sink)
  await sink.failed(1)
  assert.deepEqual(sink.failures, [{ ledgerId: 7, entryId: 0, failure: 'STORAGE_FAILED' }])
  again.add(addOf(7, 0, Buffer.from('found'), { recovery: true }), sink)
  await sink.acknowledgedUpTo(7, 0)
  await addOne(again, 8)
  await again.close()
})

test('a volume that was rolled back answers unknown', async () => {
  await (await node.open()).close()
  const copies = new Map<string, Buffer>()
  for (const directory of ['journal', 'entry-logs', 'index']) {
    const path = join(node.root, directory, 'identity')
    copies.set(path, await readFile(path))
  }
  const bookie = await node.open()
  await nameLedger(node.metadata, 7)
  await bookie.close()
  for (const [path, bytes] of copies) await writeFile(path, bytes)
  const again = await node.open()
  assert.deepEqual(await end(again, 7), [0, 'unknown'])
  assert.deepEqual(await end(again, 8), [0, 'absent'])
  await again.close()
})

/** Starts that die as soon as they have renamed so many files. */
async function startAndDie(...renames: number[]): Promise<void> {
  const disk = new NodeDisk()
  for (const dieAt of renames) {
    let left = dieAt
    const dying = {
      disk: Object.assign(Object.create(disk) as NodeDisk, {
        rename: (from: string, to: string) => (left-- > 0 ? disk.rename(from, to) : Promise.reject(new Error('died')))
      })
    }
    await node.open(dying).then(
      bookie => bookie.close(),
      (error: unknown) => {
        assert.match(String(error), /died/)
      }
    )
  }
}

test.each([0, 1, 2, 3, 4, 5, 6])(
  'a first start that dies at any of its steps (%i) costs no authority, of what was made since neither',
  async step => {
    await startAndDie(step)
    await nameLedger(node.metadata, 7)
    await startAndDie(step, 1)
    const again = await node.open()
    assert.deepEqual(await end(again, 7), [0, 'absent'])
    await again.close()
  }
)

test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
  'a start that dies at any of its steps (%i), and the next one at another, cost no authority',
  async step => {
    await (await node.open()).close()
    await nameLedger(node.metadata, 7)
    await startAndDie(step, 1, step, 4)
    const again = await node.open()
    assert.deepEqual(await end(again, 7), [0, 'absent'])
    await again.close()
  }
)

test('what a start submitted may come to the store when it died and the next one is under way: that costs no authority', async () => {
  await (await node.open()).close()
  await nameLedger(node.metadata, 7)
  const onItsWay: Transaction[] = []
  const store = node.metadata
  const transact = store.transact.bind(store)
  store.transact = transaction => {
    onItsWay.push(transaction)
    return Promise.reject(new Error('died'))
  }
  await assert.rejects(node.open(), /died/)
  assert.equal(onItsWay.length, 1)
  store.transact = async transaction => {
    for (const earlier of onItsWay.splice(0)) await transact(earlier)
    return transact(transaction)
  }
  const again = await node.open()
  assert.deepEqual(await end(again, 7), [0, 'absent'])
  await again.close()
  const third = await node.open()
  assert.deepEqual(await end(third, 7), [0, 'absent'])
  await third.close()
})

test('a missing directory makes what the node lacks unknown, and what it holds is served', async () => {
  const bookie = await node.open()
  await nameLedger(node.metadata, 7)
  await addOne(bookie, 7)
  await bookie.close()
  await rm(join(node.root, 'entry-logs'), { recursive: true })
  await mkdir(join(node.root, 'entry-logs'))
  const again = await node.open()
  assert.deepEqual(await end(again, 7), [1, 'unknown'])
  assert.deepEqual(await end(again, 8), [0, 'absent'])
  await again.close()
})
