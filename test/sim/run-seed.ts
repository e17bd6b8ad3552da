import { entryId, ledgerId, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import { membersOf } from '@strata/ledger-protocol'
import type { Actor } from './actor.ts'
import { inject } from './faults.ts'
import { Violation, type Line, type Races } from './history.ts'
import { tagOf } from './payload.ts'
import { quickenPlainText } from './plain-text.ts'
import type { FaultKind, Plan } from './plan.ts'
import type { SimNode } from './sim-node.ts'
import { World } from './world.ts'

/** With faults stopped, everything must be finished within this much simulated time. */
const LIVENESS_MS = 20_000
const SPACE_CHECK_MS = 40
const CARE_CHECK_MS = 25
const KEPT_ATTEMPTS = 10
const KEPT_PAUSE_MS = 100
/** Of one answer. */
const KEPT_BYTES_MAX = 4 * 1024
const KEPT_ENTRIES_MAX = 32

quickenPlainText()

export interface SeedResult {
  readonly seed: number
  /** Equal for equal runs. */
  readonly traceHash: number
  readonly simulatedMs: number
  /** Everything that happened: messages, transactions, disk operations, timers. */
  readonly eventCount: number
  /** Messages between processes that arrived, and transactions on metadata. */
  readonly protocolEvents: number
  readonly faults: readonly FaultKind[]
  readonly races: Races
  readonly counts: Readonly<Record<string, number>>
  readonly failure: { readonly invariant: string; readonly message: string } | undefined
  readonly lines: readonly Line[] | undefined
}

/** Runs one plan from its beginning to its verdict. Equal plans give equal results. */
export async function runPlan(plan: Plan, options: { isTold: boolean } = { isTold: false }): Promise<SeedResult> {
  const world = new World(plan, options)
  const stray = (error: unknown): void => world.scheduler.fail(error)
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
  const { scheduler, network, metadata, history } = world
  return {
    seed: plan.seed,
    traceHash: scheduler.traceHash,
    simulatedMs: scheduler.nowMs,
    eventCount: scheduler.eventCount,
    protocolEvents: network.messageCount + metadata.transactionCount,
    faults: plan.faults.map(({ kind }) => kind),
    races: history.races,
    counts: history.counts,
    failure,
    lines: history.lines
  }
}

function describe(error: unknown): SeedResult['failure'] {
  if (error instanceof Violation) return { invariant: error.invariant, message: error.message }
  return { invariant: 'no-bug', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}

/** Work under faults, then without them until everybody has finished. */
async function live(world: World): Promise<void> {
  const { plan, scheduler, history } = world
  await world.view.start()
  world.start()
  for (const { atMs, ...fault } of plan.faults) {
    world.later(atMs, () => {
      history.tell('world', () => `fault: ${JSON.stringify(fault)}`)
      inject(world, fault)
    })
  }
  world.later(plan.activeMs, () => world.heal())
  await scheduler.run(() => world.isHealed, Infinity)
  const isQuiet = (): boolean =>
    world.writers.every(({ actor }) => actor.isDone || actor.process.isDead) &&
    world.readers.every(reader => reader.isDone) &&
    world.nodes.every(node => node.isUp)
  await within(world, isQuiet, () => {
    const busy = world.writers.filter(({ actor }) => !actor.isDone && !actor.process.isDead)
    const down = world.nodes.filter(node => !node.isUp)
    return `not finished: ${[...busy.map(({ actor }) => actor.name), ...down.map(node => node.bookieId)].join(', ')}`
  })
}

/** The last word: every ledger is closed, read from its first entry to its last, and every node asked for what it took. */
async function judge(world: World): Promise<void> {
  const judge = world.newActor('judge', 0)
  const ids = [...world.view.all].map(described => described.ledgerId)
  await finished(world, judge, 'the judge', async () => {
    for (const id of ids) {
      const end = await judge.recover(id)
      if (end !== undefined) await readAll(world, judge, { id, last: end.lastEntryId })
    }
    for (const node of world.nodes) await checkKept(world, judge, node)
  })
  if (world.plan.isCared) await awaitCopies(world, judge)
  if (world.plan.isEmptied) await empty(world, judge, ids)
}

/** The auditor brings back what was lost; then every node of an entry's write set has it, and it is right. */
async function awaitCopies(world: World, judge: Actor): Promise<void> {
  let unfinished = 'nobody leads'
  let lastPass: object | null = null
  for (const fromMs = world.scheduler.nowMs; world.scheduler.nowMs < fromMs + LIVENESS_MS;) {
    await world.scheduler.run(() => false, world.scheduler.nowMs + CARE_CHECK_MS)
    const leader = world.carers.find(({ status }) => status !== undefined)
    const status = leader?.status
    if (leader === undefined || status === undefined || status.pass !== null) continue
    unfinished = JSON.stringify([status.waiting, status.unfinished])
    const isLooked = lastPass !== null && status.lastPass !== lastPass && status.lastPass?.kind === 'verify'
    if (isLooked && status.unfinishedCount === 0) return checkCopies(world, judge)
    lastPass = status.lastPass ?? {}
    leader.trigger('verify')
  }
  throw new Violation('liveness', `copies are not brought back: ${unfinished}`)
}

async function checkCopies(world: World, judge: Actor): Promise<void> {
  for (const { ledgerId: id, end, quorum, ensembles } of world.view.all) {
    if (end === undefined || end.lastEntryId < 0) continue
    const held = new Map<BookieId, ReadonlySet<number>>()
    const last = end.lastEntryId
    await finished(world, judge, 'who asks what nodes have', async () => {
      for (const node of world.nodes) held.set(node.bookieId, await heldBy(judge, node, { id, last }))
    })
    for (let entry = 0; entry <= last; entry++) {
      for (const member of membersOf(entryId(entry), quorum, ensembles)) {
        if (held.get(member)?.has(entry) === true) continue
        throw new Violation('copies-whole', `${member} should have ${id}:${entry}, and does not`)
      }
    }
  }
}

/** Its index may have to be opened again first. */
async function heldBy(
  judge: Actor,
  { bookie }: SimNode,
  ledger: { id: LedgerId; last: EntryId }
): Promise<ReadonlySet<number>> {
  const held = new Set<number>()
  if (bookie === undefined) return held
  const range = { ledgerId: ledger.id, first: entryId(0), last: ledger.last, verify: true }
  const answer = await judge.untilDone(() => bookie.inventory(range), [])
  for (const { first, last } of answer?.held ?? []) for (let id: number = first; id <= last; id++) held.add(id)
  return held
}

async function readAll(world: World, judge: Actor, { id, last }: { id: LedgerId; last: number }): Promise<void> {
  const { history } = world
  const reader = await judge.untilDone(() => judge.client.open(id), ['NO_SUCH_LEDGER'])
  for (let first = 0; reader !== undefined && first <= last;) {
    const limits = { first: entryId(first), last: entryId(last), bytesMax: 100_000, entriesMax: 1_000 }
    const entries = await judge.untilDone(() => reader.read(limits), ['NO_SUCH_ENTRY', 'CORRUPT'])
    if (entries === undefined) {
      history.violate('acked-kept', `${id}:${first} cannot be read, and the ledger ends at ${last}`)
      return
    }
    for (const entry of entries) {
      history.shown(id, { entryId: entry.entryId, tag: tagOf(entry.payload) }, judge.name)
    }
    first += entries.length
  }
}

/** A node still has what it answered to have: asked for one stretch after the other. Its index may have to be opened again first. */
async function checkKept(world: World, judge: Actor, node: SimNode): Promise<void> {
  const { history } = world
  if (node.isSuspect) return // its disk was tampered with: it may say 'unknown'
  const { ensembleSize, writeQuorum } = world.plan.quorum
  const every = writeQuorum < ensembleSize ? ensembleSize : 1 // of the entries that fall to one place
  for (const { ledgerId: id, entryIds } of node.watch.kept) {
    if (history.isDeleting(id)) continue
    for (const { first, last } of stretchesOf(entryIds, every)) {
      const limits = { every, bytesMax: KEPT_BYTES_MAX, entriesMax: KEPT_ENTRIES_MAX, fence: false }
      const ask = (next: number) =>
        node.bookie?.read({ ledgerId: id, first: entryId(next), last: entryId(last), ...limits })
      for (let next = first; next <= last;) {
        let answer = await ask(next)
        for (let i = 0; i < KEPT_ATTEMPTS && answer?.entries.length === 0 && answer.end === 'unknown'; i++) {
          await judge.pause(KEPT_PAUSE_MS)
          answer = await ask(next)
        }
        const count = answer?.entries.length ?? 0
        if (count === 0) {
          const what = `${node.bookieId} answers '${answer?.end ?? 'down'}' for ${id}:${next}, which it took`
          history.violate('node-keeps', what)
          return
        }
        next += count * every
      }
    }
  }
}

/** Ids, each once and in any order, as stretches of every so manieth without a gap. */
function stretchesOf(ids: readonly number[], every: number): { first: number; last: number }[] {
  const stretches: { first: number; last: number }[] = []
  const open = new Map<number, { first: number; last: number }>()
  for (const id of [...ids].sort((a, b) => a - b)) {
    const before = open.get(id % every)
    if (before?.last === id - every) {
      before.last = id
      continue
    }
    const begun = { first: id, last: id }
    open.set(id % every, begun)
    stretches.push(begun)
  }
  return stretches
}

/** Deletes everything; within some rounds of housekeeping no node holds anything. */
async function empty(world: World, judge: Actor, ids: readonly LedgerId[]): Promise<void> {
  await finished(world, judge, 'deleting', async () => {
    for (const id of ids) await judge.delete(id)
  })
  let held: string[] = []
  for (const fromMs = world.scheduler.nowMs; world.scheduler.nowMs < fromMs + LIVENESS_MS;) {
    await world.scheduler.run(() => false, world.scheduler.nowMs + SPACE_CHECK_MS)
    held = world.nodes.flatMap(holdings)
    if (held.length === 0) return
  }
  throw new Violation('space-returns', held.join('; '))
}

/** What a node holds, as a line; none if it holds nothing. */
function holdings(node: SimNode): string[] {
  const liveBytes = node.bookie?.stats().liveBytes ?? 0
  const rows = node.volume.index.scan({ from: Buffer.from('l'), to: Buffer.from('m'), limit: 10 })
  if (liveBytes === 0 && rows.length === 0) return []
  const ledgers = rows.map(({ key }) => ledgerId(Number(key.readBigUInt64BE(1))))
  return [`${node.bookieId} holds ${liveBytes} bytes, ledgers ${ledgers.join(', ')}`]
}

async function finished(world: World, actor: Actor, what: string, run: () => Promise<void>): Promise<void> {
  let isDone = false
  actor.begin(async () => {
    await run()
    isDone = true
  })
  await within(
    world,
    () => isDone,
    () => `${what} did not finish`
  )
}

async function within(world: World, isDone: () => boolean, what: () => string): Promise<void> {
  const end = await world.scheduler.run(isDone, world.scheduler.nowMs + LIVENESS_MS)
  if (end !== 'done') throw new Violation('liveness', what())
}
