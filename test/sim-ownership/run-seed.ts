import type { ManagedLedger } from '@strata/managed-ledger'
import { isBefore, placeOf, Violation, type Line, type Receipt } from './history.ts'
import type { Plan } from './plan.ts'
import { World } from './world.ts'

/** With faults stopped, every client must have got what it asks for within this much simulated time. */
const LIVENESS_MS = 20_000
/** Longer than any question may be held. */
const HELD_MS = 23_000
const JUDGE_MS = 60_000

export interface SeedResult {
  readonly seed: number
  /** Equal for equal runs. */
  readonly traceHash: number
  readonly eventCount: number
  readonly simulatedMs: number
  readonly counts: Readonly<Record<string, number>>
  readonly failure: { readonly invariant: string; readonly message: string } | undefined
  readonly lines: readonly Line[] | undefined
}

/** Runs one plan from its beginning to its verdict. Equal plans give equal results. */
export async function runPlan(plan: Plan, options: { isTold: boolean } = { isTold: false }): Promise<SeedResult> {
  const world = new World(plan, options)
  const { scheduler, history } = world
  const stray = (error: unknown): void => scheduler.fail(error)
  process.on('uncaughtException', stray)
  process.on('unhandledRejection', stray)
  let failure: SeedResult['failure']
  try {
    await live(world)
    await judge(world)
  } catch (error) {
    failure = describe(error)
  } finally {
    process.off('uncaughtException', stray)
    process.off('unhandledRejection', stray)
  }
  return {
    seed: plan.seed,
    traceHash: scheduler.traceHash,
    eventCount: scheduler.eventCount,
    simulatedMs: scheduler.nowMs,
    counts: history.counts,
    failure,
    lines: history.lines
  }
}

function describe(error: unknown): SeedResult['failure'] {
  if (error instanceof Violation) return { invariant: error.invariant, message: error.message }
  return { invariant: 'no-bug', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

/** Work under faults, then without them until every client was served. O4 */
async function live(world: World): Promise<void> {
  const { scheduler, clients, brokers } = world
  await world.start()
  await scheduler.run(() => world.isHealed, Infinity)
  const end = await scheduler.run(() => clients.every(client => client.isDone), scheduler.nowMs + LIVENESS_MS)
  if (end !== 'done') {
    const unserved = clients.filter(client => !client.isDone).map(({ name }) => name)
    throw new Violation('served', `not served: ${unserved.join(', ')}`)
  }
  await scheduler.run(() => false, scheduler.nowMs + HELD_MS)
  const overdue = brokers.filter(broker => broker.overdue > 0).map(({ name }) => name)
  if (overdue.length > 0) throw new Violation('served', `questions are held too long at ${overdue.join(', ')}`)
}

/** Everybody leaves; then every log is read from its first entry to its last. O1 */
async function judge(world: World): Promise<void> {
  const { scheduler, topics, history } = world
  const factory = world.judge()
  let isDone = false
  const run = async (): Promise<void> => {
    for (const topic of topics) {
      const receipts = history.receipts.filter(receipt => receipt.topic === topic.toString())
      if (!(await factory.exists(topic.storageName))) {
        if (receipts.length > 0) history.violate('kept', `${topic.toString()} has no log`)
        continue
      }
      const options = { retention: KEEP, rollover: { entriesMax: 1e6, bytesMax: 1e9, ageMsMin: 0, ageMsMax: 1e9 } }
      const log = await factory.open<never>(topic.storageName, { ...options, create: false })
      await checkLog(world, log, { topic: topic.toString(), receipts })
    }
    isDone = true
  }
  run().catch((error: unknown) => scheduler.fail(error))
  const end = await scheduler.run(() => isDone, scheduler.nowMs + JUDGE_MS)
  if (end !== 'done') throw new Violation('no-bug', 'the judge did not finish')
}

const KEEP = { timeMs: -1, sizeBytes: -1 }

async function checkLog(
  { history }: World,
  log: ManagedLedger<never>,
  { topic, receipts }: { topic: string; receipts: readonly Receipt[] }
): Promise<void> {
  const stored = new Map<string, string>()
  for (let from = log.firstPosition; ;) {
    const entries = await log.read(from, { entriesMax: 1_000, bytesMax: 1_000_000 })
    const last = entries.at(-1)
    for (const entry of entries) stored.set(placeOf(entry), entry.payload.toString())
    if (last === undefined) break
    from = log.nextPosition({ ledgerId: last.ledgerId, entryId: last.entryId })
  }
  const lost = receipts.find(receipt => stored.get(placeOf(receipt)) !== receipt.tag)
  if (lost !== undefined) {
    const there = stored.get(placeOf(lost)) ?? 'nothing'
    history.violate('kept', `${topic} has ${there} at ${placeOf(lost)}, where ${lost.broker} stored ${lost.tag}`)
  }
  const acked = history.acked.get(topic)
  if (acked === undefined) return
  const { markDelete } = await log.openCursor('sub', { initial: 'earliest' })
  if (isBefore(markDelete, acked)) {
    history.violate(
      'acks-kept',
      `${topic}: ${placeOf(acked)} was acknowledged, and it stands at ${placeOf(markDelete)}`
    )
  }
}
