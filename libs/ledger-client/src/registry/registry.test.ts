import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { LedgerError } from '../errors.ts'
import { MemoryBookieNode, TestWriter } from '../testing/index.ts'
import { bookieRackKey, encodeBookieRack, type BookieRack } from './bookie-racks.ts'
import {
  AVAILABLE_BOOKIES_PREFIX,
  availableBookieKey,
  bookieIdOfKey,
  decodeAvailableBookie,
  encodeAvailableBookie,
  type AvailableBookie
} from './bookie-records.ts'
import type { NodeConnection } from './registered-node.ts'
import { RegistryBookieDirectory } from './registry-bookie-directory.ts'

function bookieOf(id: string, change: Partial<AvailableBookie> = {}): AvailableBookie {
  return {
    bookieId: bookieId(id),
    address: `${id}:3181`,
    httpAddress: `${id}:8000`,
    rack: 'rack-1',
    host: id,
    freeBytes: 2 ** 40,
    totalBytes: 2 ** 41,
    state: 'writable',
    softwareVersion: '0.1.0',
    incarnation: 3,
    startedAtMs: 1_700_000_000_000,
    reasons: [],
    ...change
  }
}

describe('rows of the registry', () => {
  test('survive the way', () => {
    const bookie = bookieOf('a/b.c', { state: 'read-only', reasons: ['disk: full'], rack: '' })
    assert.deepEqual(decodeAvailableBookie(bookie.bookieId, encodeAvailableBookie(bookie)), bookie)
    const aside = bookieOf('a', { state: 'set-aside', signedCount: 7 })
    assert.deepEqual(decodeAvailableBookie(aside.bookieId, encodeAvailableBookie(aside)), aside)
    assert.equal(bookieIdOfKey(availableBookieKey(bookie.bookieId)), 'a/b.c')
    assert.equal(bookieIdOfKey(AVAILABLE_BOOKIES_PREFIX), undefined)
  })

  test('of a newer format are refused', () => {
    assert.throws(
      () => decodeAvailableBookie(bookieId('a'), Buffer.from([2, 1])),
      error => LedgerError.is(error, 'METADATA_CORRUPT')
    )
  })
})

/** A connection to one of the nodes in memory. */
class Connection extends MemoryBookieNode implements NodeConnection {
  isClosed = false

  close(): void {
    this.isClosed = true
    this.stop()
  }
}

