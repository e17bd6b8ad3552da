import { strict as assert } from 'node:assert'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LedgerId } from '@strata/base'
import { bookieRackKey, encodeBookieRack } from '@strata/ledger-client'
import type { NodeClient } from '../../support/node-client.ts'
import type { NodeCluster } from '../../support/node-cluster.ts'
import { ROOT } from '../../tidy/repository.ts'
import { usageOf } from '../processes.ts'
import { SECONDS, type Figures, type OwnRow } from '../row.ts'
import { PREFIX, withNodes } from './bench-nodes.ts'
import { LedgerLoad, readBack } from './ledger-load.ts'
import { BareDisk } from './run-script.ts'

const MANY = Number(process.env['STRATA_TEST_BENCH_RECOVERED_ENTRIES'] ?? 1_000_000)
const FEW = 10_000
const RECOVERED_BYTES = 256
const BYTES = 1024
const WINDOW_BYTES = 16 * 1024 * 1024
const LEDGER_BYTES = 256 * 1024 * 1024
const COPIED_BYTES = Number(process.env['STRATA_TEST_BENCH_REPAIR_GB'] ?? 5) * 1e9
/** What one step of a repair copies. */
const STEP_BYTES = 1024 * 1024
/** Of the yardstick: less would be done before it is under way. */
const DISK_BYTES = 1e9
const WARM_UP_SECONDS = 3
const POLL_MS = 100
const TWO_COPIES = { ensembleSize: 2, writeQuorum: 2, ackQuorum: 2 }

export const careRows: readonly OwnRow[] = [
  {
    name: 'recovery',
    what: `recovery of an open ledger of ${MANY.toLocaleString('en-US')} entries, its writer killed`,
    goals: [
      { figure: 'seconds', unit: 's', max: 1 },
      { figure: 'seconds', against: 'secondsOf10000', unit: 's' },
      // what a start-up of a ledger's first reads may vary by does not make it grow
      { figure: 'perEntryMicros', unit: 'µs', max: 0.2 }
    ],
    measure: recovery
  },
  {
    name: 'repair',
    what: `re-replication of ${COPIED_BYTES / 1e9} GB`,
    goals: [
      { figure: 'copied', against: 'bareDisk', unit: 'MB/s', min: 0.6 },
      { figure: 'foreground', against: 'foregroundAlone', unit: 'adds/s', min: 0.9 }
    ],
    measure: repair
  }
]

async function recovery(): Promise<Figures> {
  const [few, many] = [await recoveredAfter(FEW), await recoveredAfter(MANY)]
  const perEntryMicros = Math.max(0, ((many.seconds - few.seconds) * 1e6) / (MANY - FEW))
  return { ...many, secondsOf10000: few.seconds, cpuSecondsOf10000: few.cpuSeconds, perEntryMicros }
}

interface Recovered {
  readonly seconds: number
  /** Of the nodes and of who recovers, together. */
  readonly cpuSeconds: number
  /** Entries past those that the writer knew to be confirmed. */
  readonly tail: number
}

/** On fresh nodes. */
function recoveredAfter(entries: number): Promise<Recovered> {
  return withNodes(async (cluster, etcd) => {
    const nodes = await cluster.startAll('a', 'b', 'c')
    const client = await cluster.openClient()
    await client.writable(3)
    const names = [etcd.endpoints.join(','), PREFIX, cluster.clusterId, `${entries}`, `${RECOVERED_BYTES}`]
    const writer = fork(join(ROOT, 'test', 'bench', 'nodes', 'writer.mjs'), names)
    const [{ ledgerId, confirmed }] = (await once(writer, 'message')) as [{ ledgerId: LedgerId; confirmed: number }]
    const exited = once(writer, 'exit')
    writer.kill('SIGKILL')
    await exited
    const usage = usageOf(() => [process.pid, ...nodes.map(({ pid }) => pid)])
    const from = { atMs: performance.now(), cpuSeconds: usage.cpuSeconds() }
    const { lastEntryId } = await client.ledgers.recover(ledgerId)
    const seconds = (performance.now() - from.atMs) / 1000
    const cpuSeconds = usage.cpuSeconds() - from.cpuSeconds
    assert(lastEntryId >= confirmed - 1, `${confirmed} entries were confirmed, recovered were ${lastEntryId + 1}`)
    await readBack(client.ledgers, { ledgerId, count: lastEntryId + 1, bytes: RECOVERED_BYTES })
    return { seconds, cpuSeconds, tail: lastEntryId + 1 - confirmed }
  })
}

