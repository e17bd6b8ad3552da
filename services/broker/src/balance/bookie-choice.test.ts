import { strict as assert } from 'node:assert'
import { bookieId, ledgerId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient, type BookieDescription } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory } from '@strata/managed-ledger'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chooseBookies, type BookieAffinity } from './bookie-choice.ts'
import { placedLogs } from './placed-logs.ts'
import type { BookieRack } from './rows.ts'

const names = ['fast-1', 'fast-2', 'slow-1', 'slow-2', 'free']
const nodes: BookieDescription[] = names.map(name => ({ bookieId: bookieId(name), rack: 'own', host: name }))
const racks = new Map<string, BookieRack>([
  ['fast-1', { group: 'fast', rack: '/r1', hostname: 'h1' }],
  ['fast-2', { group: 'fast', rack: '', hostname: '' }],
  ['slow-1', { group: 'slow', rack: '/r2', hostname: '' }],
  ['slow-2', { group: 'old', rack: '/r2', hostname: '' }]
])

function chosen(needed: number, primary?: string, secondary?: string): string[] {
  const affinity: BookieAffinity | undefined =
    primary === undefined
      ? undefined
      : {
          bookkeeperAffinityGroupPrimary: primary,
          ...(secondary === undefined ? {} : { bookkeeperAffinityGroupSecondary: secondary })
        }
  return chooseBookies(nodes, { needed, affinity, racks }).map(node => node.bookieId)
}

test('without affinity all nodes may be used', () => {
  expect(chosen(2)).toEqual(names)
})

test('the primary groups alone while they have enough, then the secondary ones too, and never others', () => {
  expect(chosen(2, 'fast', 'slow')).toEqual(['fast-1', 'fast-2'])
  expect(chosen(3, 'fast', 'slow, old')).toEqual(['fast-1', 'fast-2', 'slow-1', 'slow-2'])
  expect(chosen(3, 'fast')).toEqual(['fast-1', 'fast-2'])
  expect(chosen(3, 'fast,slow')).toEqual(['fast-1', 'fast-2', 'slow-1'])
  expect(chosen(1, 'nobody')).toEqual([])
})

test('where an operator says that a node stands counts over what it says itself', () => {
  const [first, second, , , free] = chooseBookies(nodes, { needed: 1, affinity: undefined, racks })
  expect(first).toMatchObject({ rack: '/r1', host: 'h1' })
  expect(second).toMatchObject({ rack: 'own', host: 'fast-2' })
  expect(free).toMatchObject({ rack: 'own', host: 'free' })
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
  const ledgers = createLedgerClient({
    ...{ metadata: store, directory: directoryOf(all), clock: systemClock, logger: silentLogger },
    quorum: { ensembleSize: 2, writeQuorum: 2, ackQuorum: 2 },
    random: () => 0.3
  })
  const factory = createManagedLedgerFactory({ metadata: store, ledgers, cacheBytesMax: 1 << 20, clock: systemClock })
  const affinity: BookieAffinity = { bookkeeperAffinityGroupPrimary: 'fast' }
  const logs = placedLogs(factory, namespace => (writable, needed) => {
    return chooseBookies(writable, { needed, racks, affinity: namespace === 't/fast' ? affinity : undefined })
  })
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
