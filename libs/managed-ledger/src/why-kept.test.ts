import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient, type LedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { beforeEach, describe, test } from 'vitest'
import type { ManagedLedger } from './contract.ts'
import { createManagedLedgerFactory } from './factory.ts'
import { Appends, KEEP_ALL, numbered } from './testing/log-world.ts'
import { parseOwner, whyKept, type LedgerReasons } from './why-kept.ts'

const NAME = 'public/default/persistent/orders@home'

describe('why a ledger is kept', () => {
  let metadata: MemoryMetadataStore
  let ledgers: LedgerClient
  let log: ManagedLedger<string>
  let dataIds: number[]
  beforeEach(async () => {
    metadata = new MemoryMetadataStore()
    const directory = directoryOf([new MemoryBookieNode(bookieId('b1'))])
    ledgers = createLedgerClient({
      ...{ metadata, directory, clock: systemClock, logger: silentLogger, random: () => 0.5 },
      quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }
    })
    const factory = createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 8 << 20 })
    const options = { ...KEEP_ALL, rollover: { ...KEEP_ALL.rollover, entriesMax: 50 } }
    log = await factory.open<string>(NAME, { ...options, create: true })
    await new Appends(log).all(...numbered('m', 170))
    dataIds = log.stats().ledgers.map(each => each.ledgerId)
  })

  async function why(id: number): Promise<LedgerReasons> {
    const ledger = await ledgers.describe(ledgerId(id))
    const owner = parseOwner(ledger?.owner ?? '')
    assert(owner !== undefined)
    return whyKept({ metadata, owner, ledgerId: id, readEntries })
  }

  /** The cursor ledger is small and, here, always synced: read it until there is no more. */
  async function readEntries(id: number): Promise<Buffer[]> {
    const reader = await ledgers.open(ledgerId(id))
    const entries: Buffer[] = []
    for (;;) {
      const first = entryId(entries.length)
      const read = await reader.read({ first, last: first, bytesMax: 1e6, entriesMax: 1 }).catch(() => [])
      if (read.length === 0) return entries
      for (const { payload } of read) entries.push(payload)
    }
  }

  test('subscriptions that have not passed it are named, with where they are', async () => {
    const cursor = await log.openCursor('slow', { initial: 'earliest' })
    const fast = await log.openCursor('fast', { initial: 'latest' })
    const second = dataIds[1] ?? -1
    cursor.acknowledgeUpTo({ ledgerId: second, entryId: 7 })
    await Promise.all([cursor.flush(), fast.flush()])
    const reasons = await why(second)
    assert.equal(reasons.standing, 'closed')
    assert.deepEqual(reasons.subscriptions, [{ name: 'slow', ledgerId: second, entryId: 7 }])
    assert.match(reasons.reasons.join('; '), /subscription slow is at \d+:7 .*; 1 earlier ledgers/)
  })

  test('a ledger that everybody passed is kept by retention, and by those before it', async () => {
    const first = await why(dataIds[0] ?? -1)
    assert.deepEqual([first.subscriptions, first.reasons.length], [[], 1])
    assert.match(first.reasons.join(), /retention/)
    assert.match((await why(dataIds[2] ?? -1)).reasons.join(), /2 earlier ledgers/)
  })

  test('the open one, the cursors, and what nobody names', async () => {
    await log.openCursor('s', { initial: 'earliest' })
    const open = await why(dataIds.at(-1) ?? -1)
    assert.equal(open.standing, 'open')
    const cursors = await why(log.stats().cursorLedgerId ?? -1)
    assert.deepEqual([cursors.role, cursors.standing, cursors.log], ['cursors', 'current', NAME])
    const nobody = { metadata, ledgerId: 999, readEntries }
    assert.equal((await whyKept({ ...nobody, owner: { log: NAME, role: 'data' } })).standing, 'unlisted')
    assert.equal((await whyKept({ ...nobody, owner: { log: NAME, role: 'cursors' } })).standing, 'unlisted')
    assert.equal((await whyKept({ ...nobody, owner: { log: 'gone', role: 'data' } })).standing, 'unlisted')
    assert.equal(parseOwner('somebody else'), undefined)
  })
})