/** Copies of everything are on two nodes. One is destroyed, and two others that are empty take its place. */
async function repair(data: string): Promise<Figures> {
  const figures = await withNodes(async cluster => {
    await cluster.startAll('lost', 'left')
    const filler = await cluster.openClient({ quorum: TWO_COPIES })
    await filler.writable(2)
    const ledgers = await fill(filler)
    await cluster.startAll('new-1', 'new-2')
    const client = await cluster.openClient({ quorum: TWO_COPIES })
    await client.writable(4)
    await inGroup(client, 'new', ['new-1', 'new-2'])
    const empty = client.ledgers.among(() => ({ primary: ['new'], secondary: [] }))
    const load = await LedgerLoad.begin(empty, { bytes: BYTES, windowBytes: WINDOW_BYTES })
    load.start()
    await load.rate(WARM_UP_SECONDS)
    const foregroundAlone = await load.rate(SECONDS)
    await cluster.destroy('lost')
    // its lease must be over; then it is said, so that the grace period is not waited for
    await client.writable(3)
    const { code, stderr } = await cluster.strata('bookies decommission lost --destroyed')
    assert.equal(code, 0, stderr)
    await copying(cluster)
    const foreground = await load.rate(SECONDS)
    await load.close()
    // the same at full rate, and nothing else to do
    for (const name of ['left', 'new-1', 'new-2']) {
      await cluster.stop(name)
      await cluster.start(name, { replicationRateByBytes: 0 })
    }
    const copied = (await untilWhole(cluster, client, ledgers)) / 1e6
    return { copied, foreground, foregroundAlone }
  })
  const bareDisk = await new BareDisk(data).copyRate(Math.min(COPIED_BYTES, DISK_BYTES), STEP_BYTES)
  return { ...figures, bareDisk: bareDisk / 1e6 }
}

/** As an operator puts nodes into a group, and when the client knows it. */
async function inGroup(client: NodeClient, group: string, names: readonly string[]): Promise<void> {
  const value = encodeBookieRack({ group, rack: '', hostname: '' })
  const changes = names.map(name => ({ kind: 'put', key: bookieRackKey(name), value }) as const)
  await client.metadata.transact({ compares: [], changes })
  await client.until(directory => directory.writable().filter(node => node.group === group).length === names.length)
}

/** Ledgers of as many bytes as are to be copied, together. */
async function fill(client: NodeClient): Promise<LedgerId[]> {
  const ledgers: LedgerId[] = []
  for (let left = COPIED_BYTES; left > 0; left -= LEDGER_BYTES) {
    const load = await LedgerLoad.begin(client.ledgers, { bytes: BYTES, windowBytes: WINDOW_BYTES })
    const entries = Math.ceil(Math.min(left, LEDGER_BYTES) / BYTES)
    load.start(entries)
    await load.until(() => load.confirmed === entries)
    await load.close()
    ledgers.push(load.ledgerId)
  }
  return ledgers
}

interface Pass {
  readonly startedAtMs: number
  readonly bytesCopied: number
  /** From its beginning on. */
  readonly bytesPerSecond: number
}

/** Of the node that leads, as it sees its work; undefined: nobody leads now. */
async function passes(cluster: NodeCluster): Promise<Pass[]> {
  for (const name of cluster.running.keys()) {
    const status = await cluster.ask(name, 'autorecovery/status').catch(() => undefined)
    if (status?.['leads'] !== true) continue
    const { pass, lastPass } = status as { pass: Pass | null; lastPass: Pass | null }
    return [lastPass, pass].filter(each => each !== null)
  }
  return []
}

async function copying(cluster: NodeCluster): Promise<void> {
  while (!(await passes(cluster)).some(({ bytesCopied }) => bytesCopied > 0)) await delay(POLL_MS)
}

/** Bytes a second, over the time in which something was copied, until no ledger names the node that was lost. */
async function untilWhole(cluster: NodeCluster, client: NodeClient, ledgers: readonly LedgerId[]): Promise<number> {
  const seen = new Map<number, { bytes: number; seconds: number }>()
  for (let left = [...ledgers]; left.length > 0;) {
    const named = await Promise.all(left.map(async id => ({ id, ledger: await client.ledgers.describe(id) })))
    left = named.filter(({ ledger }) => isNamed(ledger, 'lost')).map(({ id }) => id)
    for (const { startedAtMs, bytesCopied, bytesPerSecond } of await passes(cluster)) {
      if (bytesCopied > 0) seen.set(startedAtMs, { bytes: bytesCopied, seconds: bytesCopied / bytesPerSecond })
    }
    await delay(POLL_MS)
  }
  if (seen.size === 0) throw new Error('all was copied while the foreground was measured: STRATA_TEST_BENCH_REPAIR_GB')
  const sum = (of: 'bytes' | 'seconds'): number => [...seen.values()].reduce((total, each) => total + each[of], 0)
  return sum('bytes') / sum('seconds')
}

function isNamed(
  ledger: { readonly ensembles: readonly { readonly bookies: readonly string[] }[] } | undefined,
  name: string
): boolean {
  return ledger?.ensembles.some(({ bookies }) => bookies.includes(name)) ?? false
}
