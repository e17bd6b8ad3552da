import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { startCluster, type ClusterProcesses } from '../support/cluster-process.ts'

const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'peers')
const LEASE_MS = 2_000

let data: string
let cluster: ClusterProcesses | undefined
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'strata-watchdog-'))
})
afterEach(async () => {
  await cluster?.stop()
  cluster = undefined
  rmSync(data, { recursive: true, force: true })
})

async function start(isEnabled: boolean): Promise<ClusterProcesses> {
  const set = { metadataStoreSessionTimeoutMillis: LEASE_MS, strataWatchdogEnabled: isEnabled }
  cluster = await startCluster({ scripts: SCRIPTS, data, set })
  return cluster
}

describe('a broker that stands still', () => {
  test('is ended once its lease is over, so that its clients turn elsewhere', { timeout: 60_000 }, async () => {
    const { broker } = await start(true)
    const sinceMs = performance.now()
    broker.signal('SIGSTOP')
    assert.equal(await broker.ended, null)
    assert(performance.now() - sinceMs >= LEASE_MS, 'it had its lease still')
    assert.match(broker.log(), /"event":"watchdog.killed"/)
  })

  test('is ended by nobody if it comes back in time', { timeout: 60_000 }, async () => {
    const { broker } = await start(true)
    broker.signal('SIGSTOP')
    await new Promise(resolve => setTimeout(resolve, LEASE_MS / 2))
    broker.signal('SIGCONT')
    await new Promise(resolve => setTimeout(resolve, LEASE_MS))
    assert.equal((await fetch(`${broker.ready.webUrl}/admin/v2/brokers/health`)).status, 200)
    assert.equal(await broker.stop(), 0)
  })
})
