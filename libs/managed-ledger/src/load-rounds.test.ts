import { strict as assert } from 'node:assert'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient, type BookieNode, type LedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { MemoryMetadataStore, type MetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import type { ManagedLedger, ManagedLedgerFactory } from './contract.ts'
import { createManagedLedgerFactory } from './factory.ts'
import { listLedgers, LogSession } from './log-session.ts'
import { Appends, KEEP_ALL, numbered, readAll } from './testing/log-world.ts'

const QUORUM = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
/** Turns of the event loop in which nothing that was not held would still be on its way. */
const QUIET_TURNS = 20
const ROUNDS_MAX = 1000

/** Everything asked of another process waits for the next round: how many rounds a piece of work takes is its depth. */
class Rounds {
  count = 0
  #held: (() => void)[] = []

  async held<Result>(ask: () => Promise<Result>): Promise<Result> {
    await new Promise<void>(resolve => this.#held.push(resolve))
    return ask()
  }

  /** The same object, with these methods held. */
  holding<Remote extends object>(remote: Remote, methods: readonly (keyof Remote)[]): Remote {
    return new Proxy(remote, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function') return value
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args)
        if (!methods.includes(key as keyof Remote)) return call
        return (...args: unknown[]) => this.held(() => Promise.resolve(call(...args)))
      }
    })
  }

  async of<Result>(work: Promise<Result>): Promise<Result> {
    const state = { isDone: false }
    const done = work.finally(() => (state.isDone = true))
    done.catch(() => undefined)
    while (this.count < ROUNDS_MAX) {
      for (let turn = 0; turn < QUIET_TURNS; turn++) await new Promise<void>(resolve => setImmediate(resolve))
      if (state.isDone) return done
      this.count += 1
      for (const release of this.#held.splice(0)) release()
    }
    throw new Error('it never ended')
  }
}

class Cluster {
  readonly #metadata = new MemoryMetadataStore()
  readonly #nodes = ['one', 'two', 'three'].map(name => new MemoryBookieNode(bookieId(name)))

  client(nodes: readonly BookieNode[] = this.#nodes, metadata: MetadataStore = this.#metadata): LedgerClient {
    return createLedgerClient({
      metadata,
      directory: directoryOf([...nodes]),
      quorum: QUORUM,
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.5
    })
  }

