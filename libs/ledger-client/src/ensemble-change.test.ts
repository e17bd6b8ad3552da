import { strict as assert } from 'node:assert'
import { bookieId, entryId, NO_ENTRY, silentLogger, type BookieId, type EntryId } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { FaultyMetadataStore } from '@strata/metadata/testing'
import { beforeEach, describe, test } from 'vitest'
import type {
  AppendListener,
  BookieDescription,
  BookieDirectory,
  DamagedCopy,
  FollowingLedgerClient,
  LedgerAppender,
  QuorumConfig
} from './contract.ts'
import { LedgerError } from './errors.ts'
import { createLedgerClient } from './ledger-client.ts'
import { LedgerMetadata } from './ledger-metadata.ts'
import { MemoryBookieNode, TestWriter } from './testing/index.ts'

const THREE: QuorumConfig = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
/** Nothing is confirmed without every member. */
const ALL: QuorumConfig = { ...THREE, ackQuorum: 3 }

/** Nodes that a test takes out of the registry and puts back. */
class TestDirectory implements BookieDirectory {
  readonly #nodes: readonly MemoryBookieNode[]
  readonly #listeners = new Set<() => void>()
  readonly #hidden = new Set<BookieId>()

  constructor(nodes: readonly MemoryBookieNode[]) {
    this.#nodes = nodes
  }

