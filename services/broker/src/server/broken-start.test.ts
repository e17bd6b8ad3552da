import { strict as assert } from 'node:assert'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { MemoryMetadataStore, type Lease } from '@strata/metadata'
import { test } from 'vitest'
import { defaultBrokerSettings } from '../config/settings.ts'
import { ownershipKeys } from '../ownership/rows.ts'
import { openServing } from './open-serving.ts'

/** Leases are granted when the test says so. */
class LateStore extends MemoryMetadataStore {
  readonly leases: Lease[] = []
  onAsked: () => void = () => undefined
  grant: () => void = () => undefined
  readonly #granting = new Promise<void>(resolve => (this.grant = resolve))

  override async grantLease(ttlMs: number): Promise<Lease> {
    this.onAsked()
    await this.#granting
    const lease = await super.grantLease(ttlMs)
    this.leases.push(lease)
    return lease
  }
}

test('a start that is broken off while it registers leaves no registration, and what it opened is closed', async () => {
  const store = new LateStore()
  const asked = new Promise<void>(resolve => (store.onAsked = resolve))
  const seen: string[] = []
  await store.watch(ownershipKeys.brokers, events => {
    for (const { key, value } of events)
      seen.push(`${key.slice(0, ownershipKeys.brokers.length)} ${value !== undefined}`)
  })
  const settings = { ...defaultBrokerSettings(), brokerServicePort: 0, webServicePort: 0 }
  const starting = new AbortController()
  const opening = openServing({
    ...{ settings, metadata: store, clock: systemClock, logger: silentLogger, random: () => 0 },
    directory: directoryOf([new MemoryBookieNode(bookieId('b1'))]),
    quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
    storageTroubles: () => [],
    cluster: { clusterId: 'c', leaseMs: 5_000 },
    signal: starting.signal
  })
  await asked
  starting.abort(new Error('told to stop'))
  await assert.rejects(opening, /told to stop/)
  // the store answers only now
  store.grant()
  while (store.leases.length === 0) await new Promise(resolve => setImmediate(resolve))
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual((await store.scan({ prefix: ownershipKeys.brokers })).records, [])
  assert.deepEqual((await store.scan({ prefix: ownershipKeys.leader })).records, [])
  assert.deepEqual(seen, [])
  await store.close()
})
