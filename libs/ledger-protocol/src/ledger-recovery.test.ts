import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, NO_ENTRY, type BookieId, type EntryId } from '@strata/base'
import { describe, test } from 'vitest'
import { entryDigest } from './entry-digest.ts'
import { LedgerRecovery, type Blocker, type RecoveryRead, type RecoverySink } from './ledger-recovery.ts'
import type { Ensemble, EntryAdd, LedgerEnd, QuorumConfig, StoredEntry } from './quorum.ts'

const LEDGER = ledgerId(3)
const THREE: QuorumConfig = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(bookieId) as [BookieId, BookieId, BookieId, BookieId]

function entryOf(id: number, lac = NO_ENTRY as number): StoredEntry {
  const payload = Buffer.from(`entry ${id}`)
  const fields = { ledgerId: LEDGER, entryId: entryId(id), lac: entryId(lac), lengthBytes: 7 * (id + 1), payload }
  return { ...fields, crc32c: entryDigest(fields) }
}

/** A node in a test's hand: what it holds, what it refuses, and whether it may say no. */
interface Holder {
  readonly entries: Map<number, StoredEntry>
  lac: number
  isUp: boolean
  takesWrites: boolean
  hasAuthority: boolean
  wrongEntry?: number
  isSilent?: boolean
}

const holder = (ids: readonly number[], options: Partial<Holder> = {}): Holder => ({
  entries: new Map(ids.map(id => [id, entryOf(id)])),
  lac: NO_ENTRY,
  isUp: true,
  takesWrites: true,
  hasAuthority: true,
  ...options
})

/** Answers every order at once, unless a test holds write-backs back. */
class Scene implements RecoverySink {
  readonly nodes: Map<BookieId, Holder>
  readonly spares: BookieId[]
  readonly written: { bookie: BookieId; id: EntryId }[] = []
  readonly reads: { bookie: BookieId; first: EntryId }[] = []
  readonly recovery: LedgerRecovery
  held: (() => void)[] | undefined
  end: LedgerEnd | undefined
  ensembles: readonly Ensemble[] = []
  blockers: readonly Blocker[] | undefined

  constructor(
    nodes: [BookieId, Holder][],
    options: { spares?: BookieId[]; quorum?: QuorumConfig; ensembles?: Ensemble[] } = {}
  ) {
    this.nodes = new Map(nodes)
    this.spares = options.spares ?? []
    const { quorum = THREE, ensembles = [{ firstEntryId: entryId(0), bookies: [A, B, C] }] } = options
    this.recovery = new LedgerRecovery({ ledgerId: LEDGER, quorum, ensembles, sink: this })
  }

  run(): this {
    this.recovery.start()
    return this
  }

  #node(bookie: BookieId): Holder {
    return this.nodes.get(bookie) ?? assert.fail()
  }

  fence(bookie: BookieId): void {
    const node = this.#node(bookie)
    if (node.isSilent === true) return
    if (node.isUp) this.recovery.onFenced(bookie, entryId(node.lac))
    else this.recovery.onUnreachable(bookie)
  }

  read(bookie: BookieId, first: EntryId): void {
    this.reads.push({ bookie, first })
    const node = this.#node(bookie)
    if (node.isSilent === true) return
    if (node.isUp) this.recovery.onRead(bookie, first, this.#answer(node, first))
    else this.recovery.onUnreachable(bookie)
  }

  #answer(node: Holder, first: EntryId): RecoveryRead {
    const entries: StoredEntry[] = []
    for (let id: number = first; entries.length < 10; id++) {
      const entry = node.entries.get(id)
      if (entry === undefined) return { entries, end: node.hasAuthority ? 'absent' : 'unknown' }
      entries.push(node.wrongEntry === id ? { ...entry, payload: Buffer.from('damaged') } : entry)
    }
    return { entries, end: 'limit' }
  }

  writeBack(bookie: BookieId, add: EntryAdd): void {
    const answer = (): void => {
      const node = this.#node(bookie)
      if (!node.isUp || !node.takesWrites) return this.recovery.onNotWritten(bookie, add.entryId)
      node.entries.set(add.entryId, add)
      this.written.push({ bookie, id: add.entryId })
      this.recovery.onWrittenBack(bookie, add.entryId)
    }
    if (this.held === undefined) answer()
    else this.held.push(answer)
  }

  replacementFor(): BookieId | undefined {
    return this.spares.shift()
  }

  get hasEnded(): boolean {
    return this.end !== undefined
  }

  onEnd(end: LedgerEnd, ensembles: readonly Ensemble[]): void {
    assert(this.end === undefined && this.blockers === undefined)
    this.end = end
    this.ensembles = ensembles
  }

  onBlocked(blockers: readonly Blocker[]): void {
    assert(this.end === undefined && this.blockers === undefined)
    this.blockers = blockers
  }
}

const down = (): Holder => holder([], { isUp: false })

