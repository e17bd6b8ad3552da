import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { CodedError, Logger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { ServingRowSchema, type ServingRow } from '../generated/broker_pb.ts'
import { decodeRow } from '../namespace/rows.ts'
import { ServingHold, type ServingHoldOptions } from './serving-hold.ts'

const KEY = 'serving-broker'
const LEASE_MS = 10_000
const URLS = { brokerUrl: 'pulsar://127.0.0.1:6650', webUrl: 'http://127.0.0.1:8080' }

describe('ServingHold', () => {
  let store: MemoryMetadataStore
  let clock: ManualClock
  let events: string[]
  const holds: ServingHold[] = []
  beforeEach(() => {
    store = new MemoryMetadataStore()
    clock = new ManualClock()
    events = []
  })
  afterEach(async () => {
    for (const hold of holds.splice(0)) await hold.close()
    await store.close()
  })

  async function take(options: Partial<ServingHoldOptions> = {}): Promise<ServingHold> {
    const note = (fields: object): void => {
      if ('event' in fields) events.push(String(fields.event))
    }
    const logger: Logger = { debug: note, info: note, warn: note, error: note, child: () => logger }
    const hold = await ServingHold.take({ metadata: store, clock, logger, leaseMs: LEASE_MS, ...options })
    holds.push(hold)
    return hold
  }

  const row = async (): Promise<ServingRow | undefined> => {
    const record = await store.get(KEY)
    return record === undefined ? undefined : decodeRow(ServingRowSchema, record)
  }

  /** Lets time pass until `done` settles. */
  async function passing<T>(done: Promise<T>): Promise<T> {
    const state = { isSettled: false }
    const settled = done.finally(() => (state.isSettled = true))
    settled.catch(() => undefined)
    while (!state.isSettled) {
      clock.advance(250)
      await turn()
    }
    return settled
  }

  const told =
    (code: string, ...parts: string[]) =>
    (error: CodedError) => {
      assert.equal(error.code, code)
      for (const part of parts) assert(error.message.includes(part), error.message)
      assert(!error.message.includes('\n'))
      return true
    }

  test('is a row with its addresses, gone when it is given up', async () => {
    const hold = await take()
    assert.deepEqual([(await row())?.pid, (await row())?.brokerUrl], [process.pid, ''])
    await hold.announce(URLS)
    assert.deepEqual([(await row())?.brokerUrl, (await row())?.webUrl], [URLS.brokerUrl, URLS.webUrl])
    await hold.close()
    await hold.close()
    assert.equal(await row(), undefined)
  })

  test('another broker is refused at once where the first one answers', async () => {
    const listening = createServer()
    await once(listening.listen(0, '127.0.0.1'), 'listening')
    try {
      const brokerUrl = `pulsar://127.0.0.1:${(listening.address() as AddressInfo).port}`
      await (await take()).announce({ ...URLS, brokerUrl })
      await assert.rejects(take(), told('CLUSTER_SERVED', brokerUrl, String(process.pid), 'stop it first'))
    } finally {
      listening.close()
    }
  })

  test('one that does not answer is waited for, until its lease is over', async () => {
    await take()
    const next = take()
    clock.advance(LEASE_MS)
    await turn()
    assert.deepEqual(events, ['serving.waiting'])
    store.loseLeases()
    // the first one heard of it as well, and must not be faster: it is gone
    await holds.shift()?.close()
    await passing(next)
    assert.deepEqual(events.slice(0, 2), ['serving.waiting', 'serving.lease_lost'])
  })

  test('one that does not answer and keeps its lease is not taken for gone', async () => {
    await take()
    await assert.rejects(passing(take()), told('CLUSTER_SERVED', 'does not answer'))
  })

  test('waiting ends when it is told to', async () => {
    await take()
    const stopping = new AbortController()
    const next = take({ signal: stopping.signal })
    await turn()
    stopping.abort(new Error('enough'))
    await assert.rejects(passing(next), /enough/)
  })

  test('a lease that was lost is taken again, with the addresses', async () => {
    const hold = await take()
    await hold.announce(URLS)
    store.loseLeases()
    assert.equal(await row(), undefined)
    while ((await row()) === undefined) await turn()
    assert.equal((await row())?.brokerUrl, URLS.brokerUrl)
    assert.deepEqual(events, ['serving.lease_lost', 'serving.lease_regained'])
    await hold.close()
    assert.equal(await row(), undefined)
  })

  test('it is told when another one was faster', async () => {
    const hold = await take()
    store.loseLeases()
    // before the first one looks: a write to this store is done when the call returns
    const value = Buffer.from([99])
    await store.transact({ compares: [], changes: [{ kind: 'put', key: KEY, value }] })
    assert.match((await hold.superseded).message, /took the topics of this cluster over/)
    assert.deepEqual(events, ['serving.lease_lost', 'serving.superseded'])
    await hold.close()
    assert.deepEqual(Buffer.from((await store.get(KEY))?.value ?? []), value)
  })
})
