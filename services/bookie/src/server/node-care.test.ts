import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bookieId, ledgerId, silentLogger, systemClock, type BookieId } from '@strata/base'
import { createLedgerClient, type RegistryBookieDirectory } from '@strata/ledger-client'
import { openBookieRegistry } from '@strata/ledger-client/grpc'
import { MemoryBookieNode, directoryOf, TestWriter } from '@strata/ledger-client/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { declarationKey, encodeDeclaration } from '../auditor/care-records.ts'
import { HeldIds } from './held-ids.ts'
import { openBookieServer, type BookieServer } from './open-bookie-server.ts'
import { bookieSettings, type BookieServerSettings } from './settings.ts'

let root: string
let metadata: MemoryMetadataStore
let directory: RegistryBookieDirectory
let closing: (() => Promise<void> | void)[]
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'strata-care-'))
  metadata = new MemoryMetadataStore()
  closing = []
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await metadata.close()
  rmSync(root, { recursive: true, force: true })
})

async function start(name: string, change: Partial<BookieServerSettings> = {}): Promise<BookieServer> {
  const defaults = Object.fromEntries(Object.entries(bookieSettings).map(([key, setting]) => [key, setting.default]))
  const own = { bookieId: name, bookiePort: 0, httpServerPort: 0, strataDiskReserveMB: 16 }
  const paths = { journalDirectories: join(root, name, 'journal'), ledgerDirectories: join(root, name, 'ledgers') }
  const settings = { ...(defaults as unknown as BookieServerSettings), ...own, ...paths, ...change }
  const server = await openBookieServer({ settings, metadata, logger: silentLogger, softwareVersion: '0.1.0' })
  closing.push(() => server.close())
  return server
}

async function openDirectory({ clusterId }: BookieServer): Promise<void> {
  directory = await openBookieRegistry({ metadata, clusterId, clock: systemClock, logger: silentLogger })
  closing.push(() => directory.close())
}

/** Waits for the registry to say so. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) {
    await new Promise<void>(resolve => {
      const cancel = directory.onChange(() => {
        cancel()
        resolve()
      })
    })
  }
}

const stateOf = (id: BookieId): string | undefined => directory.bookies().find(each => each.bookieId === id)?.state

async function ask(server: BookieServer, path: string, method = 'GET'): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${server.httpUrl ?? ''}/api/v1/autorecovery/${path}`, { method })
  return { status: answer.status, body: await answer.json() }
}

describe('a node that may lead the care for copies', () => {
  test('one of them does, says so, and does what it is asked to; the others name it', async () => {
    const first = await start('a')
    const other = await start('b', { autoRecoveryDaemonEnabled: false })
    let leader = await ask(first, 'who_is_auditor')
    while (leader.status === 404) leader = await ask(first, 'who_is_auditor')
    assert.deepEqual(leader.body, { Auditor: 'a' })
    let status: Record<string, unknown> = {}
    while (status['leads'] !== true) status = (await ask(first, 'status')).body as Record<string, unknown>
    assert.deepEqual([status['enabled'], status['leader'], status['waiting']], [true, 'a', null])
    assert.equal((await ask(first, 'trigger_audit?verify=true', 'PUT')).status, 200)
    assert.deepEqual((await ask(other, 'status')).body, { enabled: false, leads: false, leader: null })
    assert.equal((await ask(other, 'trigger_audit', 'PUT')).status, 409)
  })

  test('a node that is declared takes no new ledgers, and is as before when that is taken back', async () => {
    const server = await start('a')
    await openDirectory(server)
    await until(() => stateOf(server.bookieId) === 'writable')
    const key = declarationKey(server.bookieId)
    const value = encodeDeclaration({ kind: 'leaving', declaredAtMs: 1, completedAtMs: undefined })
    await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value }] })
    await until(() => stateOf(server.bookieId) === 'decommissioning')
    assert.deepEqual(directory.writable(), [])
    const writer = new TestWriter(directory.node(server.bookieId) ?? assert.fail(), 7)
    await writer.append(Buffer.from('of a ledger that it has'))
    assert.deepEqual(writer.failed, [])
    await metadata.transact({ compares: [], changes: [{ kind: 'delete', key }] })
    await until(() => stateOf(server.bookieId) === 'writable')
  })
})

describe('ids that a node holds', () => {
  test('are not given out again by a store that was emptied', async () => {
    const node = new MemoryBookieNode(bookieId('a'))
    for (const ledger of [3, 900, 77]) await new TestWriter(node, ledger).append(Buffer.from('x'))
    await new HeldIds(node, metadata).raise()
    const client = createLedgerClient({
      ...{ metadata, directory: directoryOf([node]), clock: systemClock, logger: silentLogger, random: () => 0 },
      quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }
    })
    const listener = { onConfirmed: () => undefined, onFailed: () => undefined }
    const writer = await client.create({ owner: 'test', listener })
    // far above, since a node that is away may hold more
    assert(writer.ledgerId > ledgerId(900 + 1_000))
    await writer.close()
    await new HeldIds(node, metadata).raise() // it never lowers them, nor raises them again
    const next = await client.create({ owner: 'test', listener })
    assert.equal(next.ledgerId, writer.ledgerId + 1)
    await next.close()
  })
})