  /** The first four nodes are of a group. */
  writable(): BookieDescription[] {
    return this.#nodes
      .map(({ bookieId: id }, i) => ({ bookieId: id, ...(i < 4 ? { group: 'first' } : {}) }))
      .filter(node => !this.#hidden.has(node.bookieId))
  }

  node(id: BookieId): MemoryBookieNode | undefined {
    return this.#nodes.find(node => node.bookieId === id)
  }

  onChange(run: () => void): () => void {
    this.#listeners.add(run)
    return () => this.#listeners.delete(run)
  }

  get watcherCount(): number {
    return this.#listeners.size
  }

  show(...ids: BookieId[]): void {
    for (const id of ids) this.#hidden.delete(id)
    for (const run of this.#listeners) run()
  }

  hide(...ids: BookieId[]): void {
    for (const id of ids) this.#hidden.add(id)
    for (const run of this.#listeners) run()
  }
}

let clock: ManualClock
let store: FaultyMetadataStore
let metadata: LedgerMetadata
let nodes: MemoryBookieNode[]
let directory: TestDirectory
let client: FollowingLedgerClient
let damaged: DamagedCopy[]
let lacs: EntryId[]
let failure: Error | undefined

const listener: AppendListener = {
  onConfirmed: lac => lacs.push(lac),
  onFailed: error => (failure = error)
}

function start(nodeCount: number): void {
  clock = new ManualClock()
  store = new FaultyMetadataStore(new MemoryMetadataStore())
  metadata = new LedgerMetadata(store, clock)
  nodes = Array.from({ length: nodeCount }, (_, i) => new MemoryBookieNode(bookieId(`node-${i}`), clock))
  directory = new TestDirectory(nodes)
  damaged = []
  lacs = []
  failure = undefined
  client = connect()
}

const connect = (): FollowingLedgerClient =>
  createLedgerClient({
    metadata: store,
    directory,
    quorum: THREE,
    clock,
    logger: silentLogger,
    random: () => 0.4,
    speculateMs: 100,
    onDamaged: copy => damaged.push(copy)
  })

/** Lets everything that needs no time happen. */
const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise<void>(resolve => setImmediate(resolve))
}

async function pass(ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 50) {
    clock.advance(Math.min(50, leftMs))
    await settle()
  }
}

const nodeOf = (id: BookieId | undefined): MemoryBookieNode => nodes.find(node => node.bookieId === id) ?? assert.fail()
const ensembles = async (
  ledger: LedgerAppender
): Promise<readonly { firstEntryId: number; bookies: readonly BookieId[] }[]> =>
  (await client.describe(ledger.ledgerId))?.ensembles ?? []

async function begin(quorum = THREE): Promise<{ ledger: LedgerAppender; members: MemoryBookieNode[] }> {
  const ledger = await client.create({ owner: 'test', listener, quorum })
  const members = (await ensembles(ledger))[0]?.bookies.map(nodeOf) ?? []
  return { ledger, members }
}

async function append(ledger: LedgerAppender, ...texts: string[]): Promise<void> {
  for (const text of texts) ledger.append(Buffer.from(text))
  await settle()
}

async function contentOf(ledger: LedgerAppender): Promise<string[]> {
  const { lastEntryId } = await connect().recover(ledger.ledgerId)
  if (lastEntryId === NO_ENTRY) return []
  const reader = await client.open(ledger.ledgerId)
  const entries = await reader.read({ first: entryId(0), last: lastEntryId, bytesMax: 1e6, entriesMax: 1e3 })
  return entries.map(({ payload }) => payload.toString())
}

/** Why the writer ended, if it did. */
function endedBy(): unknown {
  if (failure === undefined) return undefined
  assert(LedgerError.is(failure, 'WRITER_FAILED'))
  return failure.details.failure
}

describe('a node that fails', () => {
  beforeEach(() => start(5))

  test('is replaced from the LAC on, in the metadata before anything is written to the new one', async () => {
    const { ledger, members } = await begin(ALL)
    await append(ledger, 'a', 'b')
    const spare = nodes.filter(node => !members.includes(node))
    for (const node of spare) {
      const add = node.add.bind(node)
      node.add = (request, sink) => {
        const change = store.submitted.at(-1)?.changes[0]
        assert(change?.kind === 'put' && Buffer.from(change.value).includes(node.bookieId), 'not in the metadata yet')
        add(request, sink)
      }
    }
    members[1]?.failNext('STORAGE_FAILED')
    await append(ledger, 'c', 'd')
    await append(ledger, 'e')
    assert.equal(ledger.lastAddConfirmed, 4)
    const [first, second] = await ensembles(ledger)
    assert.equal(second?.firstEntryId, 2)
    assert.deepEqual(
      second.bookies.map((id, i) => id === first?.bookies[i]),
      [true, false, true]
    )
    assert.deepEqual(nodeOf(second.bookies[1]).entryIds(ledger.ledgerId), [2, 3, 4])
    assert.deepEqual(await ledger.close(), { lastEntryId: 4, lengthBytes: 5 })
    assert.deepEqual(await contentOf(ledger), ['a', 'b', 'c', 'd', 'e'])
  })

  test('and another with it: both are replaced, in place where the ensemble begins at the same entry', async () => {
    const { ledger, members } = await begin()
    members[0]?.failNext('UNREACHABLE')
    members[2]?.failNext('READ_ONLY')
    await append(ledger, 'a', 'b')
    assert.equal(ledger.lastAddConfirmed, 1)
    const all = await ensembles(ledger)
    assert.equal(all.length, 1)
    assert(!all[0]?.bookies.includes(members[0]?.bookieId ?? assert.fail()))
    assert(!all[0]?.bookies.includes(members[2]?.bookieId ?? assert.fail()))
    assert.deepEqual(await contentOf(ledger), ['a', 'b'])
  })

  test('is replaced though the answer of the metadata store is lost, and lost again', async () => {
    const { ledger, members } = await begin(ALL)
    await append(ledger, 'a')
    members[0]?.failNext('STORAGE_FAILED')
    store.failNext('applied', 'lost', ...Array.from({ length: 200 }, () => 'lost' as const), 'applied')
    await append(ledger, 'b')
    await pass(5_000)
    assert.deepEqual(lacs, [0], 'nothing is confirmed while it is undecided')
    while (lacs.length < 2) await pass(1_000)
    assert.equal(new Set(store.submitted.slice(2).map(({ operationId }) => operationId)).size, 1)
    assert.equal((await ensembles(ledger)).length, 2)
    assert.equal((await ledger.close()).lastEntryId, 1)
  })

  test('is replaced beside a repair of an earlier ensemble', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    members[0]?.failNext('STORAGE_FAILED')
    await append(ledger, 'b')
    const before = (await metadata.read(ledger.ledgerId)) ?? assert.fail()
    const [first, ...rest] = before.record.ensembles
    const repaired = [bookieId('repaired'), ...(first?.bookies.slice(1) ?? [])]
    const changed = [{ firstEntryId: entryId(0), bookies: repaired }, ...rest]
    await metadata.replace(ledger.ledgerId, before, { ...before.record, ensembles: changed })
    nodeOf((await ensembles(ledger))[1]?.bookies[1]).failNext('STORAGE_FAILED')
    await append(ledger, 'c')
    assert.equal(ledger.lastAddConfirmed, 2)
    const all = await ensembles(ledger)
    assert.deepEqual([all.length, all[0]?.bookies], [3, repaired])
    const again = (await metadata.read(ledger.ledgerId)) ?? assert.fail()
    await metadata.replace(ledger.ledgerId, again, again.record)
    assert.equal((await ledger.close()).lastEntryId, 2)
  })

  test('ends the writer where a recoverer has the ledger, and nothing is written to a new node', async () => {
    const { ledger, members } = await begin(ALL)
    await append(ledger, 'a')
    const before = (await metadata.read(ledger.ledgerId)) ?? assert.fail()
    await metadata.replace(ledger.ledgerId, before, { ...before.record, state: 'in-recovery' })
    members[0]?.failNext('STORAGE_FAILED')
    await append(ledger, 'b')
    assert.equal(endedBy(), 'FENCED')
    for (const node of nodes) if (!members.includes(node)) assert.deepEqual(node.entryIds(ledger.ledgerId), [])
    assert.deepEqual(lacs, [0])
  })

  test('while the ledger is being closed is replaced before it is', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    for (const node of members) node.holdSyncs()
    await append(ledger, 'b')
    const closing = ledger.close()
    members[0]?.failNext('STORAGE_FAILED')
    members[0]?.stop()
    await settle()
    for (const node of members.slice(1)) node.releaseSyncs()
    await settle()
    assert.deepEqual(await closing, { lastEntryId: 1, lengthBytes: 2 })
    assert.equal((await ensembles(ledger)).length, 2)
  })

