import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bookieId } from '@strata/base'
import { availableBookieKey, encodeAvailableBookie } from '@strata/ledger-client'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { bookieArguments } from '../support/bookie-process.ts'
import { brokerArguments } from '../support/cluster-process.ts'
import { startStrataCommand, type Ended } from '../support/strata-command.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

let store: EtcdMetadataStore
let metadataUrl: string
beforeEach(async () => {
  const prefix = freshPrefix()
  metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${prefix}`
  store = await openStore({ endpoints: etcd.endpoints, prefix })
})
afterEach(() => store.close())

async function strata(args: readonly string[], code: number): Promise<Ended> {
  const ended = await startStrataCommand(args).ended
  assert.equal(ended.code, code, `strata ${args.join(' ')}: ${ended.stdout}${ended.stderr}`)
  return ended
}

async function upgrade(command: string, code = 0): Promise<{ json: Record<string, unknown>; stderr: string }> {
  const { stdout, stderr } = await strata(['upgrade', ...command.split(' '), '--metadata', metadataUrl, '--json'], code)
  return { json: code === 0 ? (JSON.parse(stdout) as Record<string, unknown>) : {}, stderr }
}

/** A node of a release that is still to come: its row, and what it left when it joined. */
async function announce(name: string, capabilities: readonly string[]): Promise<void> {
  const row = encodeAvailableBookie({
    ...{ bookieId: bookieId(name), address: '127.0.0.1:1', httpAddress: '', rack: '', host: 'h', freeBytes: 1 },
    ...{ totalBytes: 1, state: 'writable', softwareVersion: '9.9', incarnation: 1, startedAtMs: 1, reasons: [] },
    capabilities
  })
  await put(availableBookieKey(bookieId(name)), row)
  await put(`bookies/${name}/identity`, Buffer.from('x'))
}

async function put(key: string, value: Uint8Array): Promise<void> {
  await store.transact({ compares: [], changes: [{ kind: 'put', key, value }] })
}

describe('formats of a release that is to come', () => {
  test('are written when every node knows them and an operator says so; then this release does not start', async () => {
    await put('cluster-id', Buffer.from('c'))
    await announce('a', ['levels=1-2'])
    await announce('b', []) // of the first release
    const mixed = (await upgrade('status')).json
    assert.deepEqual([mixed['level'], mixed['possible']], [1, 1])
    assert.deepEqual((await upgrade('finalize')).json, { level: 1, was: 1, changed: false })

    // b is being replaced: until it is back, nobody knows what it will be
    await store.transact({ compares: [], changes: [{ kind: 'delete', key: availableBookieKey(bookieId('b')) }] })
    assert.match((await upgrade('finalize', 1)).stderr, /^strata: bookie b is away, and its release is not known/)
    await announce('b', ['levels=1-3'])
    assert.deepEqual((await upgrade('finalize')).json, { level: 2, was: 1, changed: true })
    assert.deepEqual((await upgrade('finalize')).json, { level: 2, was: 2, changed: false })

    const data = mkdtempSync(join(tmpdir(), 'strata-'))
    try {
      for (const args of [bookieArguments({ data, metadataUrl }), brokerArguments({ metadataUrl })]) {
        const { stderr } = await strata(args, 1)
        assert.match(
          stderr,
          /^strata: the cluster writes formats of level 2, and this release knows up to 1: start a newer/m
        )
      }
    } finally {
      rmSync(data, { recursive: true })
    }
  }, 300_000)
})
