import { strict as assert } from 'node:assert'
import { bookieId, entryId, ledgerId, NO_ENTRY, type BookieId, type EntryId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { hasValidDigest } from './entry-digest.ts'
import {
  LedgerWriter,
  type EnsembleChange,
  type WriterFailure,
  type WriterMember,
  type WriterSink
} from './ledger-writer.ts'
import { writeSet, type EntryAdd, type QuorumConfig } from './quorum.ts'

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
  failure: WriterFailure | undefined

  sendAdd(member: WriterMember, add: EntryAdd): void {
    this.sent.push({ member, add })
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
}

function writerOf(quorum: QuorumConfig): { writer: LedgerWriter; seen: Recorder } {
  const seen = new Recorder()
  const names = bookies(quorum.ensembleSize)
  return { writer: new LedgerWriter({ ledgerId: ledgerId(5), quorum, bookies: names, sink: seen }), seen }
}

type Command =
  | { kind: 'append'; bytes: number }
  | { kind: 'ack'; of: number; count: number }
  | { kind: 'fail'; of: number }
  | { kind: 'change' }

const commandArb: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), bytes: fc.nat(20) }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('ack' as const), of: fc.nat(), count: fc.integer({ min: 1, max: 4 }) })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), of: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'change' as const }) }
)

/** What the writer should believe, worked out anew from all that happened, entry by entry. */
class Model {
  readonly quorum: QuorumConfig
  /** Per place in the ensemble: which entries its present member has acknowledged, and whether it failed. */
  readonly places: { acked: Set<number>; isFailed: boolean }[]
  readonly sizes: number[] = []
  lac = -1
  isChanging = false

  constructor(quorum: QuorumConfig) {
    this.quorum = quorum
    this.places = Array.from({ length: quorum.ensembleSize }, () => ({ acked: new Set(), isFailed: false }))
  }

  settle(): void {
    while (!this.isChanging && this.lac + 1 < this.sizes.length) {
      const places = writeSet(entryId(this.lac + 1), this.quorum)
      const copies = places.filter(place => this.places[place]?.acked.has(this.lac + 1))
      if (copies.length < this.quorum.ackQuorum) return
      this.lac += 1
    }
  }
}

/** Plays commands on the writer and the model; compares after each. */
function play(quorum: QuorumConfig, commands: readonly Command[]): void {
  const { writer, seen } = writerOf(quorum)
  const model = new Model(quorum)
  let spare = 0
  const membersNow = (): WriterMember[] => [...new Map(seen.sent.map(({ member }) => [member.index, member])).values()]
  for (const command of commands) {
    switch (command.kind) {
      case 'append':
        assert.equal(writer.append(Buffer.alloc(command.bytes, model.sizes.length)), model.sizes.length)
        model.sizes.push(command.bytes)
        break
      case 'ack': {
        const all = [...new Set(seen.sent.map(({ member }) => member))] // replaced ones answer, too
        const member = all[command.of % all.length]
        if (member === undefined) break
        const sent = seen.sent.filter(each => each.member === member).map(({ add }) => add.entryId)
        const from = sent.findIndex(id => id > member.ackedThrough)
        if (from === -1) break
        const through = sent[Math.min(from + command.count, sent.length) - 1] ?? NO_ENTRY
        if (membersNow().includes(member) && member.failure === undefined) {
          for (const id of sent) if (id <= through) model.places[member.index]?.acked.add(id)
        }
        member.onAdded(writer.ledgerId, through)
        break
      }
      case 'fail': {
        const member = membersNow()[command.of % quorum.ensembleSize]
        const place = member && model.places[member.index]
        if (member === undefined || place === undefined || place.isFailed) break
        place.isFailed = true
        model.isChanging = true
        member.onAddFailed(writer.ledgerId, entryId(0), 'UNREACHABLE')
        break
      }
      case 'change': {
        if (!model.isChanging) break
        const change = seen.changes.at(-1)
        assert(change !== undefined)
        assert.equal(change.firstEntryId, model.lac + 1)
        for (const { index } of change.failed) model.places[index] = { acked: new Set(), isFailed: false }
        model.isChanging = model.places.some(place => place.isFailed)
        writer.onEnsembleChanged(change.failed.map(({ index }) => ({ index, bookieId: bookieId(`spare${spare++}`) })))
        break
      }
    }
    model.settle()
    assert.equal(writer.lac, model.lac)
    assert.equal(seen.confirmed.at(-1) ?? NO_ENTRY, model.lac)
    assert.equal(writer.pendingBytes, sum(model.sizes.slice(model.lac + 1)))
    assert.equal(writer.lengthBytes, sum(model.sizes))
  }
  checkSends(quorum, writer, seen)
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
    const run = fc.property(quorumArb, fc.array(commandArb, { maxLength: 120 }), play)
    fc.assert(run, { numRuns: 1_000 })
  })

  test('a failed member of an ensemble of one: nothing is confirmed before it is decided, and nothing after refusal', () => {
    const { writer, seen } = writerOf({ ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 })
    writer.append(Buffer.from('a'))
    const member = seen.sent[0]?.member
    assert(member !== undefined)
    member.onAddFailed(writer.ledgerId, entryId(0), 'STORAGE_FAILED')
    member.onAdded(writer.ledgerId, entryId(0))
    assert.deepEqual(seen.changes, [
      { firstEntryId: 0, failed: [{ index: 0, bookieId: 'b0', failure: 'STORAGE_FAILED' }] }
    ])
    writer.onChangeRefused('NO_REPLACEMENT')
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
})
