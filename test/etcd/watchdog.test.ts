import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { startCluster, type ClusterProcesses } from '../support/cluster-process.ts'

const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'peers')
const LEASE_MS = 2_000
/** Far longer than it stands still, however busy the machine is. */
const LONG_LEASE_MS = 20_000
const STANDS_STILL_MS = 3_000

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

async function start(leaseMs: number): Promise<ClusterProcesses> {
  const set = { metadataStoreSessionTimeoutMillis: leaseMs, strataWatchdogEnabled: true }
  cluster = await startCluster({ scripts: SCRIPTS, data, set })
  return cluster
}

describe('a broker that stands still', () => {
  test('is ended once its lease is over, so that its clients turn elsewhere', async () => {
    const { broker } = await start(LEASE_MS)
    broker.signal('SIGSTOP')
    assert.equal(await broker.ended, null)
    const [, silentMs] = /"event":"watchdog.killed".*?"silentMs":(\d+)/.exec(broker.log()) ?? []
    assert(Number(silentMs) > LEASE_MS, `it was silent for ${silentMs} ms, and had its lease still`)
  })

  test('is ended by nobody if it comes back in time', async () => {
    const { broker } = await start(LONG_LEASE_MS)
    broker.signal('SIGSTOP')
    await new Promise(resolve => setTimeout(resolve, STANDS_STILL_MS))
    broker.signal('SIGCONT')
    assert.equal((await fetch(`${broker.ready.webUrl}/admin/v2/brokers/health`)).status, 200)
    assert.equal(await broker.stop(), 0)
  })
})
