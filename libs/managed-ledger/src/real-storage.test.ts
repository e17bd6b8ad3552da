import { strict as assert } from 'node:assert'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import type { ManagedLedgerFactory } from './contract.ts'
import { createManagedLedgerFactory } from './factory.ts'
import { Appends, KEEP_ALL, numbered, readAll } from './testing/log-world.ts'

/** One process of a broker over the ledger protocol as it is, with storage nodes in memory. */
function factoryOver(metadata: MemoryMetadataStore, node: MemoryBookieNode): ManagedLedgerFactory {
  const ledgers = createLedgerClient({
    metadata,
    directory: directoryOf([node]),
    quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
    clock: systemClock,
    logger: silentLogger,
    random: () => 0.5
  })
  return createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 8 << 20 })
}

test('a ledger and its place in the list are one transaction: who may not list one makes none', async () => {
  const metadata = new MemoryMetadataStore()
  const node = new MemoryBookieNode(bookieId('b1'))
  const revisions = async (prefix: string): Promise<number[]> =>
    (await metadata.scan({ prefix })).records.map(({ version }) => version)
  const old = await factoryOver(metadata, node).open<string>('t', KEEP_ALL)
  const fenced = await factoryOver(metadata, node).open<string>('u', KEEP_ALL)
  await new Appends(old).all('m')
  assert.deepEqual(await revisions('logs/t/ledgers/'), await revisions('ledgers/'))

  const next = await factoryOver(metadata, node).open<string>('u', KEEP_ALL)
  const late = await new Appends(fenced).all('late')
  assert.match(String(late[0]?.error), /LOG_FENCED/)
  assert.equal((await revisions('ledgers/')).length, 1)
  await new Appends(next).all('n')
  assert.equal((await revisions('ledgers/')).length, 2)
})

test('over the ledger protocol: roll, acknowledge, take over, delete', async () => {
  const metadata = new MemoryMetadataStore()
  const node = new MemoryBookieNode(bookieId('b1'))
  const options = { ...KEEP_ALL, rollover: { ...KEEP_ALL.rollover, entriesMax: 50 } }
  const old = await factoryOver(metadata, node).open<string>('t', options)
  const labels = numbered('m', 420)
  await new Appends(old).all(...labels)
  const cursor = await old.openCursor('s', { initial: 'earliest' })
  for (let entries = 2; entries <= 420; entries += 2) {
    const at = old.positionAfter({ ledgerId: -1, entryId: -1 }, entries)
    cursor.acknowledge(at.ledgerId, at.entryId)
  }
  await cursor.flush()

  const next = factoryOver(metadata, node) // the old owner is simply left behind
  const log = await next.open<string>('t', options)
  assert.deepEqual(await readAll(log, 100), labels)
  assert.equal(log.cursor('s')?.backlogEntries(), 210)
  const late = await new Appends(old).all('late')
  assert.match(String(late[0]?.error), /LOG_FENCED/)
  const more = await new Appends(log).all('x', 'y')
  assert.ok(more.every(outcome => outcome.error === undefined))
  assert.deepEqual(await readAll(log, 100), [...labels, 'x', 'y'])

  await next.delete('t')
  assert.deepEqual((await metadata.scan({ prefix: 'logs/' })).records, [])
  assert.deepEqual((await metadata.scan({ prefix: 'ledgers/' })).records, [])
})
