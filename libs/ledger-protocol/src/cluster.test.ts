import { strict as assert } from 'node:assert'
import { bookieId, entryId, NO_ENTRY, type BookieId, type EntryId } from '@strata/base'
import { describe, test } from 'vitest'
import { LedgerRecovery } from './ledger-recovery.ts'
import { LedgerWriter, type EnsembleChange, type Replacement } from './ledger-writer.ts'
import { membersOf, withEnsemble, type Ensemble, type EntryAdd, type LedgerEnd, type QuorumConfig } from './quorum.ts'
import { chooseReplacements } from './replacements.ts'
import { SlowBudget } from './slow-members.ts'
import { LEDGER, Node, World, type Bugs } from './testing/simulated-nodes.ts'
import type { WriterMember } from './writer-member.ts'

/** What the metadata holds of the ledger. */
interface Metadata {
  version: number
  state: 'open' | 'in-recovery' | 'closed'
  ensembles: readonly Ensemble[]
  end?: LedgerEnd
}

const WRITER_TIMES = { retryMsMin: 100, retryMsMax: 400, stalledMsMax: 1_500, slowMs: 300, slowPauseMs: 500 }

/** One ledger's life: a writer, crashes, changes of the ensemble, and recoverers that race with it and each other. */
class Cluster {
  readonly world: World
  readonly quorum: QuorumConfig
  readonly nodes: Node[]
  readonly metadata: Metadata
  /** The metadata as the writer last saw it. */
  #known: { version: number; ensembles: readonly Ensemble[] }
  readonly added: EntryAdd[] = []
  readonly #streams = new Map<WriterMember, { lastMs: number; life: number; isBroken: boolean }>()
  readonly #writer: LedgerWriter
  isWriterDead = false
  isClosing = false
  confirmed = NO_ENTRY
  lostDisks = 0
  readonly seen = {
    changes: 0,
    merged: 0,
    refused: 0,
    rejoined: 0,
    slow: 0,
    degraded: 0,
    closedByWriter: 0,
    replacedByRecovery: 0,
    recoverersCrashed: 0,
    racesLost: 0,
    hints: 0
  }

