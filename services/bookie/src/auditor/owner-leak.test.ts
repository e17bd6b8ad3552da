import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { createLedgerClient, ledgerDeletionKey, ledgerIdOfKey, LEDGERS_PREFIX } from '@strata/ledger-client'
import {
  createManagedLedgerFactory,
  listingOf,
  type ManagedLedger,
  type ManagedLedgerFactory
} from '@strata/managed-ledger'
import type { MetadataStore } from '@strata/metadata'
import { describe, test } from 'vitest'
import { AuditWorld, QUORUM } from './testing/audit-world.ts'

const LOG = 'leaking'
const OPTIONS = {
  create: true,
  retention: { timeMs: 0, sizeBytes: 0 },
  rollover: { entriesMax: 4, bytesMax: 1 << 30, ageMsMin: 0, ageMsMax: 3_600_000 }
}
const ENTRIES = 18
const ORPHAN_MS = 10_000

/** What the process of an owner has of the metadata: nothing any more, from one transaction on. */
class DyingStore {
  readonly store: MetadataStore
  #left = Infinity
  #onDeath: () => void = () => undefined
  readonly died = new Promise<void>(resolve => (this.#onDeath = resolve))

  constructor(store: MetadataStore) {
    const alive = <Arguments extends unknown[], Answer>(
      ask: (...args: Arguments) => Promise<Answer>
    ): ((...args: Arguments) => Promise<Answer>) => {
      return (...args) => (this.#left < 0 ? new Promise<Answer>(() => undefined) : ask(...args))
    }
    this.store = {
      transact: transaction => {
        this.#left -= 1
        if (this.#left >= 0) return store.transact(transaction)
        this.#onDeath()
        return new Promise(() => undefined)
      },
      get: alive(key => store.get(key)),
      scan: alive(options => store.scan(options)),
      watch: alive((prefix, listener) => store.watch(prefix, listener)),
      grantLease: alive(ttlMs => store.grantLease(ttlMs)),
      close: () => Promise.resolve()
    }
  }

  dieAfter(transactions: number): void {
    this.#left = transactions
  }
}

function ownerOf(world: AuditWorld, metadata: MetadataStore): ManagedLedgerFactory {
  const { directory, clock } = world
  const doors = { metadata, directory, clock, logger: silentLogger, random: () => 0.5, quorum: QUORUM }
  return createManagedLedgerFactory({ metadata, ledgers: createLedgerClient(doors), cacheBytesMax: 1 << 20, clock })
}

async function fill(log: ManagedLedger<string>): Promise<void> {
  let wake = (): void => undefined
  let settled = 0
  const onSettled = (): void => {
    settled += 1
    wake()
  }
  log.setAppendListener({ onAppended: onSettled, onAppendFailed: onSettled, onAppendsSettled: () => undefined })
  for (let i = 0; i < ENTRIES; i++) {
    log.append(Buffer.from(`entry ${i}`), 1, String(i))
    while (settled <= i) await new Promise<void>(resolve => (wake = resolve))
  }
}

/** Whoever comes next opens the log, or finishes its deletion; then those who care for ledgers look at all of them. */
async function afterwards(world: AuditWorld, next: (factory: ManagedLedgerFactory) => Promise<unknown>): Promise<void> {
  await next(ownerOf(world, world.metadata))
  const auditor = await world.startAuditor({ orphanGraceMs: ORPHAN_MS })
  world.clock.advance(ORPHAN_MS)
  auditor.trigger('check')
  await auditor.settled()
}

/** Every ledger is listed by the log, or is gone with a record on which its nodes delete it. */
async function checkNoLeak(world: AuditWorld): Promise<number> {
  const { metadata } = world
  let listed = 0
  for (const { key } of (await metadata.scan({ prefix: LEDGERS_PREFIX })).records) {
    const ledgerId = ledgerIdOfKey(key) ?? assert.fail()
    const data = await listingOf(metadata, { log: LOG, role: 'data', ledgerId })
    const cursors = await listingOf(metadata, { log: LOG, role: 'cursors', ledgerId })
    assert(data.standing === 'listed' || cursors.standing === 'listed', `nobody lists ledger ${ledgerId}`)
    listed += 1
  }
  for (const node of world.nodes.values()) {
    for (const { ledgerId } of await node.heldLedgers({ after: -1, limit: 1_000 })) {
      const isKnown = (await metadata.get(`${LEDGERS_PREFIX}${String(ledgerId).padStart(16, '0')}`)) !== undefined
      const isDeleted = (await metadata.get(ledgerDeletionKey(ledgerId))) !== undefined
      assert(isKnown !== isDeleted, `ledger ${ledgerId} stays on nodes for ever`)
    }
  }
  return listed
}

/** An owner that dies at each transaction of what it does in turn. Returns at how many it could. */
async function dyingAtEach(
  work: (log: ManagedLedger<string>, factory: ManagedLedgerFactory) => Promise<unknown>,
  next: (factory: ManagedLedgerFactory) => Promise<unknown>
): Promise<number> {
  for (let at = 0; ; at++) {
    const world = await AuditWorld.create(3)
    const dying = new DyingStore(world.metadata)
    const factory = ownerOf(world, dying.store)
    const log = await factory.open<string>(LOG, OPTIONS)
    await fill(log)
    dying.dieAfter(at)
    const isDone = await Promise.race([work(log, factory).then(() => true), dying.died.then(() => false)])
    await afterwards(world, next)
    await checkNoLeak(world)
    await world.close()
    if (isDone) return at
  }
}

const openAgain = (factory: ManagedLedgerFactory): Promise<unknown> => factory.open<string>(LOG, OPTIONS)

describe('an owner that dies at any step leaves no ledger behind', () => {
  test('of deleting its log, when somebody finishes that', async () => {
    const steps = await dyingAtEach(
      (_, factory) => factory.delete(LOG),
      factory => factory.delete(LOG)
    )
    assert(steps >= 5, `${steps} steps`)
  })

  test('of trimming it', async () => {
    assert((await dyingAtEach(log => log.trim(), openAgain)) >= 2)
  })

  test('of appending and rolling over', async () => {
    assert((await dyingAtEach(fill, openAgain)) >= 5)
  })
})
