import { strict as assert } from 'node:assert'
import { bookieId, type Logger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { availableBookieKey, decodeAvailableBookie, type AvailableBookie } from '@strata/ledger-client'
import { MemoryMetadataStore, MetadataError } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { NodeRegistration } from './registration.ts'

const ID = bookieId('node-a')
const KEY = availableBookieKey(ID)

describe('NodeRegistration', () => {
  let store: MemoryMetadataStore
  let clock: ManualClock
  let now: AvailableBookie
  let events: string[]
  let isSuperseded: boolean
  let registration: NodeRegistration
  beforeEach(async () => {
    store = new MemoryMetadataStore()
    clock = new ManualClock()
    events = []
    isSuperseded = false
    now = {
      ...{ bookieId: ID, address: 'a:1', httpAddress: '', rack: '', host: 'h', freeBytes: 500, totalBytes: 1_000 },
      ...{ state: 'writable', softwareVersion: '0', incarnation: 4, startedAtMs: 1, reasons: [] }
    }
    registration = registrationOf()
    await registration.start()
  })
  afterEach(async () => {
    await registration.close()
    await store.close()
  })

  function registrationOf(): NodeRegistration {
    const note = (fields: object): void => {
      if ('event' in fields) events.push(String(fields.event))
    }
    const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger }
    return new NodeRegistration({
      ...{ metadata: store, clock, logger, leaseMs: 10_000 },
      describe: () => Promise.resolve(now),
      onSuperseded: () => (isSuperseded = true)
    })
  }

  const row = async (): Promise<AvailableBookie | undefined> => {
    const record = await store.get(KEY)
    return record === undefined ? undefined : decodeAvailableBookie(ID, record.value)
  }
  /** One look of the registration at everything, to its end. */
  const look = async (): Promise<void> => {
    clock.advance(1_000)
    await new Promise(resolve => setImmediate(resolve))
    await new Promise(resolve => setImmediate(resolve))
  }
  const remove = (): Promise<unknown> => store.transact({ compares: [], changes: [{ kind: 'delete', key: KEY }] })

  test('what changes is announced; what is no news is not', async () => {
    const version = async (): Promise<number> => (await store.get(KEY))?.version ?? 0
    assert.deepEqual(await row(), now)
    const before = await version()
    now = { ...now, freeBytes: 495 }
    await look()
    assert.equal(await version(), before)
    now = { ...now, freeBytes: 480 }
    await look()
    assert.equal((await row())?.freeBytes, 480)
    now = { ...now, state: 'read-only', reasons: ['disk: full'] }
    await look()
    assert.deepEqual(await row(), now)
  })

  test('a lost lease is replaced at once', async () => {
    store.loseLeases()
    assert.equal(await row(), undefined)
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(await row(), now)
    assert.deepEqual(events, ['bookie.lease_lost'])
    store.loseLeases() // the new lease is watched as the old one was
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(await row(), now)
  })

  test('a row that somebody removed comes back', async () => {
    await remove()
    for (let i = 0; i < 9; i++) await look()
    assert.equal(await row(), undefined)
    await look()
    assert.deepEqual(await row(), now)
  })

  test('while the store is away it is told once, and the row is right afterwards', async () => {
    const get = store.get.bind(store)
    store.get = () => Promise.reject(MetadataError.create('UNAVAILABLE'))
    now = { ...now, state: 'read-only' }
    await look()
    await look()
    assert.deepEqual(events, ['bookie.registration_failed'])
    store.get = get
    await look()
    assert.deepEqual(await row(), now)
    assert.deepEqual(events, ['bookie.registration_failed', 'bookie.registered'])
  })

  test('who leaves takes the row along', async () => {
    await registration.close()
    assert.equal(await row(), undefined)
    await look()
    assert.equal(await row(), undefined)
  })

  test('a later incarnation replaces the row of one that was killed, never the other way round', async () => {
    const killed = registration
    now = { ...now, incarnation: 5, address: 'b:2' }
    const later = registrationOf()
    await later.start()
    assert.equal((await row())?.address, 'b:2')
    now = { ...now, incarnation: 4, address: 'a:1', state: 'read-only' }
    killed.look()
    await new Promise(resolve => setImmediate(resolve))
    assert(isSuperseded)
    assert.equal((await row())?.address, 'b:2')
    await killed.close()
    assert.equal((await row())?.address, 'b:2')
    await later.close()
  })
})
