import { strict as assert } from 'node:assert'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { EntryId, LedgerId } from '@strata/base'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { bookieDirectories, type Bookie, type BookieDirectories } from './bookie-types.ts'
import { NodeDisk } from './disk/node-disk.ts'
import { addOf, copyMetadata, openOn, readAll, seededRandom, SMALL, TestNode, WaitingSink } from './testing/fixtures.ts'
import { RecordingDisk } from './testing/recording-disk.ts'

const LEDGERS = [1, 2, 3, 4, 5, 6, 7, 8]
const payload = (ledger: number, entry: number): Buffer => Buffer.alloc(2_000, `${ledger}/${entry};`)

function spread(root: string): BookieDirectories {
  return {
    ...bookieDirectories(root),
    moreJournals: [join(root, 'journal-2'), join(root, 'journal-3')],
    moreEntryLogs: [join(root, 'entry-logs-2')]
  }
}

async function add(bookie: Bookie, ledgers: readonly number[], from: number, to: number): Promise<void> {
  const sink = new WaitingSink()
  for (let entry = from; entry <= to; entry++) {
    for (const ledger of ledgers) bookie.add(addOf(ledger, entry, payload(ledger, entry)), sink)
  }
  for (const ledger of ledgers) await sink.acknowledgedUpTo(ledger, to)
  assert.deepEqual(sink.failures, [])
}

async function holds(bookie: Bookie, ledger: number, count: number): Promise<void> {
  const { payloads } = await readAll(bookie, ledger, count - 1)
  assert.equal(payloads.length, count, `ledger ${ledger}`)
  payloads.forEach((found, entry) => assert.ok(found.equals(payload(ledger, entry)), `${ledger}:${entry}`))
}

const endOf = async (bookie: Bookie, ledger: number, entry: number): Promise<[number, string]> => {
  const range = { first: entry as EntryId, last: entry as EntryId, bytesMax: 1_000, entriesMax: 1 }
  const answer = await bookie.read({ ledgerId: ledger as LedgerId, ...range, fence: false })
  return [answer.entries.length, answer.end]
}

describe('several directories', () => {
  let node: TestNode
  beforeEach(async () => {
    node = await TestNode.create()
    const changes = LEDGERS.map(ledger => ({
      kind: 'put' as const,
      key: `ledgers/${String(ledger).padStart(16, '0')}`,
      value: Buffer.of(1)
    }))
    await node.metadata.transact({ compares: [], changes })
  })
  afterEach(() => node.destroy())

  /** Free space as a test wants it, on real files. */
  function diskWith(freeOf: (directory: string) => number): NodeDisk {
    const disk = new NodeDisk()
    return Object.assign(Object.create(disk) as NodeDisk, {
      freeBytes: (directory: string) => Promise.resolve(freeOf(directory))
    })
  }

  test('every journal takes adds; entry logs go where there is room; all is there after restarts', async () => {
    const directories = spread(node.root)
    let roomier = 'entry-logs-2'
    const disk = diskWith(directory => (directory.endsWith(roomier) ? 2e12 : 1e12))
    let bookie = await node.open({ directories, disk })
    for (let round = 0; round < 8; round++) {
      await add(bookie, LEDGERS, round * 25, round * 25 + 24)
      await bookie.housekeep()
      roomier = roomier === 'entry-logs' ? 'entry-logs-2' : 'entry-logs'
    }
    for (const name of ['journal', 'journal-2', 'journal-3', 'entry-logs', 'entry-logs-2']) {
      const files = await readdir(join(node.root, name))
      assert.ok(files.includes('identity'), name)
      assert.ok(
        files.some(file => /\.(journal|entries)$/.test(file)),
        `${name} holds data`
      )
    }
    for (let restart = 0; restart < 3; restart++) {
      for (const ledger of LEDGERS) await holds(bookie, ledger, 200)
      await bookie.close()
      if (restart === 1) await rm(join(node.root, 'index', 'level'), { recursive: true })
      bookie = await node.open({ directories, disk })
    }
    assert.deepEqual(await endOf(bookie, 1, 200), [0, 'absent'])
  })

  test('directories may change places, and new ones may come, without a loss of authority', async () => {
    let bookie = await node.open()
    await add(bookie, LEDGERS, 0, 19)
    await bookie.close()
    const more = spread(node.root)
    bookie = await node.open({ directories: more })
    await add(bookie, LEDGERS, 20, 39)
    await bookie.close()
    const [second = '', third = ''] = more.moreJournals ?? []
    const turned = { ...more, journal: third, moreJournals: [more.journal, second] }
    bookie = await node.open({ directories: turned })
    await add(bookie, LEDGERS, 40, 59)
    for (const ledger of LEDGERS) {
      await holds(bookie, ledger, 60)
      assert.deepEqual(await endOf(bookie, ledger, 60), [0, 'absent'])
    }
  })

  test.each(['journal-2', 'entry-logs-2'])('without %s, what it may have held is unknown', async name => {
    const directories = spread(node.root)
    let bookie = await node.open({ directories })
    await add(bookie, LEDGERS, 0, 19)
    await bookie.close()
    await rm(join(node.root, name), { recursive: true })
    await mkdir(join(node.root, name))
    bookie = await node.open({ directories })
    for (const ledger of LEDGERS) {
      const [count, end] = await endOf(bookie, ledger, 19)
      assert.ok(count === 1 || end === 'unknown', `${ledger} ${end}`)
      assert.deepEqual(await endOf(bookie, ledger, 20), [0, 'unknown'])
    }
    assert.deepEqual(await endOf(bookie, 99, 0), [0, 'absent'])
  })

  test('a directory that is left out of the configuration is lost as well', async () => {
    let bookie = await node.open({ directories: spread(node.root) })
    await add(bookie, LEDGERS, 0, 19)
    await bookie.close()
    bookie = await node.open()
    for (const ledger of LEDGERS) assert.deepEqual(await endOf(bookie, ledger, 20), [0, 'unknown'])
  })
})

test('a journal that fails refuses the adds of its ledgers alone', async () => {
  const disk = new RecordingDisk()
  const metadata = new MemoryMetadataStore()
  const bookie = await openOn(disk, metadata, SMALL, spread('/data'))
  await add(bookie, LEDGERS, 0, 3)
  disk.fault = ({ kind, path }) => (kind === 'sync' && path.startsWith('/data/journal-2/') ? 'EIO' : undefined)
  const sink = new WaitingSink()
  for (const ledger of LEDGERS) bookie.add(addOf(ledger, 4, payload(ledger, 4)), sink)
  const refused = (): number[] => sink.failures.map(({ ledgerId }) => ledgerId)
  while (sink.acknowledged.size + sink.failures.length < LEDGERS.length) await new Promise(setImmediate)
  assert.ok(refused().length > 0 && refused().length < LEDGERS.length, `${refused().length} refused`)
  assert.match(bookie.health().reasons.join(), /journal: .*EIO/)
  disk.fault = () => undefined
  await bookie.housekeep()
  await bookie.housekeep()
  assert.equal(bookie.health().state, 'writable')
  await add(bookie, refused(), 4, 9)
  const image = disk.crashImage(disk.operations.length, seededRandom(5))
  const again = await openOn(image, await copyMetadata(metadata), SMALL, spread('/data'))
  for (const ledger of LEDGERS) await holds(again, ledger, refused().includes(ledger) ? 10 : 5)
  await again.close()
  await bookie.close()
})