describe('LedgerRecovery', () => {
  test('writes what one node has back to an ack quorum, and ends behind it', () => {
    const scene = new Scene([
      [A, holder([0, 1, 2], { lac: 0 })],
      [B, holder([0, 1], { lac: 0 })],
      [C, holder([0], { lac: NO_ENTRY })]
    ]).run()
    assert.deepEqual(scene.end, { lastEntryId: 2, lengthBytes: 21 })
    assert.deepEqual(new Set(scene.written.map(({ id }) => id)), new Set([2]))
    assert.deepEqual(scene.ensembles, [{ firstEntryId: 0, bookies: [A, B, C] }])
  })

  test('reads from the LAC on, or from the entry before the last ensemble, however long the ledger is', () => {
    const long = Array.from({ length: 50 }, (_, i) => 1_000_000 + i)
    const scene = new Scene(
      [A, B, C].map(name => [name, holder(long, { lac: 1_000_040 })]),
      { ensembles: [{ firstEntryId: entryId(0), bookies: [A, B, C] }] }
    ).run()
    assert.equal(scene.end?.lastEntryId, 1_000_049)
    assert(scene.reads.every(({ first }) => first >= 1_000_040))
    const changed = new Scene(
      [A, B, C, D].map(name => [name, holder(long)]),
      {
        ensembles: [
          { firstEntryId: entryId(0), bookies: [A, B, C] },
          { firstEntryId: entryId(1_000_030), bookies: [A, B, D] }
        ]
      }
    ).run()
    assert.equal(changed.end?.lastEntryId, 1_000_049)
    assert(changed.reads.every(({ first }) => first >= 1_000_029))
  })

  test('an entry that a node may have had, or gave damaged, is not absent', () => {
    for (const doubtful of [holder([0], { hasAuthority: false }), holder([0, 1], { wrongEntry: 1 })]) {
      const scene = new Scene([
        [A, holder([0], { lac: NO_ENTRY })],
        [B, doubtful],
        [C, down()]
      ]).run()
      assert.equal(scene.end, undefined)
      assert.deepEqual(scene.blockers?.find(({ bookieId: id }) => id === B)?.reason, 'unknown')
    }
  })

  test('a confirmed entry that is nowhere blocks, though every node says with authority that it never had it', () => {
    const scene = new Scene([
      [A, holder([0], { lac: 1 })],
      [B, holder([0])],
      [C, holder([0])]
    ]).run()
    assert.equal(scene.end, undefined)
    assert(scene.blockers?.every(({ reason }) => reason === 'confirmed entry absent'))
  })

  test('brings in another node where too few take write-backs, from the first entry on that is not settled', () => {
    // Entry 1 is on two nodes already; entry 2 on one, and of the others one is down and one is full.
    const scene = new Scene(
      [
        [A, holder([0, 1, 2], { lac: 0 })],
        [B, holder([0, 1], { takesWrites: false })],
        [C, down()],
        [D, holder([])]
      ],
      { spares: [D] }
    ).run()
    assert.deepEqual(scene.end, { lastEntryId: 2, lengthBytes: 21 })
    assert.deepEqual(scene.ensembles, [
      { firstEntryId: 0, bookies: [A, B, C] },
      { firstEntryId: 2, bookies: [A, D, C] }
    ])
    assert.deepEqual(scene.written, [{ bookie: D, id: 2 }])
  })

  test('what was on enough nodes is counted anew when one of them has lost its place before it', () => {
    // Entry 1 is on A alone, entry 2 on A and B. B is full: D comes from entry 1 on, so B's copy of 2 counts no more.
    const onBoth = holder([0, 2], { takesWrites: false })
    const scene = new Scene(
      [
        [A, holder([0, 1, 2], { lac: 0 })],
        [B, onBoth],
        [C, down()],
        [D, holder([])]
      ],
      { spares: [D] }
    ).run()
    assert.deepEqual(scene.end, { lastEntryId: 2, lengthBytes: 21 })
    assert.deepEqual(scene.ensembles.at(-1), { firstEntryId: 1, bookies: [A, D, C] })
    const written = scene.written.map(({ bookie, id }) => `${bookie}: ${id}`).sort()
    assert.deepEqual(written, ['d: 1', 'd: 2'])
  })

  test('a node that was brought in and fails is replaced as well; where nobody is left it blocks', () => {
    const nodes = (): [BookieId, Holder][] => [
      [A, holder([0, 1], { lac: 0 })],
      [B, holder([0], { takesWrites: false })],
      [C, down()],
      [D, holder([], { takesWrites: false })]
    ]
    const alone = new Scene(nodes(), { spares: [D] }).run()
    assert.equal(alone.end, undefined)
    assert(alone.blockers?.some(({ bookieId: id, reason }) => id === D && reason === 'not written'))
    const last = bookieId('e')
    const more = new Scene([...nodes(), [last, holder([])]], { spares: [D, last] }).run()
    assert.equal(more.end?.lastEntryId, 1)
    assert(more.ensembles.at(-1)?.bookies.includes(last))
  })

  test('a node that never answers holds nobody up', () => {
    const scene = new Scene([
      [A, holder([0, 1, 2], { lac: 0 })],
      [B, holder([0])],
      [C, holder([], { isSilent: true })]
    ]).run()
    assert.equal(scene.end?.lastEntryId, 2)
    assert.deepEqual(
      scene.written.map(({ bookie, id }) => `${bookie}: ${id}`),
      ['b: 1', 'b: 2']
    )
  })

  test('does not end before its last write-back is synced', () => {
    const scene = new Scene([
      [A, holder([0, 1], { lac: 0 })],
      [B, holder([0])],
      [C, holder([0])]
    ])
    scene.held = []
    scene.run()
    assert(!scene.hasEnded)
    for (const answer of scene.held) answer()
    assert.equal(scene.end?.lastEntryId, 1)
  })

  test('many entries in flight, all short of copies, are settled', () => {
    const count = 5_000
    const ids = Array.from({ length: count }, (_, i) => i)
    const scene = new Scene([
      [A, holder(ids)],
      [B, holder([])],
      [C, holder([])]
    ]).run()
    assert.equal(scene.end?.lastEntryId, count - 1)
    assert(scene.written.length >= count)
    // Once for each answer of the node that has them, not for each entry.
    for (const empty of [B, C]) assert(scene.reads.filter(({ bookie }) => bookie === empty).length <= count / 10 + 1)
  })
})
