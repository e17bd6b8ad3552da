// One run: a cluster under load, faults for so long, everything put right, and then everything read back.
import { setTimeout as delay } from 'node:timers/promises'
import type { NodeClient } from '../support/node-client.ts'
import { SeededRandom } from '../support/random.ts'
import { ChaosCluster } from './cluster.ts'
import { Tormentor, type FaultKind, type FaultLog } from './faults.ts'
import { noteEnd, type LedgerRecord } from './ledger-record.ts'
import { readAlong, verifyAll } from './verify.ts'
import { ChaosWriter, isOperating } from './writer.ts'

const NODES = 5
const WRITERS = 4
const VERIFY_MS_MAX = 180_000
const EXTENSION_MS_MAX = 180_000

export interface ChaosOptions {
  readonly seconds: number
  readonly seed: number
  /** An empty directory. */
  readonly root: string
  /** The folder of the peers' scripts. */
  readonly scripts: string
}

export interface ChaosReport {
  readonly faults: ReadonlyMap<FaultKind, number>
  /** Kinds that this machine does not allow. */
  readonly impossible: readonly FaultKind[]
  readonly refusedStarts: number
  readonly ledgers: number
  readonly appended: number
  readonly acknowledged: number
  readonly verified: number
  readonly lost: number
  readonly readAlong: number
  readonly writersFailed: number
  readonly recovered: number
  /** Ledgers taken away from a writer that was alive. */
  readonly taken: number
  /** What was promised and not kept, in words. */
  readonly violations: readonly string[]
}

export async function runChaos({ seconds, seed, root, scripts }: ChaosOptions): Promise<ChaosReport> {
  const random = new SeededRandom(seed)
  const log: FaultLog = { counts: new Map(), refusedStarts: 0, violations: [] }
  const cluster = await ChaosCluster.start({ root, scripts, nodeCount: NODES })
  const clients: NodeClient[] = []
  try {
    for (let i = 0; i < 3; i++) clients.push(await cluster.openClient(() => random.next()))
    const [first, second, other] = clients.map(({ ledgers }) => ledgers) as [Ledgers, Ledgers, Ledgers]
    const records: LedgerRecord[] = []
    const { violations } = log
    const writers = Array.from({ length: WRITERS }, (_, i) => {
      const ledgers = i % 2 === 0 ? first : second
      return new ChaosWriter({ name: `writer-${i + 1}`, ledgers, random, records, violations })
    })
    const tormentor = new Tormentor({ cluster, random, log })
    const over = untilAllHappened(tormentor, seconds)
    const pick = (count: number): number => random.between(0, Math.max(0, count - 1))
    const [along, taken] = await Promise.all([
      readAlong(records, { ledgers: other, violations, pick, signal: over }),
      takeAway({ ledgers: other, writers, random, violations }, over),
      tormentor.run(over),
      ...writers.map(writer => writer.run(over))
    ])
    for (const node of cluster.nodes) tormentor.noteDeaths(node)
    const deadlineMs = performance.now() + VERIFY_MS_MAX
    const { entries, lost } = await verifyAll(records, { ledgers: other, violations, deadlineMs })
    return {
      faults: log.counts,
      impossible: tormentor.impossible,
      refusedStarts: log.refusedStarts,
      ledgers: records.length,
      appended: sum(records.map(({ appended }) => appended)),
      acknowledged: sum(records.map(({ acknowledged }) => acknowledged + 1)),
      verified: entries,
      lost,
      readAlong: along,
      writersFailed: sum(writers.map(({ failures }) => failures)),
      recovered: sum(writers.map(({ recovered }) => recovered)),
      taken,
      violations
    }
  } finally {
    for (const client of clients) await client.close()
    await cluster.stop()
  }
}

/** So long, and longer where that is not enough for each kind of fault to happen once: on a machine that does much else. */
function untilAllHappened(tormentor: Tormentor, seconds: number): AbortSignal {
  const over = new AbortController()
  const wait = async (): Promise<void> => {
    await delay(seconds * 1_000)
    const latestMs = performance.now() + EXTENSION_MS_MAX
    while (!tormentor.hasDoneAll && performance.now() < latestMs) await delay(500)
    over.abort()
  }
  void wait()
  return over.signal
}

type Ledgers = NodeClient['ledgers']

/** Another process recovers a ledger that is being written, as one does that believes its writer to be dead. */
async function takeAway(
  options: { ledgers: Ledgers; writers: readonly ChaosWriter[]; random: SeededRandom; violations: string[] },
  signal: AbortSignal
): Promise<number> {
  const { ledgers, writers, random, violations } = options
  let count = 0
  for (;;) {
    await delay(random.between(2_000, 6_000), undefined, { signal }).catch(() => undefined)
    if (signal.aborted) return count
    const record = random.pick(writers).current
    if (record === undefined || record.end !== undefined) continue
    try {
      const { lastEntryId } = await ledgers.recover(record.ledgerId)
      const problem = noteEnd(record, lastEntryId)
      if (problem !== undefined) violations.push(problem)
      count += 1
    } catch (error) {
      if (!isOperating(error)) throw error
    }
  }
}

export function describeReport(report: ChaosReport): string {
  const faults = [...report.faults].sort().map(([kind, count]) => `  ${String(count).padStart(4)}  ${kind}`)
  return [
    'faults:',
    ...faults,
    ...report.impossible.map(kind => `     –  ${kind}: this machine does not allow it`),
    `${report.ledgers} ledgers, ${report.writersFailed} writers failed, ${report.recovered} recovered by their owner, ` +
      `${report.taken} taken away by another, ${report.refusedStarts} damaged disks refused and replaced`,
    `${report.appended} entries appended, ${report.acknowledged} acknowledged, ${report.readAlong} read along the way`,
    `${report.verified} verified, ${report.lost} lost`
  ].join('\n')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
