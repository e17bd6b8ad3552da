import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LevelMetadataStore, MemoryMetadataStore, type Compare, type MetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { ManagedLedgerFactory } from './contract.ts'
import { ManagedLedgerError } from './errors.ts'
import { createManagedLedgerFactory } from './factory.ts'
import { Appends, KEEP_ALL, readAll } from './testing/log-world.ts'
import { MemoryLedgers } from './testing/memory-ledgers.ts'

const OWNER_KEY = 'owner-of-t'
const DROP_ALL = { timeMs: 0, sizeBytes: 0 }

const drivers: Readonly<Record<string, (directory: string) => Promise<MetadataStore>>> = {
  memory: () => Promise.resolve(new MemoryMetadataStore()),
  level: directory => LevelMetadataStore.open({ directory })
}

describe.each(Object.entries(drivers))('guards of a log, metadata in %s', (_name, open) => {
  let root: string
  let metadata: MetadataStore
  let ledgers: MemoryLedgers

  beforeEach(async () => {
    ledgers = new MemoryLedgers()
    root = mkdtempSync(join(tmpdir(), 'strata-'))
    metadata = await open(join(root, 'metadata'))
  })
  afterEach(async () => {
    await metadata.close()
    rmSync(root, { recursive: true, force: true })
  })

  /** As another process would have it. */
  function factory(): ManagedLedgerFactory {
    return createManagedLedgerFactory({ metadata, ledgers: ledgers.client(), cacheBytesMax: 1 << 20 })
  }

  /** The right to the log changes hands: what compared the row before does not hold any more. */
  async function handOver(): Promise<Compare> {
    const result = await metadata.transact({
      compares: [],
      changes: [{ kind: 'put', key: OWNER_KEY, value: new Uint8Array(0) }]
    })
    assert(result.committed)
    return { key: OWNER_KEY, version: result.revision }
  }

  const refusesGuard = (error: unknown): boolean =>
    ManagedLedgerError.is(error, 'LOG_NOT_YOURS') && error.details['guard'] === OWNER_KEY

  test('who lost the right opens nothing, new or old, and takes it from nobody', async () => {
    const lost = await handOver()
    const held = await handOver()
    const [mine, others] = [factory(), factory()]
    await assert.rejects(others.open('t', { ...KEEP_ALL, guards: [lost] }), refusesGuard)
    assert.equal(await mine.exists('t'), false)
    const log = await mine.open<string>('t', { ...KEEP_ALL, guards: [held] })
    const appends = new Appends(log)
    await appends.all('a')
    await assert.rejects(others.open('t', { ...KEEP_ALL, guards: [lost] }), refusesGuard)
    await assert.rejects(others.open('t', { ...KEEP_ALL, create: false, guards: [held, lost] }), refusesGuard)
    // the epoch alone counts once it was raised
    await handOver()
    assert.deepEqual((await appends.all('b')).at(-1)?.error, undefined)
    await log.openCursor('s', { initial: 'earliest' })
    assert.deepEqual(await readAll(log), ['a', 'b'])
    await mine.close()
  })

  test('who lost the right deletes and sweeps nothing', async () => {
    const lost = await handOver()
    const held = await handOver()
    const mine = factory()
    const log = await mine.open<string>('t', { ...KEEP_ALL, guards: [held] })
    await new Appends(log).all('a', 'b')
    await mine.close()
    const others = factory()
    await assert.rejects(others.delete('t', { guards: [lost] }), refusesGuard)
    await assert.rejects(others.sweep('t', DROP_ALL, { guards: [lost] }), refusesGuard)
    assert.equal(await others.exists('t'), true)
    const swept = await others.sweep('t', DROP_ALL, { guards: [held] })
    assert.deepEqual(swept?.ledgers, [])
    await others.delete('t', { guards: [held] })
    assert.equal(await others.exists('t'), false)
  })

  test('nor recovers one that was never closed', async () => {
    const lost = await handOver()
    const held = await handOver()
    const log = await factory().open<string>('t', { ...KEEP_ALL, guards: [held] })
    const appends = new Appends(log)
    await appends.all('a')
    await assert.rejects(factory().sweep('t', DROP_ALL, { guards: [lost] }), refusesGuard)
    assert.deepEqual((await appends.all('b')).at(-1)?.error, undefined)
  })

  test('an abandoned log writes nothing more, and its appends fail as those of a fenced one', async () => {
    const log = await factory().open<string>('t', KEEP_ALL)
    const appends = new Appends(log)
    await appends.all('a')
    const before = (await metadata.scan({ prefix: 'logs/' })).records.map(({ key, version }) => [key, version])
    appends.append('b')
    log.abandon()
    assert(ManagedLedgerError.is((await appends.settled())[1]?.error, 'LOG_FENCED'))
    await log.close()
    assert.deepEqual(
      (await metadata.scan({ prefix: 'logs/' })).records.map(({ key, version }) => [key, version]),
      before
    )
    assert.equal(log.stats().state, 'fenced')
    const next = await factory().open<string>('t', KEEP_ALL)
    assert.equal((await readAll(next))[0], 'a')
  })
})