  test('again and again ends the ledger before its metadata grows too large', async () => {
    const { ledger } = await begin(ALL)
    for (let i = 0; endedBy() === undefined; i++) {
      assert(i < 200)
      await append(ledger, 'x')
      const { bookies } = (await ensembles(ledger)).at(-1) ?? assert.fail()
      nodeOf(bookies[i % 3]).failNext('STORAGE_FAILED')
    }
    assert.equal(endedBy(), 'NO_REPLACEMENT')
    assert.equal((await ensembles(ledger)).length, 100)
    assert.equal((await connect().recover(ledger.ledgerId)).lastEntryId >= (lacs.at(-1) ?? NO_ENTRY), true)
  })

  test('by being slow is replaced while the ledger goes on', async () => {
    const { ledger, members } = await begin()
    members[2]?.holdSyncs()
    for (let i = 0; i < 30; i++) {
      await append(ledger, String(i))
      await pass(250)
    }
    const all = await ensembles(ledger)
    assert.equal(all.length, 2)
    assert(!all[1]?.bookies.includes(members[2]?.bookieId ?? assert.fail()))
    assert.equal((await ledger.close()).lastEntryId, 29)
  })
})

describe('a recoverer', () => {
  beforeEach(() => start(5))

  test('brings in a node for an entry that only one node has, and names it when it closes', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    const [dead, full, last] = members
    await new TestWriter(last ?? assert.fail(), ledger.ledgerId).append(Buffer.from('b'), { entry: 1, lac: 0 })
    dead?.stop()
    full?.failNext('READ_ONLY')
    const [end, same] = await Promise.all([client, connect()].map(each => each.recover(ledger.ledgerId)))
    assert.deepEqual(end, same)
    assert.equal(end?.lastEntryId, 1)
    const all = await ensembles(ledger)
    const others = all.at(-1)?.bookies.filter(id => !members.some(node => node.bookieId === id)) ?? []
    assert(all.length === 2 && others.length > 0, JSON.stringify(all))
    const copies = all[1]?.bookies.filter(id => nodeOf(id).entryIds(ledger.ledgerId).includes(entryId(1)))
    assert((copies?.length ?? 0) >= 2)
  })
})