  /** A log whose owner is gone: closed ledgers, some that are open with an entry each, and acknowledgements. */
  async fill(size: { closed: number; open: number; acks: number }): Promise<void> {
    const factory = createManagedLedgerFactory({
      metadata: this.#metadata,
      ledgers: this.client(),
      cacheBytesMax: 1 << 20
    })
    const log = await factory.open<string>('t', {
      ...KEEP_ALL,
      rollover: { entriesMax: 2, bytesMax: 1 << 20, ageMsMin: 0, ageMsMax: 3_600_000 }
    })
    const cursor = await log.openCursor('c', { initial: 'earliest' })
    const appends = new Appends(log)
    for (const label of numbered('e', size.closed * 2)) await appends.all(label)
    for (let ack = 0; ack < size.acks; ack++) {
      const { ledgerId, entryId } = appends.outcomes[ack % appends.outcomes.length]?.position ?? assert.fail()
      cursor.acknowledge(ledgerId, entryId)
      await cursor.flush()
    }
    await log.close()
    const session = await LogSession.takeOver('t', { store: this.#metadata, clock: systemClock, create: false })
    const client = this.client()
    for (let count = 0; count < size.open; count++) {
      const confirmed: { resolve?: () => void } = {}
      const isConfirmed = new Promise<void>(resolve => (confirmed.resolve = resolve))
      const appender = await client.create({
        owner: 'log:t@2',
        listener: { onConfirmed: () => confirmed.resolve?.(), onFailed: error => assert.fail(error) }
      })
      const row = { ledgerId: appender.ledgerId, state: 'open' as const, entries: 0, sizeBytes: 0, createdAtMs: 0 }
      await session.change(() => ({ put: [{ ...row, closedAtMs: undefined }] }))
      appender.append(Buffer.from(`open${count}`))
      await isConfirmed
    }
  }

  factory(): ManagedLedgerFactory {
    return createManagedLedgerFactory({ metadata: this.#metadata, ledgers: this.client(), cacheBytesMax: 1 << 20 })
  }

  listed(): ReturnType<typeof listLedgers> {
    return listLedgers(this.#metadata, 't')
  }

  async open(
    rounds: Rounds,
    options: Parameters<ManagedLedgerFactory['open']>[1] = KEEP_ALL
  ): Promise<ManagedLedger<string>> {
    const metadata = rounds.holding<MetadataStore>(this.#metadata, ['get', 'scan', 'transact'])
    const nodes = this.#nodes.map(node => rounds.holding<BookieNode>(node, ['read', 'readLac', 'add']))
    const ledgers = this.client(nodes, metadata)
    const factory = createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 1 << 20 })
    return rounds.of(factory.open<string>('t', options))
  }
}

async function roundsToLoad(size: { closed: number; open: number; acks: number }): Promise<number> {
  const cluster = new Cluster()
  await cluster.fill(size)
  const rounds = new Rounds()
  const log = await cluster.open(rounds)
  const { count } = rounds
  const entries = await rounds.of(readAll(log, 100))
  assert.equal(entries.length, size.closed * 2 + size.open)
  return count
}

test('loading takes as many round trips for many ledgers and acknowledgements as for few', async () => {
  const few = await roundsToLoad({ closed: 1, open: 1, acks: 1 })
  const many = await roundsToLoad({ closed: 40, open: 12, acks: 60 })
  assert.equal(many, few)
  // record, epoch, list; then beside each other the ledgers (metadata, in recovery, fence, read on, write back, close)
  // and the cursor ledger; that it was recovered is listed later
  assert.ok(few <= 12, `${few} round trips`)
})

test('a log that its owner closed is loaded in six', async () => {
  const rounds = await roundsToLoad({ closed: 20, open: 0, acks: 20 })
  assert.ok(rounds <= 6, `${rounds} round trips`)
})

test('the first message of a log waits for one transaction and one write, and closing it takes two round trips', async () => {
  const rounds = new Rounds()
  const log = await new Cluster().open(rounds)
  const taking = async (work: Promise<unknown>): Promise<number> => {
    const before = rounds.count
    await rounds.of(work)
    return rounds.count - before
  }
  await taking(log.openCursor('c', { initial: 'earliest' })) // this takes a block of ids for ledgers, too
  assert.equal(await taking(new Appends(log).all('x')), 2)
  // the ledger; then beside each other the list with the record, and the cursor ledger
  assert.equal(await taking(log.close()), 2)
})

test('what was read beforehand is a round less; what was recovered is listed with the next ledger, which is made at once', async () => {
  const cluster = new Cluster()
  await cluster.fill({ closed: 1, open: 1, acks: 0 })
  const states = async (): Promise<string[]> => (await cluster.listed()).map(({ state }) => state)
  const seen = cluster.factory().look('t')
  await seen
  const rounds = new Rounds()
  const log = await cluster.open(rounds, { ...KEEP_ALL, continues: true, seen })
  assert.deepEqual(await states(), ['closed', 'open'])
  assert.equal((await seen)?.record?.key, 'logs/t')
  await rounds.of(new Appends(log).all('next'))
  assert.deepEqual(await states(), ['closed', 'closed', 'open'])
  const other = new Cluster()
  await other.fill({ closed: 1, open: 1, acks: 0 })
  const bare = new Rounds()
  const again = await other.open(bare)
  await bare.of(new Appends(again).all('next'))
  assert.equal(rounds.count, bare.count - 1)
})