  constructor(world: World) {
    this.world = world
    const ensembleSize = world.between(1, 5)
    const writeQuorum = world.between(1, ensembleSize)
    this.quorum = { ensembleSize, writeQuorum, ackQuorum: world.between(1, writeQuorum) }
    this.nodes = Array.from(
      { length: ensembleSize + world.between(0, 2) },
      (_, i) => new Node(world, bookieId(`n${i}`))
    )
    const bookies = this.nodes.slice(0, ensembleSize).map(({ id }) => id)
    this.metadata = { version: 1, state: 'open', ensembles: [{ firstEntryId: entryId(0), bookies }] }
    this.#known = { ...this.metadata }
    const slowBudget = new SlowBudget({ burst: 3, perMs: 500 })
    this.#writer = new LedgerWriter({
      ledgerId: LEDGER,
      quorum: this.quorum,
      bookies,
      sink: this,
      times: WRITER_TIMES,
      slowBudget
    })
  }

  node(id: BookieId): Node {
    return this.nodes.find(node => node.id === id) ?? assert.fail()
  }

  get #isWriting(): boolean {
    return !this.isWriterDead && !this.isClosing && this.#writer.failure === undefined
  }

  append(): void {
    if (this.#isWriting) this.#writer.append(Buffer.from(`value ${this.#writer.nextEntryId}`))
  }

  tick(): void {
    if (this.#isWriting) this.#writer.tick(this.world.nowMs)
  }

  // -------------------------------------------------------- the writer's shell

  /** What reaches a writer that died does nothing. */
  #toWriter(delayMs: number, run: () => void): void {
    this.world.after(delayMs, () => {
      if (!this.isWriterDead) run()
    })
  }

  /** A stream keeps order; once it lost something, or its node crashed, nothing more comes through. */
  sendAdd(member: WriterMember, add: EntryAdd): void {
    const { world } = this
    if (this.added[add.entryId] === undefined) this.added[add.entryId] = add
    const node = this.node(member.bookieId)
    const stream = this.#streams.get(member) ?? { lastMs: 0, life: node.life, isBroken: node.isDown }
    this.#streams.set(member, stream)
    if (world.isStormy && world.random() < 0.004) stream.isBroken = true
    const broken = (): void => member.onAddFailed(LEDGER, add.entryId, 'UNREACHABLE')
    if (stream.isBroken) return this.#toWriter(100, broken)
    stream.lastMs = Math.max(stream.lastMs, world.nowMs + world.between(0, 20))
    world.after(stream.lastMs - world.nowMs, () => {
      if (stream.isBroken || stream.life !== node.life) return this.#toWriter(100, broken)
      node.add(add, result => {
        this.#toWriter(world.between(0, 20), () => {
          if (result === 'added') member.onAdded(LEDGER, add.entryId)
          else member.onAddFailed(LEDGER, add.entryId, result)
        })
      })
      this.#toWriter(200, () => {
        if (stream.life !== node.life) broken()
      })
    })
  }

  sendLac(member: WriterMember, lac: EntryId): void {
    const node = this.node(member.bookieId)
    this.seen.hints += 1
    const told = this.world.bugs.tellUnconfirmed === true ? entryId(this.#writer.nextEntryId - 1) : lac
    this.world.deliver(() => {
      if (!node.isDown) node.tell(told)
    })
  }

  onConfirmed(lac: EntryId): void {
    assert(lac > this.confirmed)
    assert(!this.isWriterDead)
    this.confirmed = lac
    if (this.#known.ensembles.at(-1)?.bookies.some(id => this.node(id).isDown) === true) this.seen.degraded += 1
    this.check()
  }

  proposeChange(change: EnsembleChange): void {
    this.#toWriter(this.world.between(0, 20), () => this.#decideChange(change))
  }

  #decideChange(change: EnsembleChange): void {
    const { world } = this
    const replacements = this.#replacementsFor(change)
    if (replacements.length === 0) return this.#writer.onChangeDecided([])
    const bookies = [...this.#writer.bookies]
    for (const { index, bookieId: id } of replacements) bookies[index] = id
    if (world.bugs.writeBeforeChange === true) this.#writer.onChangeDecided(replacements)
    this.#toWriter(world.between(1, 60), () => {
      const { metadata } = this
      if (metadata.version !== this.#known.version && world.bugs.changeWithoutCompare !== true) {
        this.#conflict(change)
        return
      }
      metadata.ensembles = withEnsemble(metadata.ensembles, { firstEntryId: change.firstEntryId, bookies })
      metadata.version += 1
      this.#known = { version: metadata.version, ensembles: metadata.ensembles }
      this.seen.changes += 1
      this.seen.slow += change.failed.filter(({ failure }) => failure === 'SLOW').length
      if (world.bugs.writeBeforeChange === true) return
      this.#toWriter(world.between(0, 30), () => this.#writer.onChangeDecided(replacements))
    })
  }

  #conflict(change: EnsembleChange): void {
    const { version, state, ensembles } = this.metadata
    if (state !== 'open') {
      this.seen.refused += 1
      return this.#writer.onChangeRefused('FENCED')
    }
    assert.deepEqual(ensembles.at(-1), this.#known.ensembles.at(-1), 'nobody else changes the last ensemble')
    this.seen.merged += 1
    this.#known = { version, ensembles }
    this.#decideChange(change)
  }

  #replacementsFor(change: EnsembleChange): Replacement[] {
    const up = this.nodes.filter(node => node.hasAuthority && !node.isDown && !node.isReadOnly)
    const { bookies } = this.#writer
    const writable = up.map(({ id }) => ({ bookieId: id }))
    const chosen = chooseReplacements(change, { bookies, quorum: this.quorum, writable, seed: this.world.random() })
    this.seen.rejoined += chosen.filter(({ index, bookieId: id }) => bookies[index] === id).length
    return chosen
  }

  onFailed(): void {
    assert.notEqual(this.#writer.failure, undefined)
  }

  close(): void {
    if (!this.#isWriting) return
    if (!this.#writer.canFinish) return this.#toWriter(50, () => this.close())
    this.isClosing = true
    const end = this.#writer.finish()
    const attempt = (): void => {
      const { metadata } = this
      if (metadata.state !== 'open') return
      if (metadata.version !== this.#known.version) {
        this.#known = { version: metadata.version, ensembles: metadata.ensembles }
        return this.#toWriter(this.world.between(1, 30), attempt)
      }
      this.seen.closedByWriter += 1
      this.#setClosed(end, metadata.ensembles)
    }
    this.#toWriter(this.world.between(1, 60), attempt)
  }

  /** Somebody changes an earlier ensemble, as repair does. */
  repair(): void {
    if (this.metadata.state !== 'closed') this.metadata.version += 1
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
    let isAlive = true
    const again = (): void => {
      isAlive = false
      world.after(world.between(50, 400), () => this.recover())
    }
    if (world.isStormy && world.random() < 0.3) {
      world.after(world.between(0, 200), () => {
        if (!isAlive) return
        this.seen.recoverersCrashed += 1
        again()
      })
    }
    /** What is told to, or wanted by, a recoverer that died. */
    const ifAlive = (run: () => void) => (): void => {
      if (isAlive) run()
    }
    const recovery = new LedgerRecovery({
      ledgerId: LEDGER,
      quorum: this.quorum,
      ensembles: metadata.ensembles,
      sink: {
        fence: id => {
          const answer = ifAlive(() => recovery.onFenced(id, this.node(id).lac()))
          this.#fencing(
            id,
            answer,
            ifAlive(() => recovery.onUnreachable(id))
          )
        },
        read: (id, first) => {
          const answer = ifAlive(() => recovery.onRead(id, first, this.node(id).read(first)))
          this.#fencing(
            id,
            answer,
            ifAlive(() => recovery.onUnreachable(id))
          )
        },
        writeBack: (id, add) => {
          const written = ifAlive(() => recovery.onWrittenBack(id, add.entryId))
          const failed = ifAlive(() => recovery.onNotWritten(id, add.entryId))
          const write = (node: Node, done: () => void): void =>
            node.add(add, it => (it === 'added' ? done() : failed()))
          this.#ask(write, id, written, failed)
        },
        replacementFor: (_, { ensemble, failed }) =>
          this.nodes.find(node => !node.isDown && !ensemble.includes(node.id) && !failed.has(node.id))?.id,
        onEnd: (end, ensembles) => {
          world.after(
            world.between(0, 60),
            ifAlive(() => {
              if (metadata.version === version || world.bugs.closeWithoutCompare === true) {
                if (ensembles !== metadata.ensembles) this.seen.replacedByRecovery += 1
                this.#setClosed(end, world.bugs.forgetReplacements === true ? metadata.ensembles : ensembles)
                isAlive = false
              } else {
                this.seen.racesLost += 1
                again() // who loses adopts the winner's end, if there is one
              }
            })
          )
        },
        onBlocked: again
      }
    })
    recovery.start()
  }

  #setClosed(end: LedgerEnd, ensembles: readonly Ensemble[]): void {
    const { metadata } = this
    if (metadata.end !== undefined) assert.deepEqual(end, metadata.end, 'closed at L is L for everyone')
    metadata.version += 1
    metadata.state = 'closed'
    metadata.ensembles = ensembles
    metadata.end = end
    this.check()
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
    const node = this.node(id)
    this.world.after(600, settle(failed))
    this.world.deliver(() => {
      if (!node.isDown) request(node, () => this.world.deliver(settle(answered)))
    })
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

/** @throws AssertionError when a promise of the ledger is broken. */
function simulate(seed: number, bugs: Bugs = {}): Cluster {
  const world = new World(seed, bugs)
  const cluster = new Cluster(world)
  const { nodes, quorum } = cluster
  const anyNode = (): Node => nodes[world.between(0, nodes.length - 1)] ?? assert.fail()
  const sometime = (run: () => void): void => world.after(world.between(0, 2_500), run)
  const appends = world.between(0, 80)
  for (let i = 0; i < appends; i++) world.after(world.between(0, 2_000), () => cluster.append())
  for (let atMs = 0; atMs < 3_000; atMs += 100) world.after(atMs, () => cluster.tick())
  for (let i = 0; i < 3; i++) sometime(() => anyNode().crash())
  for (let i = world.between(0, 3); i > 0; i--) sometime(() => anyNode().stopFor(world.between(50, 1_500)))
  for (let i = world.between(0, 4); i > 0; i--) sometime(() => anyNode().refuseFor(world.between(50, 2_500)))
  if (world.random() < 0.3) anyNode().isSlow = true
  for (let i = world.between(0, 3); i > 0; i--) sometime(() => cluster.repair())
  if (quorum.ackQuorum > 1 && world.random() < 0.3) {
    cluster.lostDisks = 1
    sometime(() => anyNode().loseDisk())
  }
  if (world.random() < 0.2) sometime(() => (cluster.isWriterDead = true))
  if (world.random() < 0.3) sometime(() => cluster.close())
  const recoverers = world.between(1, 3)
  const [from, to] = world.random() < 0.5 ? [0, 2_500] : [2_000, 2_500]
  for (let i = 0; i < recoverers; i++) world.after(world.between(from, to), () => cluster.recover())
  world.run(4_500)
  world.isStormy = false
  world.run(25_000)
  // A disk that is lost can leave too few nodes that may speak: then the ledger stays in recovery, and loses nothing.
  if (cluster.lostDisks === 0 || cluster.metadata.end !== undefined) cluster.checkClosed()
  return cluster
}

const SEEDS = 1_000

describe('a ledger in a cluster', () => {
  test('no confirmed entry is lost, and every closed ledger is whole', () => {
    const sum = { confirmed: 0, closed: 0, past: 0 }
    const reached: Record<string, number> = {}
    for (let seed = 0; seed < SEEDS; seed++) {
      const { confirmed, metadata, seen } = attempt(seed)
      sum.confirmed += confirmed + 1
      sum.closed += metadata.end === undefined ? 0 : 1
      sum.past += (metadata.end?.lastEntryId ?? NO_ENTRY) > confirmed ? 1 : 0
      for (const [what, count] of Object.entries(seen)) reached[what] = (reached[what] ?? 0) + count
    }
    // The weather must reach the interesting places, or the test proves nothing.
    assert(sum.confirmed > SEEDS * 10 && sum.closed > SEEDS * 0.9 && sum.past > SEEDS / 10, JSON.stringify(sum))
    for (const [what, count] of Object.entries(reached)) {
      assert(count > SEEDS / 150, `${what}: ${count} of ${JSON.stringify(reached)}`)
    }
  })

  const mutants: Bugs[] = [
    { ackBeforeSync: true },
    { ignoreFence: true },
    { fenceNotDurable: true },
    { answerFenceAtOnce: true },
    { sayNoAfterLoss: true },
    { changeWithoutCompare: true },
    { writeBeforeChange: true },
    { closeWithoutCompare: true },
    { forgetReplacements: true },
    { tellUnconfirmed: true }
  ]
  for (const bugs of mutants) {
    test(`is broken, and seen to be, with ${Object.keys(bugs).join()}`, () => {
      for (let seed = 0; seed < SEEDS * 8; seed++) {
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

function attempt(seed: number): Cluster {
  try {
    return simulate(seed)
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error })
  }
}
