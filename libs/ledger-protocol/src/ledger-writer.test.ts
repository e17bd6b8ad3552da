import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, NO_ENTRY, type BookieId, type EntryId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { hasValidDigest } from './entry-digest.ts'
import {
  LedgerWriter,
  type EnsembleChange,
  type LedgerWriterOptions,
  type WriterFailure,
  type WriterSink
} from './ledger-writer.ts'
import type { WriterMember } from './writer-member.ts'
import { SlowBudget } from './slow-members.ts'
import { everyWriteSetHas, writeSet, type EntryAdd, type QuorumConfig } from './quorum.ts'

const quorumArb = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.nat(), fc.nat())
  .map(([ensembleSize, a, b]): QuorumConfig => {
    const writeQuorum = 1 + (a % ensembleSize)
    return { ensembleSize, writeQuorum, ackQuorum: 1 + (b % writeQuorum) }
  })

const bookies = (count: number): BookieId[] => Array.from({ length: count }, (_, i) => bookieId(`b${i}`))

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

/** Everything the writer asked for, as it asked. */
class Recorder implements WriterSink {
  readonly sent: { member: WriterMember; add: EntryAdd }[] = []
  readonly confirmed: EntryId[] = []
  readonly changes: EnsembleChange[] = []
  decided = 0
  readonly hints: { bookieId: BookieId; lac: EntryId }[] = []
  failure: WriterFailure | undefined

  sendAdd(member: WriterMember, add: EntryAdd): void {
    this.sent.push({ member, add })
  }
  sendLac({ bookieId: id }: WriterMember, lac: EntryId): void {
    this.hints.push({ bookieId: id, lac })
  }
  onConfirmed(lac: EntryId): void {
    this.confirmed.push(lac)
  }
  proposeChange(change: EnsembleChange): void {
    this.changes.push(change)
  }
  onFailed(failure: WriterFailure): void {
    assert.equal(this.failure, undefined)
    this.failure = failure
  }

  get isChanging(): boolean {
    return this.changes.length > this.decided
  }

  /** The members that were last sent something, by place. */
  get members(): WriterMember[] {
    return [...new Map(this.sent.map(({ member }) => [member.index, member])).values()]
  }
}

function writerOf(
  quorum: QuorumConfig,
  options: Partial<LedgerWriterOptions> = {}
): { writer: LedgerWriter; seen: Recorder } {
  const seen = new Recorder()
  const names = bookies(quorum.ensembleSize)
  return { writer: new LedgerWriter({ ledgerId: ledgerId(5), quorum, bookies: names, sink: seen, ...options }), seen }
}

type Command =
  | { kind: 'append'; bytes: number }
  | { kind: 'ack'; of: number; count: number }
  | { kind: 'fail'; of: number }
  | { kind: 'change'; replaced: readonly boolean[] }
  | { kind: 'tick'; ms: number }

const commandArb: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), bytes: fc.nat(20) }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('ack' as const), of: fc.nat(), count: fc.integer({ min: 1, max: 4 }) })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail' as const), of: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      replaced: fc.oneof(fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), fc.constant<boolean[]>([]))
    })
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.nat(1_000) }) }
)

/** What the writer should believe, worked out anew from all that happened, entry by entry. */
class Model {
  readonly quorum: QuorumConfig
  /** Per place in the ensemble: which entries its present member has acknowledged, and whether it failed. */
  readonly places: { acked: Set<number>; isFailed: boolean }[]
  readonly sizes: number[] = []
  lac = -1

  constructor(quorum: QuorumConfig) {
    this.quorum = quorum
    this.places = Array.from({ length: quorum.ensembleSize }, () => ({ acked: new Set(), isFailed: false }))
  }

  get isCovered(): boolean {
    return everyWriteSetHas(this.quorum.ackQuorum, this.quorum, index => this.places[index]?.isFailed === false)
  }

  settle(isChanging: boolean): void {
    while (!isChanging && this.isCovered && this.lac + 1 < this.sizes.length) {
      const places = writeSet(entryId(this.lac + 1), this.quorum).map(index => this.places[index])
      const copies = places.filter(place => place?.isFailed === false && place.acked.has(this.lac + 1))
      if (copies.length < this.quorum.ackQuorum) return
      this.lac += 1
    }
  }
}

