import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bookieId, ledgerId } from '@strata/base'
import { AUDITOR_LEADER_KEY, type AuditStatus } from '@strata/bookie/server'
import type { AvailableBookie } from '@strata/ledger-client'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { Cluster } from '../cluster.ts'
import { troublesOf } from './health.ts'
import { clusterNodes } from './nodes.ts'

const PASS = { kind: 'check', startedAtMs: 1, endedAtMs: 2, ledgersSeen: 0, ledgersDue: 0, ledgersDone: 0 } as const
const DONE = { ...PASS, bytesCopied: 0, bytesDue: 0, bytesPerSecond: 0, secondsLeft: 0 }
const WELL: AuditStatus = {
  ...{ nodes: [], waiting: null, departures: [], pass: null, lastPass: DONE, unfinishedCount: 0, unfinished: [] }
}

describe('whether a cluster may lose a node', () => {
  let server: Server
  let status: AuditStatus & { leads: boolean }
  let bookies: AvailableBookie[]
  let metadata: MemoryMetadataStore
  beforeEach(async () => {
    status = { ...WELL, leads: true }
    server = createServer((_, response) => response.end(JSON.stringify(status)))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    bookies = ['a', 'b'].map(bookieOf)
    metadata = new MemoryMetadataStore()
    const put = { kind: 'put', key: AUDITOR_LEADER_KEY, value: Buffer.from('a') } as const
    await metadata.transact({ compares: [], changes: [put] })
  })
  afterEach(() => server.close())

  function bookieOf(name: string): AvailableBookie {
    const httpAddress = `127.0.0.1:${(server.address() as AddressInfo).port}`
    return {
      ...{ bookieId: bookieId(name), address: 'h:1', httpAddress, rack: '', host: 'h', freeBytes: 1, totalBytes: 1 },
      ...{ state: 'writable', softwareVersion: '', incarnation: 1, startedAtMs: 1, reasons: [] }
    }
  }

  const cluster = (): Cluster => ({ metadata, directory: { bookies: () => bookies } }) as unknown as Cluster

  async function troubles(): Promise<string[]> {
    const expected = await clusterNodes({
      metadata,
      directory: { bookies: () => ['a', 'b'].map(bookieOf) }
    } as unknown as Cluster)
    return troublesOf(cluster(), expected)
  }

  test('it may when everybody is there and nothing misses a copy; who leads is restarted last', async () => {
    assert.deepEqual(await troubles(), [])
    assert.deepEqual(
      (await clusterNodes(cluster())).map(({ id, leads }) => [id, leads]),
      [
        ['b', false],
        ['a', true]
      ]
    )
  })

  test('each thing in the way is a line', async () => {
    const lines: [RegExp, Partial<typeof status>][] = [
      [
        /3 ledgers have fewer copies.*, such as 7 \(it waits for b\)/,
        { unfinishedCount: 3, unfinished: [{ ledgerId: ledgerId(7), why: 'it waits for b' }] }
      ],
      [/being looked at/, { pass: DONE }],
      [/being looked at/, { lastPass: null }],
      [/2 of 3 nodes went at once/, { waiting: { rack: null, gone: 2, of: 3 } }],
      [/bookie b counts as away/, { nodes: [{ bookieId: bookieId('b'), standing: 'gone', isAvailable: false }] }],
      [/does not lead the care for copies yet/, { leads: false }]
    ]
    for (const [line, change] of lines) {
      status = { ...WELL, leads: true, ...change }
      const found = await troubles()
      assert.equal(found.length, 1, found.join())
      assert.match(found[0] ?? '', line)
    }
    status = { ...WELL, leads: true, nodes: [{ bookieId: bookieId('c'), standing: 'destroyed', isAvailable: false }] }
    assert.deepEqual(await troubles(), [])
  })

  test('a node that is away, that takes no entries, or whom nobody can ask', async () => {
    bookies = bookies.slice(1)
    assert.deepEqual(await troubles(), ['bookie a is away'])
    bookies = [bookieOf('a'), { ...bookieOf('b'), state: 'read-only' }]
    assert.deepEqual(await troubles(), ['bookie b is read-only'])
    bookies = [{ ...bookieOf('a'), httpAddress: '' }, bookieOf('b')]
    assert.match((await troubles()).join(), /its HTTP cannot be reached/)
    await metadata.transact({ compares: [], changes: [{ kind: 'delete', key: AUDITOR_LEADER_KEY }] })
    assert.deepEqual(await troubles(), ['no node leads the care for copies'])
  })
})