describe('without another node', () => {
  beforeEach(() => start(3))

  test('a writer goes on with an ack quorum, and has the third copy again when its node is back', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    const down = members[1] ?? assert.fail()
    down.stop()
    directory.hide(down.bookieId)
    await append(ledger, 'b', 'c')
    assert.equal(ledger.lastAddConfirmed, 2)
    assert.deepEqual(down.entryIds(ledger.ledgerId), [0])
    await pass(20_000)
    down.start()
    directory.show(down.bookieId)
    await append(ledger, 'd')
    assert.deepEqual(down.entryIds(ledger.ledgerId), [0, 3])
    assert.equal((await ensembles(ledger)).length, 1)
    assert.deepEqual(await contentOf(ledger), ['a', 'b', 'c', 'd'])
  })

  test('a writer without an ack quorum waits, confirms nothing, and ends in time', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    for (const node of members.slice(0, 2)) {
      node.stop()
      directory.hide(node.bookieId)
    }
    await append(ledger, 'b')
    await pass(55_000)
    assert.equal(endedBy(), undefined)
    await append(ledger, 'c')
    await pass(10_000)
    assert.equal(endedBy(), 'NO_REPLACEMENT')
    assert.deepEqual(lacs, [0])
    assert.equal(directory.watcherCount, 0)
  })

  test('a writer without an ack quorum goes on when nodes are back in time', async () => {
    const { ledger, members } = await begin()
    for (const node of members.slice(0, 2)) {
      node.stop()
      directory.hide(node.bookieId)
    }
    await append(ledger, 'a', 'b')
    const closing = ledger.close()
    await pass(30_000)
    members[0]?.start()
    directory.show(members[0]?.bookieId ?? assert.fail())
    assert.equal((await closing).lastEntryId, 1)
  })

  test('a recoverer brings in nothing that is not there, and says what blocks it', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    members[0]?.stop()
    members[1]?.stop()
    await assert.rejects(connect().recover(ledger.ledgerId), error => LedgerError.is(error, 'RECOVERY_BLOCKED'))
  })
})

describe('an idle writer', () => {
  beforeEach(() => start(3))

  test('tells its LAC, and then costs nothing', async () => {
    const { ledger } = await begin()
    const reader = await connect().open(ledger.ledgerId)
    await append(ledger, 'a')
    const before = reader.lastConfirmed()
    await pass(50)
    assert.deepEqual(await before, { lac: NO_ENTRY, isClosed: false })
    const waiting = reader.lastConfirmed({ waitPast: NO_ENTRY, timeoutMs: 60_000 })
    await pass(1_000)
    assert.deepEqual(await waiting, { lac: 0, isClosed: false })
    assert.equal(directory.watcherCount, 0)
    await append(ledger, 'b')
    assert.equal(directory.watcherCount, 1)
  })

  test('who waits is told of the end, and in time of nothing', async () => {
    const { ledger } = await begin()
    await append(ledger, 'a')
    await pass(1_000)
    const reader = await connect().open(ledger.ledgerId)
    const nothing = reader.lastConfirmed({ waitPast: entryId(0), timeoutMs: 2_000 })
    await pass(2_500)
    assert.deepEqual(await nothing, { lac: 0, isClosed: false })
    const end = reader.lastConfirmed({ waitPast: entryId(0), timeoutMs: 20_000 })
    await connect().recover(ledger.ledgerId)
    await pass(1_000)
    assert.deepEqual(await end, { lac: 0, isClosed: true })
  })
})