/** One writer and its model; compared after each command. */
class Play {
  readonly model: Model
  readonly writer: LedgerWriter
  readonly seen: Recorder
  readonly #quorum: QuorumConfig
  #spares = 0
  #nowMs = 0

  constructor(quorum: QuorumConfig) {
    this.#quorum = quorum
    this.model = new Model(quorum)
    const slowBudget = new SlowBudget({ burst: 2, perMs: 1_000 })
    const times = { slowMs: 800, slowPauseMs: 2_000, stalledMsMax: 1e9 }
    ;({ writer: this.writer, seen: this.seen } = writerOf(quorum, { times, slowBudget }))
  }

  do(command: Command): void {
    const { writer, seen, model } = this
    if (writer.failure !== undefined) return
    switch (command.kind) {
      case 'append':
        assert.equal(writer.append(Buffer.alloc(command.bytes, model.sizes.length)), model.sizes.length)
        model.sizes.push(command.bytes)
        break
      case 'ack':
        this.#acknowledge(command)
        break
      case 'fail': {
        const member = seen.members[command.of % this.#quorum.ensembleSize]
        const place = member && model.places[member.index]
        if (member === undefined || member.failure !== undefined || place === undefined) break // who has its place now was sent nothing yet
        place.isFailed = true
        member.onAddFailed(writer.ledgerId, entryId(0), 'UNREACHABLE')
        break
      }
      case 'change':
        this.#decide(command.replaced)
        break
      case 'tick':
        this.#nowMs += command.ms
        writer.tick(this.#nowMs)
        break
    }
    this.#compare()
  }

  #acknowledge({ of, count }: { of: number; count: number }): void {
    const { writer, seen, model } = this
    const all = [...new Set(seen.sent.map(({ member }) => member))] // replaced ones answer, too
    const member = all[of % all.length]
    if (member === undefined) return
    const sent = seen.sent.filter(each => each.member === member).map(({ add }) => add.entryId)
    const from = sent.findIndex(id => id > member.ackedThrough)
    if (from === -1) return
    const through = sent[Math.min(from + count, sent.length) - 1] ?? NO_ENTRY
    if (seen.members.includes(member) && member.failure === undefined) {
      for (const id of sent) if (id <= through) model.places[member.index]?.acked.add(id)
    }
    member.onAdded(writer.ledgerId, through)
  }

  #decide(replaced: readonly boolean[]): void {
    const { writer, seen, model } = this
    const change = seen.changes[seen.decided]
    if (change === undefined) return
    assert.equal(change.firstEntryId, model.lac + 1)
    const leaving = change.failed.filter(({ index }) => replaced[index] === true)
    for (const { index } of leaving) model.places[index] = { acked: new Set(), isFailed: false }
    seen.decided += 1
    const before = seen.sent.length
    writer.onChangeDecided(leaving.map(({ index }) => ({ index, bookieId: bookieId(`spare${this.#spares++}`) })))
    if (writer.failure !== undefined) {
      assert(this.#quorum.ensembleSize === 1 && leaving.length === 0)
      return
    }
    for (const { index } of leaving) {
      // W6: everything past the LAC at the decision, none before it.
      const again = seen.sent.slice(before).filter(({ member }) => member.index === index)
      const due: number[] = model.sizes.flatMap((_, id): number[] =>
        id >= change.firstEntryId && writeSet(entryId(id), this.#quorum).includes(index) ? [id] : []
      )
      assert.deepEqual(
        again.map(({ add }) => add.entryId),
        due
      )
    }
  }

  #compare(): void {
    const { writer, seen, model } = this
    if (writer.failure !== undefined) return
    model.settle(seen.isChanging)
    assert(seen.changes.length <= seen.decided + 1, 'one change at a time')
    assert.equal(writer.lac, model.lac)
    assert.equal(seen.confirmed.at(-1) ?? NO_ENTRY, model.lac)
    assert.equal(writer.pendingBytes, sum(model.sizes.slice(model.lac + 1)))
    assert.equal(writer.lengthBytes, sum(model.sizes))
    for (const { lac } of seen.hints) assert(lac <= model.lac)
  }
}

function checkSends(quorum: QuorumConfig, writer: LedgerWriter, seen: Recorder): void {
  assert(seen.confirmed.every((lac, i) => lac > (seen.confirmed[i - 1] ?? NO_ENTRY)))
  const bytesOf = new Map<number, EntryAdd>()
  for (const { member, add } of seen.sent) {
    assert(writeSet(add.entryId, quorum).includes(member.index))
    assert(hasValidDigest(add))
    assert.equal(bytesOf.get(add.entryId) ?? add, add) // W5
    bytesOf.set(add.entryId, add)
  }
  for (const member of new Set(seen.sent.map(each => each.member))) {
    const ids = seen.sent.filter(each => each.member === member).map(({ add }) => add.entryId)
    assert.deepEqual(
      ids,
      [...new Set(ids)].sort((a, b) => a - b),
      'a member gets its adds in order, each once'
    )
  }
}

describe('LedgerWriter', () => {
  test('confirms exactly what a model that counts copies one by one confirms', () => {
    const reached = { changes: 0, stalled: 0, degraded: 0, slow: 0, hints: 0 }
    const run = fc.property(quorumArb, fc.array(commandArb, { maxLength: 120, size: 'max' }), (quorum, commands) => {
      const play = new Play(quorum)
      for (const command of commands) {
        play.do(command)
        if (play.seen.isChanging || !play.model.places.some(place => place.isFailed)) continue
        if (play.model.isCovered) reached.degraded += 1
        else reached.stalled += 1
      }
      checkSends(quorum, play.writer, play.seen)
      reached.changes += play.seen.changes.length
      reached.slow += play.seen.changes.filter(({ failed }) => failed.some(each => each.failure === 'SLOW')).length
      reached.hints += play.seen.hints.length
    })
    fc.assert(run, { numRuns: 600, seed: 1 })
    for (const [what, count] of Object.entries(reached)) assert(count > 50, `${what}: ${count}`)
  })

  test('a failed member of an ensemble of one: nothing is confirmed before it is decided, and nothing after refusal', () => {
    const { writer, seen } = writerOf({ ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 })
    writer.append(Buffer.from('a'))
    const member = seen.sent[0]?.member
    assert(member !== undefined)
    member.onAddFailed(writer.ledgerId, entryId(0), 'STORAGE_FAILED')
    member.onAdded(writer.ledgerId, entryId(0))
    assert.deepEqual(seen.changes, [
      { firstEntryId: 0, failed: [{ index: 0, bookieId: 'b0', failure: 'STORAGE_FAILED' }], attempt: 0 }
    ])
    writer.onChangeDecided([])
    member.onAdded(writer.ledgerId, entryId(0))
    assert.equal(seen.failure, 'NO_REPLACEMENT')
    assert.deepEqual(seen.confirmed, [])
    assert.throws(() => writer.append(Buffer.from('b')))
  })

  test('one fenced answer ends the writer, though a quorum might still answer', () => {
    const { writer, seen } = writerOf({ ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 })
    writer.append(Buffer.from('a'))
    const members = seen.sent.map(({ member }) => member)
    members[2]?.onAddFailed(writer.ledgerId, entryId(0), 'FENCED')
    for (const member of members) member.onAdded(writer.ledgerId, entryId(0))
    assert.equal(seen.failure, 'FENCED')
    assert.deepEqual(seen.confirmed, [])
    assert.equal(writer.pendingBytes, 0)
  })

  test('what a sync covers is confirmed in one call', () => {
    const { writer, seen } = writerOf({ ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 })
    for (let i = 0; i < 10_000; i++) writer.append(Buffer.alloc(1))
    seen.sent[0]?.member.onAdded(writer.ledgerId, entryId(4_999))
    assert.equal(writer.pendingBytes, 5_000)
    seen.sent[0]?.member.onAdded(writer.ledgerId, entryId(9_999))
    assert.deepEqual(seen.confirmed, [4_999, 9_999])
    assert.equal(writer.pendingBytes, 0)
  })

  const THREE = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
  const TWO_OF_TWO = { ensembleSize: 2, writeQuorum: 2, ackQuorum: 2 }
  const appendTo = (writer: LedgerWriter, count: number): void => {
    for (let i = 0; i < count; i++) writer.append(Buffer.from('x'))
  }
  const answer = (seen: Recorder, indexes: number[], id: number): void => {
    for (const index of indexes) seen.members[index]?.onAdded(ledgerId(5), entryId(id))
  }

  test('without a replacement it goes on with an ack quorum, and proposes again, ever more seldom', () => {
    const { writer, seen } = writerOf(THREE, { times: { retryMsMin: 100, retryMsMax: 400 } })
    appendTo(writer, 2)
    seen.members[0]?.onAddFailed(writer.ledgerId, entryId(0), 'UNREACHABLE')
    answer(seen, [1, 2], 0)
    assert.equal(writer.lac, NO_ENTRY) // undecided
    writer.onChangeDecided([])
    assert.equal(writer.lac, 0)
    answer(seen, [0], 1) // it failed: what it still says counts for nothing
    answer(seen, [1], 1)
    assert.equal(writer.lac, 0)
    answer(seen, [2], 1)
    assert.equal(writer.lac, 1)
    const sent = seen.sent.length
    appendTo(writer, 1)
    assert.equal(seen.sent.length, sent + 2)
    const tries: number[] = []
    for (let nowMs = 0; nowMs <= 2_000; nowMs += 50) {
      const before = seen.changes.length
      writer.tick(nowMs)
      if (seen.changes.length === before) continue
      tries.push(nowMs)
      writer.onChangeDecided([])
    }
    assert.deepEqual(tries, [100, 350, 800, 1_250, 1_700]) // decided within a tick: the next one starts the wait
    writer.onNodesChanged()
    writer.onChangeDecided([{ index: 0, bookieId: bookieId('b0') }]) // its own node is back
    assert.deepEqual(
      seen.sent.slice(sent + 2).map(({ member, add }) => [member.index, add.entryId]),
      [[0, 2]]
    )
    answer(seen, [0, 1], 2)
    assert.equal(writer.lac, 2)
  })

  test('without an ack quorum it confirms nothing, and ends in time', () => {
    const { writer, seen } = writerOf(THREE, { times: { stalledMsMax: 1_000, retryMsMin: 5_000 } })
    appendTo(writer, 1)
    const [a, b] = seen.members
    a?.onAdded(writer.ledgerId, entryId(0))
    a?.onAddFailed(writer.ledgerId, entryId(0), 'UNREACHABLE')
    b?.onAddFailed(writer.ledgerId, entryId(0), 'UNREACHABLE')
    writer.onChangeDecided([]) // only the first one failed before the proposal
    assert.equal(seen.changes.length, 2)
    writer.onChangeDecided([])
    answer(seen, [2], 0) // two have it on disk: one of them is out
    for (let nowMs = 0; nowMs < 1_000; nowMs += 250) writer.tick(nowMs)
    assert.equal(writer.failure, undefined)
    writer.tick(1_000)
    assert.equal(seen.failure, 'NO_REPLACEMENT')
    assert.deepEqual(seen.confirmed, [])
  })

  test('who comes back to its place only to fail again does not keep the writer waiting for ever', () => {
    const { writer, seen } = writerOf(TWO_OF_TWO, { times: { stalledMsMax: 1_000, retryMsMin: 100 } })
    appendTo(writer, 1)
    answer(seen, [0], 0)
    const proposed: number[] = []
    const decide = (nowMs: number): void => {
      while (seen.isChanging) {
        proposed.push(nowMs)
        seen.decided += 1
        writer.onChangeDecided([{ index: 1, bookieId: bookieId('b1') }])
      }
    }
    for (let nowMs = 0; nowMs < 1_000; nowMs += 50) {
      seen.members[1]?.onAddFailed(writer.ledgerId, entryId(0), 'STORAGE_FAILED')
      decide(nowMs)
      writer.tick(nowMs)
      decide(nowMs)
      assert.equal(writer.failure, undefined)
    }
    writer.tick(1_000)
    assert.equal(seen.failure, 'NO_REPLACEMENT')
    assert.deepEqual(proposed, [0, 50, 200, 450, 900], 'twice at once, then ever more seldom')
  })

  test('a place whose newcomers fail is not given away again and again while the others confirm', () => {
    const { writer, seen } = writerOf(THREE, { times: { retryMsMin: 1_000 } })
    for (let id = 0; id < 20; id++) {
      appendTo(writer, 1)
      seen.members[0]?.onAddFailed(writer.ledgerId, entryId(id), 'STORAGE_FAILED')
      while (seen.isChanging) {
        seen.decided += 1
        writer.onChangeDecided([{ index: 0, bookieId: bookieId(`n${seen.decided}`) }])
      }
      answer(seen, [1, 2], id)
      assert.equal(writer.lac, id)
    }
    assert.equal(seen.changes.length, 2)
  })

  test('a member that lags behind the others is replaced, one at a time, and not if two of three lag', () => {
    const slowBudget = new SlowBudget({ burst: 1, perMs: 1_000_000 })
    const play = (lagging: number[]): Recorder => {
      const { writer, seen } = writerOf(THREE, { times: { slowMs: 1_000 }, slowBudget })
      for (let nowMs = 0, id = 0; nowMs < 5_000; nowMs += 250, id++) {
        appendTo(writer, 1)
        for (let index = 0; index < 3; index++) if (!lagging.includes(index)) answer(seen, [index], id)
        writer.tick(nowMs)
      }
      return seen
    }
    assert.deepEqual(play([0, 1]).changes, [])
    assert.deepEqual(play([]).changes, [])
    const seen = play([1])
    assert.deepEqual(
      seen.changes.map(({ failed }) => failed),
      [[{ index: 1, bookieId: 'b1', failure: 'SLOW' }]]
    )
    assert.deepEqual(play([2]).changes, [], 'the budget of the process is spent')
  })

  test('a slow member without a replacement stays, and counts', () => {
    const slowBudget = new SlowBudget({ burst: 1, perMs: 1_000 })
    const { writer, seen } = writerOf(THREE, { times: { slowMs: 500 }, slowBudget })
    appendTo(writer, 1)
    answer(seen, [0, 1], 0)
    for (let nowMs = 0; seen.changes.length === 0; nowMs += 250) writer.tick(nowMs)
    writer.onChangeDecided([])
    appendTo(writer, 1)
    answer(seen, [2, 0], 1)
    assert.equal(writer.lac, 1)
  })

  test('a pause of the process does not make a node slow', () => {
    const slowBudget = new SlowBudget({ burst: 9, perMs: 1 })
    const { writer, seen } = writerOf(THREE, { times: { slowMs: 3_000 }, slowBudget })
    appendTo(writer, 1)
    answer(seen, [0, 1], 0)
    for (const nowMs of [0, 250, 60_000]) writer.tick(nowMs)
    assert.deepEqual(seen.changes, [])
  })

  test('a fence that is met while entries are sent again ends it, whatever the change decided', () => {
    const { writer, seen } = writerOf(THREE)
    appendTo(writer, 3)
    seen.members[0]?.onAddFailed(writer.ledgerId, entryId(0), 'UNREACHABLE')
    seen.sendAdd = (member, add) => member.onAddFailed(writer.ledgerId, add.entryId, 'FENCED')
    writer.onChangeDecided([{ index: 0, bookieId: bookieId('spare') }])
    answer(seen, [1, 2], 2)
    writer.tick(0)
    assert.deepEqual([writer.failure, seen.failure, seen.confirmed], ['FENCED', 'FENCED', []])
  })

  test('tells its LAC once nothing is appended any more, once', () => {
    const { writer, seen } = writerOf(THREE)
    appendTo(writer, 2)
    writer.tick(0)
    answer(seen, [0, 1, 2], 0)
    appendTo(writer, 1)
    answer(seen, [0, 1, 2], 2)
    writer.tick(250) // there was an append since the last tick
    assert.deepEqual(seen.hints, [])
    assert.equal(writer.isQuiet, false)
    for (const nowMs of [500, 750, 1_000]) writer.tick(nowMs)
    assert.deepEqual(
      seen.hints,
      ['b0', 'b1', 'b2'].map(id => ({ bookieId: id, lac: 2 }))
    )
    assert.equal(writer.isQuiet, true)
  })

  test('finishes behind everything that is undecided, and is silent from then on', () => {
    const { writer, seen } = writerOf(THREE)
    appendTo(writer, 1)
    answer(seen, [0, 1], 0)
    assert.equal(writer.canFinish, true)
    seen.members[2]?.onAddFailed(writer.ledgerId, entryId(0), 'UNREACHABLE')
    assert.equal(writer.canFinish, false)
    writer.onChangeDecided([])
    assert.deepEqual(writer.finish(), { lastEntryId: 0, lengthBytes: 1 })
    for (let nowMs = 0; nowMs < 100_000; nowMs += 1_000) writer.tick(nowMs)
    seen.members[0]?.onAddFailed(writer.ledgerId, entryId(0), 'FENCED')
    assert.deepEqual([seen.changes.length, seen.failure, seen.hints], [1, undefined, []])
    assert.throws(() => writer.append(Buffer.from('late')))
  })
})
