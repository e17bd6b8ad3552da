import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, NO_ENTRY, type BookieId, type EntryId } from '@strata/base'
import { describe, test } from 'vitest'
import { LedgerRecovery, type RecoveryRead } from './ledger-recovery.ts'
import { LedgerWriter, type EnsembleChange, type WriterMember } from './ledger-writer.ts'
import { choosePlacement } from './placement.ts'
import {
  membersOf,
  type Ensemble,
  type EntryAdd,
  type LedgerEnd,
  type QuorumConfig,
  type StoredEntry
} from './quorum.ts'

/** Ways to break a node or a shell, each of which the checks must catch. */
interface Bugs {
  readonly ackBeforeSync?: boolean
  readonly ignoreFence?: boolean
  readonly fenceNotDurable?: boolean
  readonly answerFenceAtOnce?: boolean
  readonly sayNoAfterLoss?: boolean
  readonly changeWithoutCompare?: boolean
}

const LEDGER = ledgerId(1)

/** Seeded chance and an agenda: all that happens follows from the seed. */
class World {
  readonly bugs: Bugs
  nowMs = 0
  isStormy = true
  #state: number
  #sequence = 0
  #agenda: { atMs: number; sequence: number; run: () => void }[] = []

  constructor(seed: number, bugs: Bugs) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
    this.bugs = bugs
  }

  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  between(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1))
  }

  after(delayMs: number, run: () => void): void {
    this.#agenda.push({ atMs: this.nowMs + delayMs, sequence: this.#sequence++, run })
  }

  /** Loses some messages while the weather is bad. */
  deliver(run: () => void): void {
    if (!this.isStormy || this.random() > 0.05) this.after(this.between(0, this.isStormy ? 40 : 2), run)
  }

  run(untilMs: number): void {
    for (;;) {
      this.#agenda.sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence)
      const next = this.#agenda[0]
      if (next === undefined || next.atMs > untilMs) break
      this.#agenda.shift()
      this.nowMs = next.atMs
      next.run()
    }
    this.nowMs = untilMs
  }
}

interface Disk {
  isFenced: boolean
  readonly entries: Map<EntryId, EntryAdd>
}

const copyOf = (disk: Disk): Disk => ({ isFenced: disk.isFenced, entries: new Map(disk.entries) })

class Node {
  readonly id: BookieId
  readonly #world: World
  disk: Disk = { isFenced: false, entries: new Map() }
  #memory: Disk = { isFenced: false, entries: new Map() }
  hasAuthority = true
  /** Raised by each crash: what belongs to an earlier life is answered no more. */
  life = 0

  constructor(world: World, id: BookieId) {
    this.#world = world
    this.id = id
  }

