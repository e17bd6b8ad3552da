import { strict as assert } from 'node:assert'
import { bookieId, entryId, NO_ENTRY, silentLogger, systemClock, type EntryId, type LedgerId } from '@strata/base'
import { MemoryMetadataStore } from '@strata/metadata'
import { FaultyMetadataStore } from '@strata/metadata/testing'
import { beforeEach, describe, test } from 'vitest'
import type { AppendListener, LedgerAppender, LedgerClient, LedgerReader, QuorumConfig } from './contract.ts'
import { LedgerError } from './errors.ts'
import { createLedgerClient } from './ledger-client.ts'
import { decodeDeletion, ledgerDeletionKey } from './ledger-records.ts'
import { directoryOf, MemoryBookieNode } from './testing/index.ts'

/** Records what a writer is told, and wakes those who wait for it. */
class Progress implements AppendListener {
  readonly confirmed: EntryId[] = []
  failure: { error: Error; lac: EntryId } | undefined
  #waiting: (() => void)[] = []

  onConfirmed(lac: EntryId): void {
    this.confirmed.push(lac)
    this.#wake()
  }

  onFailed(error: Error, lac: EntryId): void {
    assert.equal(this.failure, undefined)
    this.failure = { error, lac }
    this.#wake()
  }

  async until(isDone: () => boolean): Promise<void> {
    while (!isDone()) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  async confirmedThrough(id: number): Promise<void> {
    await this.until(() => (this.confirmed.at(-1) ?? NO_ENTRY) >= id)
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

const ONE: QuorumConfig = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }
const code =
  (name: Parameters<typeof LedgerError.create>[0]) =>
  (error: unknown): boolean =>
    LedgerError.is(error, name)

let metadata: FaultyMetadataStore
let nodes: MemoryBookieNode[]
let client: LedgerClient
let progress: Progress

function start(nodeCount: number, quorum = ONE): void {
  metadata = new FaultyMetadataStore(new MemoryMetadataStore())
  nodes = Array.from({ length: nodeCount }, (_, i) => new MemoryBookieNode(bookieId(`node-${i}`)))
  client = connect(quorum)
  progress = new Progress()
}

/** Another process on the same nodes and metadata. */
function connect(quorum = ONE): LedgerClient {
  return createLedgerClient({
    metadata,
    directory: directoryOf(nodes),
    quorum,
    clock: systemClock,
    logger: silentLogger,
    random: () => 0.4
  })
}

const node = (index = 0): MemoryBookieNode => nodes[index] ?? assert.fail()
const create = (): Promise<LedgerAppender> => client.create({ owner: 'test', listener: progress })
const append = (ledger: LedgerAppender, ...texts: string[]): void => {
  for (const text of texts) ledger.append(Buffer.from(text))
}

/** From now on. */
function countReads(counted: MemoryBookieNode): { reads: number; entries: number } {
  const counts = { reads: 0, entries: 0 }
  const read = counted.read.bind(counted)
  counted.read = async options => {
    const answer = await read(options)
    counts.reads += 1
    counts.entries += answer.entries.length
    return answer
  }
  return counts
}

async function readAll(reader: LedgerReader, last: number): Promise<string[]> {
  const limits = { first: entryId(0), last: entryId(last), bytesMax: 1_000_000, entriesMax: 1_000 }
  return (await reader.read(limits)).map(({ payload }) => payload.toString())
}

async function contentOf(id: LedgerId): Promise<string[]> {
  const { lastEntryId } = await client.recover(id)
  return lastEntryId === NO_ENTRY ? [] : readAll(await client.open(id), lastEntryId)
}

describe('a ledger on one node', () => {
  beforeEach(() => start(1))

  test('is appended, confirmed once a sync, closed and read back', async () => {
    const ledger = await create()
    append(ledger, 'a', 'bb', 'ccc')
    assert.equal(ledger.lastAddConfirmed, NO_ENTRY)
    assert.equal(ledger.pendingBytes, 6)
    await progress.confirmedThrough(2)
    assert.deepEqual(progress.confirmed, [2])
    assert.equal(ledger.pendingBytes, 0)
    append(ledger, 'dddd')
    const end = await ledger.close()
    assert.deepEqual(end, { lastEntryId: 3, lengthBytes: 10 })
    assert.deepEqual(await ledger.close(), end)
    assert.throws(() => ledger.append(Buffer.from('late')), code('WRITER_CLOSED'))
    assert.deepEqual(await contentOf(ledger.ledgerId), ['a', 'bb', 'ccc', 'dddd'])
    const description = await client.describe(ledger.ledgerId)
    assert.deepEqual(description, {
      ledgerId: ledger.ledgerId,
      state: 'closed',
      end,
      quorum: ONE,
      owner: 'test',
      ensembles: [{ firstEntryId: 0, bookies: ['node-0'] }]
    })
  })

  test('confirms nothing that is not synced', async () => {
    const ledger = await create()
    node().holdSyncs()
    append(ledger, 'a', 'b')
    await Promise.resolve()
    node().syncOnce()
    append(ledger, 'c')
    assert.deepEqual(progress.confirmed, [1])
    assert.equal(ledger.lastAddConfirmed, 1)
    const closing = ledger.close()
    node().releaseSyncs()
    assert.equal((await closing).lastEntryId, 2)
  })

  test('reads end at the limits, after at least one entry', async () => {
    const ledger = await create()
    append(ledger, 'aaaa', 'bbbb', 'cccc', 'dddd')
    await ledger.close()
    const reader = await client.open(ledger.ledgerId)
    const read = async (first: number, last: number, bytesMax: number, entriesMax: number): Promise<number[]> =>
      (await reader.read({ first: entryId(first), last: entryId(last), bytesMax, entriesMax })).map(e => e.entryId)
    assert.deepEqual(await read(1, 2, 100, 100), [1, 2])
    assert.deepEqual(await read(0, 3, 5, 100), [0, 1])
    assert.deepEqual(await read(0, 3, 0, 100), [0])
    assert.deepEqual(await read(0, 3, 100, 3), [0, 1, 2])
    assert.deepEqual(await read(3, 9, 100, 100), [3])
    await assert.rejects(read(4, 9, 100, 100), code('NO_SUCH_ENTRY'))
  })

  test('a failed add ends the writer and confirms nothing more', async () => {
    const ledger = await create()
    append(ledger, 'a')
    await progress.confirmedThrough(0)
    node().failNext('STORAGE_FAILED')
    append(ledger, 'b', 'c')
    await progress.until(() => progress.failure !== undefined)
    assert(LedgerError.is(progress.failure?.error, 'WRITER_FAILED'))
    assert.equal(progress.failure.lac, 0)
    assert.deepEqual(progress.failure.error.details.failed, [{ bookieId: 'node-0', reason: 'STORAGE_FAILED' }])
    assert.throws(() => ledger.append(Buffer.from('d')), code('WRITER_FAILED'))
    await assert.rejects(ledger.close(), code('WRITER_FAILED'))
    assert.deepEqual(progress.confirmed, [0])
  })

  test('recovery takes a ledger from its writer, and keeps all that was confirmed', async () => {
    const ledger = await create()
    append(ledger, 'a', 'b')
    await progress.confirmedThrough(1)
    append(ledger, 'c') // admitted before the fence: it may be kept, it was never confirmed
    const end = await connect().recover(ledger.ledgerId)
    append(ledger, 'd')
    await progress.until(() => progress.failure !== undefined)
    assert.equal(end.lastEntryId, 2)
    assert.deepEqual(await contentOf(ledger.ledgerId), ['a', 'b', 'c'])
    await assert.rejects(ledger.close(), code('WRITER_FAILED'))
  })

  test('a writer with nothing pending that was recovered meanwhile closes at the same end', async () => {
    const ledger = await create()
    append(ledger, 'a')
    await progress.confirmedThrough(0)
    const recovered = await connect().recover(ledger.ledgerId)
    assert.deepEqual(await ledger.close(), recovered)
  })

  test('an empty ledger recovers as empty, also where the node never heard of it', async () => {
    const ledger = await create()
    assert.deepEqual(await connect().recover(ledger.ledgerId), { lastEntryId: NO_ENTRY, lengthBytes: 0 })
    append(ledger, 'late')
    await progress.until(() => progress.failure !== undefined)
    assert.equal(progress.failure?.lac, NO_ENTRY)
  })

  test('several recoveries at once agree', async () => {
    const ledger = await create()
    append(ledger, 'a', 'b')
    await progress.confirmedThrough(1)
    const ends = await Promise.all([client, connect(), connect(), client].map(each => each.recover(ledger.ledgerId)))
    for (const end of ends) assert.deepEqual(end, { lastEntryId: 1, lengthBytes: 2 })
  })

  test('a node that may have held entries, or does not answer, blocks recovery and cuts nothing off', async () => {
    const ledger = await create()
    append(ledger, 'a')
    await progress.confirmedThrough(0)
    node().loseDisk()
    await assert.rejects(client.recover(ledger.ledgerId), code('RECOVERY_BLOCKED'))
    node().stop()
    await assert.rejects(client.recover(ledger.ledgerId), code('RECOVERY_BLOCKED'))
    assert.equal((await client.describe(ledger.ledgerId))?.state, 'in-recovery')
  })

  test('a damaged entry is an error, never other bytes', async () => {
    const ledger = await create()
    append(ledger, 'a', 'b', 'c')
    await ledger.close()
    node().corrupt(ledger.ledgerId, entryId(1))
    const reader = await client.open(ledger.ledgerId)
    assert.deepEqual(await readAll(reader, 2), ['a'])
    const limits = { first: entryId(1), last: entryId(2), bytesMax: 100, entriesMax: 100 }
    await assert.rejects(reader.read(limits), code('CORRUPT'))
    node().stop()
    await assert.rejects(reader.read(limits), code('UNAVAILABLE'))
  })

  test('deletion leaves the record on which nodes delete, and is idempotent', async () => {
    const ledger = await create()
    append(ledger, 'a')
    await ledger.close()
    metadata.failNext('applied')
    await client.delete(ledger.ledgerId)
    await client.delete(ledger.ledgerId)
    assert.equal(await client.describe(ledger.ledgerId), undefined)
    const stored = await metadata.get(ledgerDeletionKey(ledger.ledgerId))
    assert(stored !== undefined)
    const { bookies, owner } = decodeDeletion(stored.value)
    assert.deepEqual({ bookies, owner }, { bookies: ['node-0'], owner: 'test' })
    await assert.rejects(client.open(ledger.ledgerId), code('NO_SUCH_LEDGER'))
    await assert.rejects(client.recover(ledger.ledgerId), code('NO_SUCH_LEDGER'))
  })

  test('answers lost by the metadata store change nothing', async () => {
    metadata.failNext('applied', 'applied')
    const ledger = await create()
    append(ledger, 'a')
    await progress.confirmedThrough(0)
    metadata.failNext('applied')
    assert.equal((await ledger.close()).lastEntryId, 0)
  })

  test('ids are never given twice and ascend in a process, and past what another wrote', async () => {
    const other = connect()
    const ids: number[] = []
    for (let i = 0; i < 70; i++) {
      for (const each of [client, other])
        ids.push((await each.create({ owner: '', listener: new Progress() })).ledgerId)
    }
    assert.equal(new Set(ids).size, ids.length)
    for (let i = 2; i < ids.length; i++) assert((ids[i] ?? 0) > (ids[i - 2] ?? 0))
    const last = ids.at(-1) as LedgerId
    const next = await client.create({ owner: '', listener: new Progress(), after: last })
    assert(next.ledgerId > last)
    assert(!ids.includes(next.ledgerId))
  })

  test('an ensemble needs enough nodes', async () => {
    const quorum = { ensembleSize: 2, writeQuorum: 2, ackQuorum: 1 }
    const creation = client.create({ owner: '', listener: progress, quorum })
    await assert.rejects(creation, code('NOT_ENOUGH_BOOKIES'))
  })
})

describe('a ledger on three nodes of five', () => {
  beforeEach(() => start(5, { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }))

  test('what recovery reads does not grow with the ledger, only with what its writer had on its way', async () => {
    const ON_THEIR_WAY = 50
    const readsOf: number[] = []
    const entriesOf: number[] = []
    for (const batches of [4, 200]) {
      start(3, { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 })
      const ledger = await create()
      for (let batch = 0; batch < batches; batch++) {
        append(ledger, ...Array.from({ length: ON_THEIR_WAY }, () => 'entry'))
        await progress.confirmedThrough(ledger.nextEntryId - 1)
      }
      const counts = nodes.map(countReads)
      const { lastEntryId } = await connect().recover(ledger.ledgerId)
      assert.equal(lastEntryId, batches * ON_THEIR_WAY - 1)
      readsOf.push(counts.reduce((sum, { reads }) => sum + reads, 0))
      entriesOf.push(Math.max(...counts.map(({ entries }) => entries)))
    }
    const [few = NaN, many = NaN] = readsOf
    assert(many <= few && few <= 2 * nodes.length, `${readsOf.join(', ')} reads`)
    assert(Math.max(...entriesOf) <= ON_THEIR_WAY + 1, `${entriesOf.join(', ')} entries`)
  })

  test('is recovered without one of its nodes, and read past a damaged copy', async () => {
    const ledger = await create()
    append(ledger, 'a', 'b', 'c')
    await progress.confirmedThrough(2)
    const bookies = (await client.describe(ledger.ledgerId))?.ensembles[0]?.bookies ?? []
    const members = nodes.filter(({ bookieId: id }) => bookies.includes(id))
    assert.equal(members.length, 3)
    members[0]?.stop()
    assert.equal((await connect().recover(ledger.ledgerId)).lastEntryId, 2)
    members[1]?.corrupt(ledger.ledgerId, entryId(0))
    assert.deepEqual(await contentOf(ledger.ledgerId), ['a', 'b', 'c'])
  })
})
