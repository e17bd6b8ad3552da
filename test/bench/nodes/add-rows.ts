import { usageOf } from '../processes.ts'
import { SECONDS, type Figures, type OwnRow } from '../row.ts'
import { countersOf, percentile, withNodes } from './bench-nodes.ts'
import { LedgerLoad, readBack } from './ledger-load.ts'
import { BareDisk, bareStream } from './run-script.ts'

const BYTES = 1024
/** What a node lets one writer have on its way. */
const WINDOW_BYTES = 16 * 1024 * 1024
const WARM_UP_SECONDS = 3
/** Of a node that has been up for a while: at this rate V8 takes so long to compile what is asked of it. */
const STEADY_SECONDS = 15
const DISK_SECONDS = 5
const ADDS_PER_SECOND = 1_000
/** The disk alone and the node take turns, so that both meet the same machine. */
const TURNS = 4
const ALONE = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }

/** One storage node in a process of its own, one writer over gRPC in this one. */
export const addRows: readonly OwnRow[] = [
  {
    name: 'node-append',
    what: 'one node, one writer, adds of 1 KB, pipelined',
    goals: [
      { figure: 'rate', against: 'limit', unit: 'adds/s', min: 0.6 },
      { figure: 'rate', against: 'bareGrpc', unit: 'adds/s' },
      { figure: 'rate', against: 'bareDisk', unit: 'adds/s' }
    ],
    measure: append
  },
  {
    name: 'node-latency',
    what: 'one node, one writer, 1,000 adds/s of 1 KB',
    goals: [
      { figure: 'p99Ms', against: 'fdatasyncP99Ms', unit: 'ms', max: 3 },
      { figure: 'medianMs', against: 'fdatasyncMedianMs', unit: 'ms' }
    ],
    measure: latency
  }
]

/** CPU is in microseconds an add; `limit` is what gRPC alone carries, or the disk alone writes, whichever is less. */
async function append(data: string): Promise<Figures> {
  const added = await withNodes(async cluster => {
    const node = await cluster.start('node')
    const client = await cluster.openClient({ quorum: ALONE })
    await client.writable(1)
    const load = await LedgerLoad.begin(client.ledgers, { bytes: BYTES, windowBytes: WINDOW_BYTES })
    load.start()
    await load.rate(WARM_UP_SECONDS)
    const usage = usageOf(() => [node.pid])
    const now = async (): Promise<
      Record<'writtenBytes' | 'syncs' | 'entries' | 'nodeSeconds' | 'writerUs', number>
    > => {
      const counter = await countersOf(node.httpUrl)
      const { user, system } = process.cpuUsage()
      return {
        writtenBytes: counter('strata_bookie_journal_written_bytes'),
        syncs: counter('strata_bookie_journal_syncs'),
        entries: load.confirmed,
        nodeSeconds: usage.cpuSeconds(),
        writerUs: user + system
      }
    }
    const from = await now()
    const rate = await load.rate(SECONDS)
    const to = await now()
    const count = await load.close()
    await readBack(client.ledgers, { ledgerId: load.ledgerId, count, bytes: BYTES })
    const entries = to.entries - from.entries
    return {
      rate,
      blockBytes: (to.writtenBytes - from.writtenBytes) / (to.syncs - from.syncs),
      nodeCpuUs: ((to.nodeSeconds - from.nodeSeconds) * 1_000_000) / entries,
      writerCpuUs: (to.writerUs - from.writerUs) / entries
    }
  })
  const bare = await bareStream(Math.min(SECONDS, 10), BYTES)
  const bareDisk = (await new BareDisk(data).writeRate(DISK_SECONDS, added.blockBytes)) / BYTES
  const limit = Math.min(bare.rate, bareDisk)
  const { clientCpuUs: grpcClientCpuUs, serverCpuUs: grpcServerCpuUs } = bare
  return { ...added, limit, bareGrpc: bare.rate, bareDisk, grpcClientCpuUs, grpcServerCpuUs }
}

async function latency(data: string): Promise<Figures> {
  const disk = new BareDisk(data)
  const [takenMs, syncMs] = await withNodes(async cluster => {
    await cluster.start('node')
    const client = await cluster.openClient({ quorum: ALONE })
    await client.writable(1)
    const load = await LedgerLoad.begin(client.ledgers, { bytes: BYTES, windowBytes: WINDOW_BYTES })
    await load.openLoop(ADDS_PER_SECOND, STEADY_SECONDS)
    const adds: number[] = []
    const syncs: number[] = []
    for (let turn = 0; turn < TURNS; turn++) {
      const seconds = SECONDS / TURNS
      syncs.push(...(await disk.syncTimes(seconds, ADDS_PER_SECOND)))
      adds.push(...(await load.openLoop(ADDS_PER_SECOND, seconds)))
    }
    const count = await load.close()
    await readBack(client.ledgers, { ledgerId: load.ledgerId, count, bytes: BYTES })
    return [adds, syncs]
  })
  return {
    p99Ms: percentile(takenMs, 0.99),
    medianMs: percentile(takenMs, 0.5),
    fdatasyncP99Ms: percentile(syncMs, 0.99),
    fdatasyncMedianMs: percentile(syncMs, 0.5)
  }
}