describe('a reader', () => {
  beforeEach(() => start(3))

  const readFirst = async (ledger: LedgerAppender): Promise<Promise<string>> => {
    const reader = await client.open(ledger.ledgerId)
    const limits = { first: entryId(0), last: entryId(0), bytesMax: 100, entriesMax: 1 }
    return reader.read(limits).then(entries => entries.map(({ payload }) => payload.toString()).join())
  }

  test('asks a second node beside one that is silent', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    await ledger.close()
    for (const node of members) node.holdReads()
    const reading = (await client.open(ledger.ledgerId)).read({
      first: entryId(0),
      last: entryId(0),
      bytesMax: 100,
      entriesMax: 1
    })
    const asked = (): number => members.filter(node => node.readCount > 0).length
    await pass(50)
    assert.equal(asked(), 1)
    await pass(100)
    assert.equal(asked(), 2)
    const second = members.findLast(node => node.readCount > 0)
    second?.releaseReads()
    assert.equal((await reading)[0]?.payload.toString(), 'a')
    await pass(1_000)
    assert.equal(asked(), 2)
  })

  test('follows a closed ledger to the nodes that repair gave it', async () => {
    start(5)
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    await ledger.close()
    const reader = await client.open(ledger.ledgerId)
    const others = nodes.filter(node => !members.includes(node))
    const limits = { first: entryId(0), last: entryId(0), bytesMax: 100, entriesMax: 1 }
    const [kept, ...gone] = members
    const copy = await kept?.read({ ledgerId: ledger.ledgerId, ...limits, fence: false })
    const [entry] = copy?.entries ?? []
    const writer = new TestWriter(others[0] ?? assert.fail(), ledger.ledgerId)
    writer.send({ ...(entry ?? assert.fail()), ledgerId: ledger.ledgerId, recovery: true })
    await writer.settled(0)
    for (const node of [...gone, kept]) node?.stop()
    await assert.rejects(reader.read(limits), error => LedgerError.is(error, 'UNAVAILABLE'))
    const before = (await metadata.read(ledger.ledgerId)) ?? assert.fail()
    const bookies = [...others.map(node => node.bookieId), kept?.bookieId ?? assert.fail()]
    const repaired = [{ firstEntryId: entryId(0), bookies }]
    await metadata.replace(ledger.ledgerId, before, { ...before.record, ensembles: repaired })
    assert.equal((await reader.read(limits))[0]?.payload.toString(), 'a')
  })

  test('takes another copy for a damaged one, and says which', async () => {
    const { ledger, members } = await begin()
    await append(ledger, 'a')
    await ledger.close()
    const [asked] = members.slice(1)
    for (const node of members) if (node !== asked) node.corrupt(ledger.ledgerId, entryId(0))
    assert.equal(await readFirst(ledger), 'a')
    const { length } = damaged
    assert(length <= 2)
    asked?.corrupt(ledger.ledgerId, entryId(0))
    await assert.rejects(readFirst(ledger), error => LedgerError.is(error, 'CORRUPT'))
    const named = new Set(damaged.slice(length).map(({ bookieId: id }) => id))
    assert.deepEqual(named, new Set(members.map(node => node.bookieId)))
  })
})

test('recovery takes the same reads for a long ledger as for a short one', async () => {
  const readsFor = async (count: number): Promise<number> => {
    start(3)
    const { ledger } = await begin()
    for (let i = 0; i < count; i += 100) {
      await append(ledger, ...Array.from({ length: 100 }, () => 'x'))
    }
    assert.equal((await connect().recover(ledger.ledgerId)).lastEntryId, count - 1)
    return nodes.reduce((sum, node) => sum + node.readCount, 0)
  }
  assert.equal(await readsFor(20_000), await readsFor(200))
})

describe('a client among some nodes', () => {
  beforeEach(() => start(8))

  test('puts ledgers, and what takes the place of a failed node, on those alone, and asks each time', async () => {
    let primary = ['first']
    const among = client.among(() => ({ primary, secondary: [] }))
    const ledger = await among.create({ owner: 'test', listener, quorum: ALL })
    const [first] = await ensembles(ledger)
    assert(first !== undefined && first.bookies.every(id => id < 'node-4'))
    await append(ledger, 'a')
    nodeOf(first.bookies[0]).failNext('STORAGE_FAILED')
    await append(ledger, 'b')
    const members = (await ensembles(ledger)).flatMap(({ bookies }) => bookies)
    assert.deepEqual([...new Set(members)].sort(), ['node-0', 'node-1', 'node-2', 'node-3'])
    assert.deepEqual(await contentOf(ledger), ['a', 'b'])
    assert.deepEqual((await metadata.read(ledger.ledgerId))?.record.groups, { primary, secondary: [] })
    primary = ['none']
    const refused = among.create({ owner: 'test', listener })
    await assert.rejects(refused, error => LedgerError.is(error, 'NOT_ENOUGH_BOOKIES'))
    await client.create({ owner: 'test', listener })
  })
})