  add(add: EntryAdd, answer: (result: 'added' | 'FENCED') => void): void {
    if (this.#memory.isFenced && !add.recovery && this.#world.bugs.ignoreFence !== true) return answer('FENCED')
    const before = this.#memory.entries.get(add.entryId)
    assert(before === undefined || before.crc32c === add.crc32c, 'an entry id never carries other bytes')
    this.#memory.entries.set(add.entryId, add)
    if (this.#world.bugs.ackBeforeSync === true) answer('added')
    else this.#sync(() => answer('added'))
  }

  fence(answer: () => void): void {
    this.#memory.isFenced = true
    if (this.#world.bugs.answerFenceAtOnce === true) answer()
    else this.#sync(answer)
  }

  lac(): EntryId {
    return [...this.disk.entries.values()].reduce((lac, add) => (add.lac > lac ? add.lac : lac), NO_ENTRY)
  }

  read(first: EntryId): RecoveryRead {
    const entries: StoredEntry[] = []
    for (let id = first; ; id = entryId(id + 1)) {
      const add = this.disk.entries.get(id)
      if (add === undefined) return { entries, end: this.hasAuthority ? 'absent' : 'unknown' }
      if (entries.length === 3) return { entries, end: 'limit' }
      entries.push(add)
    }
  }

  /** What was not synced is gone. */
  crash(): void {
    this.life += 1
    this.#memory = copyOf(this.disk)
  }

  loseDisk(): void {
    this.life += 1
    this.hasAuthority = this.#world.bugs.sayNoAfterLoss === true
    this.disk = { isFenced: false, entries: new Map() }
    this.#memory = copyOf(this.disk)
  }

  #sync(done: () => void): void {
    const life = this.life
    const written = copyOf(this.#memory)
    this.#world.after(this.#world.between(1, 25), () => {
      if (life !== this.life) return
      const isFenced = this.#world.bugs.fenceNotDurable === true ? false : written.isFenced
      this.disk = {
        isFenced: this.disk.isFenced || isFenced,
        entries: new Map([...this.disk.entries, ...written.entries])
      }
      done()
    })
  }
}

/** One ledger's life: a writer, crashes, changes of the ensemble, and recoverers that race with it and each other. */
class Cluster {
  readonly world: World
  readonly quorum: QuorumConfig
  readonly nodes: Node[]
  readonly metadata: {
    version: number
    state: 'open' | 'in-recovery' | 'closed'
    ensembles: Ensemble[]
    end?: LedgerEnd
  }
  readonly added: EntryAdd[] = []
  readonly #streams = new Map<WriterMember, { lastMs: number; life: number; isBroken: boolean }>()
  readonly #writer: LedgerWriter
  confirmed = NO_ENTRY
  changes = 0
  lostDisks = 0

  constructor(world: World) {
    this.world = world
    const ensembleSize = world.between(1, 5)
    const writeQuorum = world.between(1, ensembleSize)
    this.quorum = { ensembleSize, writeQuorum, ackQuorum: world.between(1, writeQuorum) }
    this.nodes = Array.from({ length: ensembleSize + 2 }, (_, i) => new Node(world, bookieId(`n${i}`)))
    const bookies = this.nodes.slice(0, ensembleSize).map(({ id }) => id)
    this.metadata = { version: 1, state: 'open', ensembles: [{ firstEntryId: entryId(0), bookies }] }
    this.#writer = new LedgerWriter({ ledgerId: LEDGER, quorum: this.quorum, bookies, sink: this })
  }

  node(id: BookieId): Node {
    return this.nodes.find(node => node.id === id) ?? assert.fail()
  }