describe('RegistryBookieDirectory', () => {
  let store: MemoryMetadataStore
  let clock: ManualClock
  let connections: { to: string; connection: Connection }[]
  let directory: RegistryBookieDirectory
  beforeEach(() => {
    store = new MemoryMetadataStore()
    clock = new ManualClock()
    connections = []
  })
  afterEach(async () => {
    directory.close()
    await store.close()
  })

  const put = (bookie: AvailableBookie): Promise<unknown> =>
    store.transact({
      compares: [],
      changes: [{ kind: 'put', key: availableBookieKey(bookie.bookieId), value: encodeAvailableBookie(bookie) }]
    })
  const remove = (id: string): Promise<unknown> =>
    store.transact({ compares: [], changes: [{ kind: 'delete', key: availableBookieKey(bookieId(id)) }] })
  const open = async (options: { withSetAside?: boolean } = {}): Promise<void> => {
    directory = await RegistryBookieDirectory.open({
      ...options,
      metadata: store,
      clock,
      logger: silentLogger,
      connect: ({ bookieId: id, address }) => {
        const connection = new Connection(id)
        connections.push({ to: address, connection })
        return connection
      },
      graceMs: 1_000
    })
  }
  /** Changes come in their own turn. */
  const changed = (): Promise<void> =>
    new Promise(resolve => {
      const cancel = directory.onChange(() => {
        cancel()
        resolve()
      })
    })
  const writable = (): string[] => directory.writable().map(({ bookieId: id }) => id)

  test('knows who was there before, and who comes, changes and goes', async () => {
    await put(bookieOf('a'))
    await open()
    assert.deepEqual(directory.writable(), [{ bookieId: 'a', freeBytes: 2 ** 40, rack: 'rack-1', host: 'a' }])
    let next = changed()
    await put(bookieOf('b', { rack: '' }))
    await next
    assert.deepEqual(writable(), ['a', 'b'])
    assert.deepEqual(directory.writable()[1], { bookieId: 'b', freeBytes: 2 ** 40, host: 'b' })
    for (const state of ['read-only', 'decommissioning'] as const) {
      next = changed()
      await put(bookieOf('a', { state }))
      await next
      assert.deepEqual(writable(), ['b'])
      assert.notEqual(directory.node(bookieId('a')), undefined)
      assert.equal(directory.bookies()[0]?.state, state)
    }
    assert.equal(directory.node(bookieId('c')), undefined)
    assert.equal(connections.length, 0) // nobody was asked anything
  })

  test('where an operator says that a node stands counts over what it says itself, from before and from now on', async () => {
    const say = (id: string, rack: Partial<BookieRack>): Promise<unknown> => {
      const value = encodeBookieRack({ group: '', rack: '', hostname: '', ...rack })
      return store.transact({ compares: [], changes: [{ kind: 'put', key: bookieRackKey(id), value }] })
    }
    await say('a', { group: 'fast', rack: '/r7' })
    await put(bookieOf('a'))
    await put(bookieOf('b:1'))
    await open()
    const own = { freeBytes: 2 ** 40, rack: 'rack-1' }
    const told = { ...own, bookieId: 'a', rack: '/r7', host: 'a', group: 'fast' }
    assert.deepEqual(directory.writable(), [told, { ...own, bookieId: 'b:1', host: 'b:1' }])
    let next = changed()
    await say('b:1', { hostname: 'h1', group: 'slow' })
    await next
    assert.deepEqual(directory.writable(), [told, { ...own, bookieId: 'b:1', host: 'h1', group: 'slow' }])
    assert.equal(directory.bookies()[1]?.group, 'slow')
    next = changed()
    await store.transact({ compares: [], changes: [{ kind: 'delete', key: bookieRackKey('a') }] })
    await next
    assert.deepEqual(directory.writable()[0], { ...own, bookieId: 'a', host: 'a' })
    next = changed()
    await store.transact({
      compares: [],
      changes: [{ kind: 'put', key: bookieRackKey('b:1'), value: Buffer.from([9]) }]
    })
    await next
    assert.deepEqual(directory.writable()[1], { ...own, bookieId: 'b:1', host: 'b:1' }) // unreadable: not said
  })

  test('a node whose lease is gone is used where it was for a while, and forgotten then', async () => {
    await put(bookieOf('a'))
    await open()
    const node = directory.node(bookieId('a'))
    assert(node !== undefined)
    const next = changed()
    await remove('a')
    await next
    assert.deepEqual([writable(), directory.bookies()], [[], []])
    clock.advance(999)
    assert.equal(directory.node(bookieId('a')), node)
    const writer = new TestWriter(node)
    await writer.append(Buffer.from('x'))
    assert.deepEqual(writer.failed, [])
    clock.advance(1)
    assert.equal(directory.node(bookieId('a')), undefined)
    assert(connections[0]?.connection.isClosed)
    await writer.append(Buffer.from('y'))
    assert.deepEqual(writer.failed, [{ entryId: 1, failure: 'UNREACHABLE' }])
    await assert.rejects(node.readLac({ ledgerId: ledgerId(1), fence: true }), error =>
      LedgerError.is(error, 'UNAVAILABLE')
    )
  })

  test('a node that comes back in time is the same one', async () => {
    await put(bookieOf('a'))
    await open()
    const node = directory.node(bookieId('a'))
    let next = changed()
    await remove('a')
    await next
    clock.advance(900)
    next = changed()
    await put(bookieOf('a', { incarnation: 4 }))
    await next
    clock.advance(10_000)
    assert.equal(directory.node(bookieId('a')), node)
    assert.deepEqual(writable(), ['a'])
  })

  test('a node that moved is the same one; what was pending fails before anything goes to the new address', async () => {
    await put(bookieOf('a'))
    await open()
    const node = directory.node(bookieId('a'))
    assert(node !== undefined)
    const writer = new TestWriter(node)
    await writer.append(Buffer.from('x'))
    connections[0]?.connection.holdSyncs()
    writer.add(Buffer.from('y'))
    const next = changed()
    await put(bookieOf('a', { address: 'elsewhere:1' }))
    await next
    assert.deepEqual(writer.failed, [{ entryId: 1, failure: 'UNREACHABLE' }])
    assert.equal(directory.node(bookieId('a')), node)
    await writer.append(Buffer.from('z'))
    assert.deepEqual(
      connections.map(({ to }) => to),
      ['a:3181', 'elsewhere:1']
    )
    assert.deepEqual(connections[1]?.connection.entryIds(ledgerId(1)), [entryId(2)])
  })

  test('a node that is set aside is as good as gone, but for who asks for such', async () => {
    await put(bookieOf('a'))
    await put(bookieOf('b', { state: 'set-aside', signedCount: 3 }))
    await open()
    assert.deepEqual([writable(), directory.node(bookieId('b'))], [['a'], undefined])
    const next = changed()
    await put(bookieOf('a', { state: 'set-aside', signedCount: 3 }))
    await next
    assert.deepEqual([writable(), directory.bookies()], [[], []])
    clock.advance(1_000)
    assert.equal(directory.node(bookieId('a')), undefined)
    directory.close()
    await open({ withSetAside: true })
    assert.deepEqual(writable(), [])
    assert.deepEqual(
      directory.bookies().map(({ bookieId: id, state }) => [id, state]),
      [
        ['a', 'set-aside'],
        ['b', 'set-aside']
      ]
    )
    assert.notEqual(directory.node(bookieId('b')), undefined)
  })

  test('a row that nobody can read does no harm', async () => {
    await put(bookieOf('a'))
    const key = availableBookieKey(bookieId('b'))
    await store.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.from('nonsense') }] })
    await open()
    assert.deepEqual(writable(), ['a'])
    assert.equal(directory.node(bookieId('b')), undefined)
  })

  test('changes that come while the rows are read are not undone by what is read', async () => {
    await put(bookieOf('a'))
    await put(bookieOf('b'))
    const scan = store.scan.bind(store)
    store.scan = async options => {
      const page = await scan(options)
      await put(bookieOf('a', { state: 'read-only' }))
      await remove('b')
      await new Promise(resolve => setImmediate(resolve)) // the watch tells of them first
      return page
    }
    await open()
    assert.deepEqual(writable(), [])
    assert.deepEqual(
      directory.bookies().map(({ bookieId: id, state }) => [id, state]),
      [['a', 'read-only']]
    )
  })
})
