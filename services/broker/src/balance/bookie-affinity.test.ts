import { strict as assert } from 'node:assert'
import { bookieId, ledgerId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory } from '@strata/managed-ledger'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { affinityGroups } from './bookie-affinity.ts'
import { placedLogs } from './placed-logs.ts'

const names = ['fast-1', 'fast-2', 'slow-1', 'slow-2', 'free']

test('groups of a namespace are names with commas between; without a primary one there are none', () => {
  const of = (primary?: string, secondary?: string): unknown =>
    affinityGroups({
      ...(primary === undefined ? {} : { bookkeeperAffinityGroupPrimary: primary }),
      ...(secondary === undefined ? {} : { bookkeeperAffinityGroupSecondary: secondary })
    })
  expect(affinityGroups(undefined)).toBeUndefined()
  expect(of()).toBeUndefined()
  expect(of('fast')).toEqual({ primary: ['fast'], secondary: [] })
  expect(of('fast, slow', ' old,,new ')).toEqual({ primary: ['fast', 'slow'], secondary: ['old', 'new'] })
})

let store: MemoryMetadataStore

beforeEach(() => {
  store = new MemoryMetadataStore()
})
afterEach(async () => {
  await store.close()
})

test('logs of a namespace with affinity have their ledgers on its nodes, those of others anywhere', async () => {
  const all = names.map(name => new MemoryBookieNode(bookieId(name)))
  const writable = () => all.map(({ bookieId: id }) => ({ bookieId: id, group: id.split('-')[0] ?? id }))
  const ledgers = createLedgerClient({
    ...{ metadata: store, directory: { ...directoryOf(all), writable }, clock: systemClock, logger: silentLogger },
    quorum: { ensembleSize: 2, writeQuorum: 2, ackQuorum: 2 },
    random: () => 0.3
  })
  const factory = createManagedLedgerFactory({ metadata: store, ledgers, cacheBytesMax: 1 << 20, clock: systemClock })
  const affinity = affinityGroups({ bookkeeperAffinityGroupPrimary: 'fast' })
  const logs = placedLogs(factory, namespace => () => (namespace === 't/fast' ? affinity : undefined))
  const options = {
    create: true,
    retention: { timeMs: -1, sizeBytes: -1 },
    rollover: { entriesMax: 1, bytesMax: 1e9, ageMsMin: 0, ageMsMax: 1e9 }
  }
  for (const name of ['t/fast/persistent/a', 't/other/persistent/a']) {
    const log = await logs.open(name, options)
    await log.openCursor('c', { initial: 'earliest' })
    await new Promise<void>((resolve, reject) => {
      log.setAppendListener({
        onAppended: () => resolve(),
        onAppendFailed: error => reject(error),
        onAppendsSettled: () => undefined
      })
      log.append(Buffer.from('entry'), 1, undefined)
    })
    await log.close()
  }
  const found = new Map<string, Set<string>>()
  let count = 0
  for (let id = 0; id < 20; id++) {
    const ledger = await ledgers.describe(ledgerId(id))
    if (ledger === undefined) continue
    count += 1
    const of = ledger.owner.includes('t/fast') ? 'fast' : 'other'
    const members = found.get(of) ?? new Set()
    found.set(of, members)
    for (const { bookies } of ledger.ensembles) for (const each of bookies) members.add(each)
  }
  expect(count).toBeGreaterThanOrEqual(4) // entries and cursors of each
  expect([...(found.get('fast') ?? assert.fail())].sort()).toEqual(['fast-1', 'fast-2'])
  await logs.close()
})