  append(): void {
    if (this.#writer.failure === undefined) this.#writer.append(Buffer.from(`value ${this.#writer.nextEntryId}`))
  }

  // -------------------------------------------------------- the writer's shell

  /** A stream keeps order; once it lost something, or its node crashed, nothing more comes through. */
  sendAdd(member: WriterMember, add: EntryAdd): void {
    const { world } = this
    if (this.added[add.entryId] === undefined) this.added[add.entryId] = add
    const node = this.node(member.bookieId)
    const stream = this.#streams.get(member) ?? { lastMs: 0, life: node.life, isBroken: false }
    this.#streams.set(member, stream)
    if (world.isStormy && world.random() < 0.004) stream.isBroken = true
    const broken = (): void => member.onAddFailed(LEDGER, add.entryId, 'UNREACHABLE')
    if (stream.isBroken) return world.after(100, broken)
    stream.lastMs = Math.max(stream.lastMs, world.nowMs + world.between(0, 20))
    world.after(stream.lastMs - world.nowMs, () => {
      if (stream.isBroken || stream.life !== node.life) return world.after(100, broken)
      node.add(add, result => {
        world.after(world.between(0, 20), () => {
          if (result === 'added') member.onAdded(LEDGER, add.entryId)
          else member.onAddFailed(LEDGER, add.entryId, result)
        })
      })
      world.after(200, () => {
        if (stream.life !== node.life) broken()
      })
    })
  }

  onConfirmed(lac: EntryId): void {
    assert(lac > this.confirmed)
    this.confirmed = lac
    this.check()
  }

  proposeChange(change: EnsembleChange): void {
    const version = this.metadata.version
    this.world.after(this.world.between(1, 60), () => {
      const { bugs } = this.world
      if (bugs.changeWithoutCompare !== true && (this.metadata.version !== version || this.metadata.state !== 'open')) {
        return this.#writer.onChangeRefused('FENCED')
      }
      const names = this.nodes.filter(({ hasAuthority }) => hasAuthority).map(({ id }) => id)
      const count = change.failed.length
      const chosen = choosePlacement({
        writable: names,
        excluded: this.#writer.bookies,
        count,
        seed: this.world.random()
      })
      if (chosen === undefined) return this.#writer.onChangeRefused('NO_REPLACEMENT')
      const bookies = [...this.#writer.bookies]
      const replacements = change.failed.map(({ index }, i) => ({ index, bookieId: chosen[i] ?? assert.fail() }))
      for (const { index, bookieId: id } of replacements) bookies[index] = id
      const kept = this.metadata.ensembles.filter(({ firstEntryId }) => firstEntryId < change.firstEntryId)
      this.metadata.ensembles = [...kept, { firstEntryId: change.firstEntryId, bookies }]
      this.metadata.version += 1
      this.changes += 1
      this.#writer.onEnsembleChanged(replacements)
    })
  }

  onFailed(): void {
    assert.notEqual(this.#writer.failure, undefined)
  }

  // -------------------------------------------------------- a recoverer's shell

  recover(): void {
    const { metadata, world } = this
    if (metadata.state === 'closed') return
    if (metadata.state === 'open') {
      metadata.state = 'in-recovery'
      metadata.version += 1
    }
    const version = metadata.version
    const again = (): void => world.after(world.between(50, 400), () => this.recover())
    const recovery = new LedgerRecovery({
      ledgerId: LEDGER,
      quorum: this.quorum,
      ensembles: metadata.ensembles,
      sink: {
        fence: id =>
          this.#fencing(
            id,
            () => recovery.onFenced(id, this.node(id).lac()),
            () => recovery.onUnreachable(id)
          ),
        read: (id, first) => {
          const answer = (): void => recovery.onRead(id, first, this.node(id).read(first))
          this.#fencing(id, answer, () => recovery.onUnreachable(id))
        },
        writeBack: (id, add) => {
          const written = (): void => recovery.onWrittenBack(id, add.entryId)
          this.#ask(
            (node, done) => node.add(add, done),
            id,
            written,
            () => recovery.onNotWritten(id, add.entryId)
          )
        },
        onEnd: end => {
          if (metadata.version !== version) return // who loses adopts the winner's end
          metadata.version += 1
          metadata.state = 'closed'
          metadata.end = end
          this.check()
        },
        onBlocked: again
      }
    })
    recovery.start()
  }

  #fencing(id: BookieId, answer: () => void, failed: () => void): void {
    this.#ask((node, done) => node.fence(done), id, answer, failed)
  }

  /** A request with a deadline: it is answered once, one way or the other. */
  #ask(request: (node: Node, done: () => void) => void, id: BookieId, answered: () => void, failed: () => void): void {
    let isSettled = false
    const settle = (run: () => void) => (): void => {
      if (isSettled) return
      isSettled = true
      run()
    }
    this.world.after(300, settle(failed))
    this.world.deliver(() => request(this.node(id), () => this.world.deliver(settle(answered))))
  }

  // -------------------------------------------------------- the promises

  check(): void {
    const { end } = this.metadata
    if (end === undefined) return
    assert(this.confirmed <= end.lastEntryId, `confirmed ${this.confirmed}, closed at ${end.lastEntryId}`)
  }

