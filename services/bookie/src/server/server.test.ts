import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bookieId, silentLogger, systemClock, type BookieId } from '@strata/base'
import { availableBookieKey, createLedgerClient, type RegistryBookieDirectory } from '@strata/ledger-client'
import { openBookieRegistry } from '@strata/ledger-client/grpc'
import { TestWriter } from '@strata/ledger-client/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { openBookieServer, type BookieServer } from './open-bookie-server.ts'
import { bookieSettings, type BookieServerSettings } from './settings.ts'
import { loadNodeSecurity } from './credentials.ts'

const SECRET = 'of this cluster alone, and of nobody else'

function settingsOf(root: string, change: Partial<BookieServerSettings> = {}): BookieServerSettings {
  const defaults = Object.fromEntries(Object.entries(bookieSettings).map(([key, setting]) => [key, setting.default]))
  return {
    ...(defaults as unknown as BookieServerSettings),
    bookiePort: 0,
    httpServerPort: 0,
    journalDirectories: join(root, 'journal'),
    ledgerDirectories: join(root, 'ledgers'),
    strataDiskReserveMB: 16,
    ...change
  }
}

describe('a node in a process of its own', () => {
  let root: string
  let metadata: MemoryMetadataStore
  const closing: (() => Promise<void> | void)[] = []
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'strata-server-'))
    metadata = new MemoryMetadataStore()
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
    await metadata.close()
    rmSync(root, { recursive: true, force: true })
  })

  async function start(name: string, change: Partial<BookieServerSettings> = {}): Promise<BookieServer> {
    const server = await openBookieServer({
      settings: settingsOf(join(root, name), change),
      metadata,
      logger: silentLogger,
      softwareVersion: '0.1.0'
    })
    closing.push(() => server.close())
    return server
  }

  async function directoryOf(clusterId: string, secrets: readonly string[] = []): Promise<RegistryBookieDirectory> {
    const directory = await openBookieRegistry({
      ...{ metadata, clusterId, clock: systemClock, logger: silentLogger },
      security: { secrets, tls: undefined },
      graceMs: 60_000
    })
    closing.push(() => directory.close())
    return directory
  }

  /** Waits for the registry to say so. */
  async function until(directory: RegistryBookieDirectory, isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>(resolve => {
        const cancel = directory.onChange(() => {
          cancel()
          resolve()
        })
        if (isTrue()) resolve()
      })
    }
  }

  const write = async (directory: RegistryBookieDirectory, id: BookieId, ledger: number): Promise<TestWriter> => {
    const node = directory.node(id)
    assert(node !== undefined)
    const writer = new TestWriter(node, ledger)
    await writer.append(Buffer.from('a'))
    return writer
  }

  const json = async (
    url: string,
    options?: RequestInit
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const answer = await fetch(url, options)
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  test('three of them are found, written to, and read from; who leaves is missed at once', async () => {
    const servers = [await start('a'), await start('b', { strataRack: 'r2' }), await start('c')]
    const clusterId = servers[0]?.clusterId ?? ''
    assert(servers.every(server => server.clusterId === clusterId))
    const directory = await directoryOf(clusterId)
    assert.deepEqual(
      directory.bookies().map(({ bookieId: id, address, state }) => [id, address, state]),
      servers.map(server => [server.bookieId, server.address, 'writable']).sort()
    )
    assert.equal(directory.writable().find(({ bookieId: id }) => id === servers[1]?.bookieId)?.rack, 'r2')
    for (const { bookieId: id } of servers) assert.deepEqual((await write(directory, id, 1)).failed, [])
    await servers[0]?.close()
    await until(directory, () => directory.writable().length === 2)
    assert.equal(directory.bookies().length, 2)
  })

  test('nodes that find an empty store at one time belong to one cluster', async () => {
    const servers = await Promise.all([start('a'), start('b'), start('c'), start('d')])
    assert.equal(new Set(servers.map(({ clusterId }) => clusterId)).size, 1)
  })

  test('a disk keeps its node wherever it goes', async () => {
    const first = await start('a')
    const directory = await directoryOf(first.clusterId)
    const node = directory.node(first.bookieId)
    assert.deepEqual((await write(directory, first.bookieId, 1)).failed, [])
    await first.close()
    const again = await start('a')
    assert.equal(again.bookieId, first.bookieId)
    assert.notEqual(again.port, first.port)
    await until(directory, () => directory.bookies()[0]?.address === again.address)
    assert.equal(directory.node(first.bookieId), node)
    const answer = await node?.read({
      ...{ ledgerId: 1 as never, first: 0 as never, last: 9 as never, bytesMax: 100, entriesMax: 9, fence: false }
    })
    assert.deepEqual([answer?.entries.length, answer?.end], [1, 'absent'])
  })

  test('a node is made read-only by its operator, announced, and taken back', async () => {
    const server = await start('a')
    const directory = await directoryOf(server.clusterId)
    const url = `${server.httpUrl}/api/v1/bookie/state/readonly`
    assert.deepEqual((await json(url)).body, { readOnly: false })
    assert.equal((await json(url, { method: 'PUT', body: '{"readOnly": 1}' })).status, 400)
    assert.deepEqual((await json(url, { method: 'PUT', body: '{"readOnly": true}' })).body, { readOnly: true })
    await until(directory, () => directory.writable().length === 0)
    assert.match(directory.bookies()[0]?.reasons.join() ?? '', /operator/)
    const writer = await write(directory, server.bookieId, 1)
    assert.deepEqual(writer.failed, [{ entryId: 0, failure: 'READ_ONLY' }])
    await json(url, { method: 'PUT', body: '{"readOnly": false}' })
    await until(directory, () => directory.writable().length === 1)
    assert.deepEqual((await write(directory, server.bookieId, 2)).failed, [])
  })

  test('HTTP tells of health, state, ledgers and measures', async () => {
    const server = await start('a')
    const directory = await directoryOf(server.clusterId)
    for (const ledger of [5, 3, 4]) await write(directory, server.bookieId, ledger)
    assert.equal(await (await fetch(`${server.httpUrl}/heartbeat`)).text(), 'OK\n')
    assert.deepEqual((await json(`${server.httpUrl}/api/v1/bookie/is_ready`)).body, {
      ready: true,
      state: 'writable',
      reasons: []
    })
    const state = (await json(`${server.httpUrl}/api/v1/bookie/state`)).body
    assert.deepEqual(
      [state['bookieId'], state['clusterId'], state['address'], state['readOnly']],
      [server.bookieId, server.clusterId, server.address, false]
    )
    const info = (await json(`${server.httpUrl}/api/v1/bookie/info`)).body
    assert(Number(info['freeSpace']) > 0 && Number(info['totalSpace']) >= Number(info['freeSpace']))
    const first = (await json(`${server.httpUrl}/api/v1/ledger/list?limit=2`)).body
    const next = (await json(`${server.httpUrl}/api/v1/ledger/list?limit=2&after=${String(first['next'])}`)).body
    assert.deepEqual(first, {
      ledgers: [3, 4].map(ledgerId => ({ ledgerId, lastEntryId: 0, lastAddConfirmed: -1, fenced: false })),
      next: 4
    })
    assert.deepEqual(next, { ledgers: [{ ledgerId: 5, lastEntryId: 0, lastAddConfirmed: -1, fenced: false }] })
    assert.equal((await json(`${server.httpUrl}/api/v1/ledger/list?limit=0`)).status, 400)
    assert.equal((await json(`${server.httpUrl}/api/v1/bookie/gc`, { method: 'POST' })).body['done'], true)
    const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text()
    assert.match(metrics, /^bookkeeper_server_ADD_ENTRY_count 3$/m)
    assert.match(metrics, /^bookie_SERVER_STATUS 1$/m)
    assert.match(metrics, /^process_cpu_user_seconds_total /m)
    assert.equal((await json(`${server.httpUrl}/nowhere`)).status, 404)
  })

  test('a node with several disks serves, tells what it writes, and compares it with its checksums', async () => {
    const lists = (...names: string[]): string => names.map(name => join(root, name)).join(', ')
    const server = await start('a', {
      journalDirectories: lists('journal-1', 'journal-2'),
      ledgerDirectories: lists('ledgers-1', 'ledgers-2')
    })
    const directory = await directoryOf(server.clusterId)
    for (let ledger = 1; ledger <= 6; ledger++) {
      assert.deepEqual((await write(directory, server.bookieId, ledger)).failed, [])
    }
    const state = await json(`${server.httpUrl}/api/v1/bookie/state`)
    assert.equal((state.body['disks'] as unknown[]).length, 4)
    assert.equal((await json(`${server.httpUrl}/api/v1/bookie/scrub`, { method: 'PUT' })).status, 202)
    assert.deepEqual((await json(`${server.httpUrl}/api/v1/bookie/damaged`)).body, { damaged: [] })
    const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text()
    assert.match(metrics, /^strata_bookie_added_bytes 6$/m)
    assert.match(metrics, /^strata_bookie_write_amplification [1-9]/m)
    assert.match(metrics, /^strata_bookie_damaged_entries 0$/m)
  })

  test('strangers are refused, friends are not', async () => {
    const file = join(root, 'secret')
    writeFileSync(file, `${SECRET}\n`)
    const server = await start('a', { strataClusterSecretFile: file })
    const stranger = await write(await directoryOf(server.clusterId), server.bookieId, 1)
    assert.deepEqual(stranger.failed, [{ entryId: 0, failure: 'UNREACHABLE' }])
    const friend = await write(await directoryOf(server.clusterId, [SECRET]), server.bookieId, 1)
    assert.deepEqual(friend.failed, [])
  })

  test('whole ledgers are written, recovered and read over the registry', async () => {
    const servers = [await start('a'), await start('b'), await start('c')]
    const directory = await directoryOf(servers[0]?.clusterId ?? '')
    const client = createLedgerClient({
      ...{ metadata, directory, clock: systemClock, logger: silentLogger, random: () => 0.4 },
      quorum: { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
    })
    let wake = (): void => undefined
    const listener = { onConfirmed: () => wake(), onFailed: () => wake() }
    const ledger = await client.create({ owner: 'test', listener })
    for (let i = 0; i < 100; i++) ledger.append(Buffer.from(`entry ${i}`))
    while (ledger.lastAddConfirmed < 99) await new Promise<void>(resolve => (wake = resolve))
    assert.equal((await client.recover(ledger.ledgerId)).lastEntryId, 99)
  })

  test('a process whose node runs elsewhere on a newer disk ends, and takes nothing from the other one', async () => {
    const server = await start('a')
    const key = availableBookieKey(server.bookieId)
    const row = await metadata.get(key)
    assert(row !== undefined)
    const { decodeAvailableBookie, encodeAvailableBookie } = await import('@strata/ledger-client')
    const newer = { ...decodeAvailableBookie(server.bookieId, row.value), incarnation: 99, address: 'elsewhere:1' }
    await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: encodeAvailableBookie(newer) }] })
    await fetch(`${server.httpUrl}/api/v1/bookie/state/readonly`, { method: 'PUT', body: '{"readOnly":true}' })
    await server.superseded
    await server.close()
    const left = await metadata.get(key)
    assert(left !== undefined)
    assert.equal(decodeAvailableBookie(server.bookieId, left.value).address, 'elsewhere:1')
  })

  describe('what stops a start, in one line that names the key', () => {
    const refused = async (change: Partial<BookieServerSettings>, ...parts: string[]): Promise<void> => {
      await assert.rejects(start('a', change), (error: unknown) => {
        assert(error instanceof Error)
        assert(!error.message.includes('\n'), error.message)
        for (const part of parts) assert(error.message.includes(part), `${part}: ${error.message}`)
        return true
      })
    }

    test('a port that strangers reach', () =>
      refused({ bindAddress: '0.0.0.0' }, 'bindAddress=0.0.0.0', 'strataClusterSecretFile'))

    test('credentials that are none', async () => {
      const file = join(root, 'secret')
      await refused({ strataClusterSecretFile: file }, 'strataClusterSecretFile', 'ENOENT')
      writeFileSync(file, 'short\n')
      await refused({ strataClusterSecretFile: file }, 'strataClusterSecretFile', '32 characters')
      await refused({ tlsKeyStore: file }, 'tlsCertificatePath', 'tlsTrustStore')
      await refused({ tlsKeyStore: file, tlsCertificatePath: file, tlsTrustStore: file }, 'tlsCertificatePath', 'PEM')
      const files = { secretFile: file, certificate: '', key: '', authority: '' }
      writeFileSync(file, `${SECRET}\n\n${SECRET} too\n`)
      assert.deepEqual((await loadNodeSecurity(files)).secrets, [SECRET, `${SECRET} too`])
    })

    test('a taken port', async () => {
      const other = createServer()
      other.listen(0, '127.0.0.1')
      await once(other, 'listening')
      const { port } = other.address() as { port: number }
      await refused({ bookiePort: port }, 'bookiePort', String(port))
      await refused({ httpServerPort: port }, 'httpServerPort', String(port))
      other.close()
    })

    test('an address that this machine has not', () => refused({ httpServerHost: '192.0.2.1' }, 'httpServerHost'))

    test('a directory that is named twice, or not at all', async () => {
      await refused({ journalDirectories: '/a,/b,/a' }, 'journalDirectories', 'each once')
      await refused({ ledgerDirectories: '/a,,/b' }, 'ledgerDirectories', 'commas')
      await refused({ indexDirectories: '/a,/b' }, 'indexDirectories', 'one directory')
    })

    test('a directory in use', async () => {
      await start('a')
      await refused({}, 'in use by process', 'journalDirectories')
    })

    test('the disk of another cluster', async () => {
      const server = await start('a')
      await server.close()
      const other = new MemoryMetadataStore()
      const [ours, theirs] = [metadata, other]
      metadata = theirs
      await (await start('b')).close()
      await refused({}, 'another cluster', 'metadataStoreUrl')
      metadata = ours
      await other.close()
    })

    test('the disk of another node', async () => {
      const server = await start('a')
      await server.close()
      await refused({ bookieId: 'somebody-else' }, 'not those of node somebody-else', 'bookieId')
      assert.equal((await start('a', { bookieId: server.bookieId })).bookieId, bookieId(server.bookieId))
    })
  })
})