  checkClosed(): void {
    const { end, ensembles } = this.metadata
    assert(end !== undefined, 'liveness: the ledger is not closed')
    this.check()
    for (let id = entryId(0); id <= end.lastEntryId; id = entryId(id + 1)) {
      const copies = membersOf(id, this.quorum, ensembles).flatMap(
        member => this.node(member).disk.entries.get(id) ?? []
      )
      if (this.lostDisks === 0)
        assert(copies.length >= this.quorum.ackQuorum, `entry ${id} has ${copies.length} copies`)
      assert(copies.length > 0, `entry ${id} is nowhere`)
      for (const copy of copies) assert.equal(copy.crc32c, this.added[id]?.crc32c)
    }
    assert.equal(end.lengthBytes, this.added[end.lastEntryId]?.lengthBytes ?? 0)
  }
}

interface Outcome {
  readonly confirmed: number
  readonly changes: number
  readonly end: LedgerEnd | undefined
}

/** @throws AssertionError when a promise of the ledger is broken. */
function simulate(seed: number, bugs: Bugs = {}): Outcome {
  const world = new World(seed, bugs)
  const cluster = new Cluster(world)
  const { nodes, quorum } = cluster
  const appends = world.between(0, 80)
  for (let i = 0; i < appends; i++) world.after(world.between(0, 2_000), () => cluster.append())
  for (let i = 0; i < 4; i++) {
    const node = nodes[world.between(0, nodes.length - 1)]
    world.after(world.between(0, 2_500), () => node?.crash())
  }
  if (quorum.ackQuorum > 1 && world.random() < 0.3) {
    cluster.lostDisks = 1
    const node = nodes[world.between(0, nodes.length - 1)]
    world.after(world.between(0, 2_500), () => node?.loseDisk())
  }
  const recoverers = world.between(1, 3)
  for (let i = 0; i < recoverers; i++) world.after(world.between(0, 2_500), () => cluster.recover())
  world.run(3_000)
  world.isStormy = false
  world.run(20_000)
  // A disk that is lost can leave too few nodes that may speak: then the ledger stays in recovery, and loses nothing.
  if (cluster.lostDisks === 0 || cluster.metadata.end !== undefined) cluster.checkClosed()
  return { confirmed: cluster.confirmed, changes: cluster.changes, end: cluster.metadata.end }
}

const SEEDS = 1_500

describe('a ledger in a cluster', () => {
  test('no confirmed entry is lost, and every closed ledger is whole', () => {
    const seen = { confirmed: 0, changes: 0, closed: 0, past: 0 }
    for (let seed = 0; seed < SEEDS; seed++) {
      const outcome = attempt(seed)
      seen.confirmed += outcome.confirmed + 1
      seen.changes += outcome.changes
      seen.closed += outcome.end === undefined ? 0 : 1
      seen.past += (outcome.end?.lastEntryId ?? NO_ENTRY) > outcome.confirmed ? 1 : 0
    }
    // The weather must reach the interesting places, or the test proves nothing.
    assert(seen.confirmed > SEEDS * 5 && seen.changes > SEEDS / 10, JSON.stringify(seen))
    assert(seen.closed > SEEDS * 0.9 && seen.past > SEEDS / 10, JSON.stringify(seen))
  })

  const mutants: Bugs[] = [
    { ackBeforeSync: true },
    { ignoreFence: true },
    { fenceNotDurable: true },
    { answerFenceAtOnce: true },
    { sayNoAfterLoss: true },
    { changeWithoutCompare: true }
  ]
  for (const bugs of mutants) {
    test(`is broken, and seen to be, with ${Object.keys(bugs).join()}`, () => {
      for (let seed = 0; seed < SEEDS * 4; seed++) {
        try {
          simulate(seed, bugs)
        } catch (error) {
          assert(error instanceof assert.AssertionError)
          return
        }
      }
      assert.fail('no seed noticed')
    })
  }
})

function attempt(seed: number): Outcome {
  try {
    return simulate(seed)
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error })
  }
}
