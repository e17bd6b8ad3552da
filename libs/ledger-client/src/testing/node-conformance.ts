import { strict as assert } from 'node:assert'
import { entryId, ledgerId, NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'
import { entryDigest } from '@strata/ledger-protocol'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { AddFailure, AddRequest, AddSink, BookieNode, ReadAnswer } from '../contract.ts'
import { describeRuns } from './run-conformance.ts'

export interface BookieNodeUnderTest {
  readonly node: BookieNode
  /** The same data after the node's process was killed and started again; `node` is not used any more. */
  readonly restart: () => Promise<BookieNode>
  readonly dispose: () => Promise<void>
}

/** What every storage node must do. `factory` gives an empty one; `isDurable`: its data outlives it. */
export function describeBookieNode(
  name: string,
  factory: () => Promise<BookieNodeUnderTest>,
  { isDurable }: { isDurable: boolean } = { isDurable: true }
): void {
  describe(`${name} is a storage node`, () => {
    let under: BookieNodeUnderTest
    const subject = (): BookieNodeUnderTest => under
    beforeEach(async () => {
      under = await factory()
    })
    afterEach(() => under.dispose())

    describeAdds(subject)
    describeReads(subject)
    describeRuns(subject)
    describeLacs(subject)
    describeFences(subject)
    describeInventories(subject)
    if (isDurable) describeRestarts(subject)
  })
}

type Subject = () => BookieNodeUnderTest

/** Makes the adds of one ledger as a writer makes them, and records their answers. */
export class TestWriter implements AddSink {
  readonly ledgerId: LedgerId
  readonly added: EntryId[] = []
  readonly failed: { entryId: EntryId; failure: AddFailure }[] = []
  readonly #node: BookieNode
  #lengthBytes = 0
  #lastSent = NO_ENTRY
  #waiting: (() => void)[] = []

  constructor(node: BookieNode, ledger = 1) {
    this.#node = node
    this.ledgerId = ledgerId(ledger)
  }

  add(payload: Buffer, options: { entry?: number; lac?: number; recovery?: boolean } = {}): AddRequest {
    const id = entryId(options.entry ?? this.#lastSent + 1)
    this.#lastSent = id
    this.#lengthBytes += payload.length
    const lac = entryId(options.lac ?? NO_ENTRY)
    const fields = { ledgerId: this.ledgerId, entryId: id, lac, lengthBytes: this.#lengthBytes, payload }
    const request = { ...fields, crc32c: entryDigest(fields), recovery: options.recovery ?? false }
    this.send(request)
    return request
  }

  send(request: AddRequest): void {
    this.#node.add(request, this)
  }

  /** Adds, and waits until it is synced. */
  async append(
    payload: Buffer,
    options: { entry?: number; lac?: number; recovery?: boolean } = {}
  ): Promise<AddRequest> {
    const request = this.add(payload, options)
    await this.settled(request.entryId)
    return request
  }

  /** Waits for the answer to an entry. */
  async settled(id: number): Promise<void> {
    const isSettled = (): boolean =>
      (this.added.at(-1) ?? NO_ENTRY) >= id || this.failed.some(failure => failure.entryId >= id)
    while (!isSettled()) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  onAdded(ledger: LedgerId, id: EntryId): void {
    assert.equal(ledger, this.ledgerId)
    this.added.push(id)
    this.#wake()
  }

  onAddFailed(ledger: LedgerId, id: EntryId, failure: AddFailure): void {
    assert.equal(ledger, this.ledgerId)
    this.failed.push({ entryId: id, failure })
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

function readFrom(
  node: BookieNode,
  ledger: number,
  options: { first?: number; last?: number; bytesMax?: number; entriesMax?: number; fence?: boolean } = {}
): Promise<ReadAnswer> {
  return node.read({
    ledgerId: ledgerId(ledger),
    first: entryId(options.first ?? 0),
    last: entryId(options.last ?? 1_000_000),
    bytesMax: options.bytesMax ?? 1_000_000,
    entriesMax: options.entriesMax ?? 10_000,
    fence: options.fence ?? false
  })
}

const idsOf = (answer: ReadAnswer): number[] => answer.entries.map(entry => entry.entryId)
const text = (value: string): Buffer => Buffer.from(value)

function checkSame(answer: ReadAnswer, requests: readonly AddRequest[]): void {
  assert.equal(answer.entries.length, requests.length)
  requests.forEach((request, i) => {
    const entry = answer.entries[i]
    assert(entry !== undefined)
    assert(entry.payload.equals(request.payload))
    const { entryId: id, lac, lengthBytes, crc32c } = entry
    assert.deepEqual(
      { id, lac, lengthBytes, crc32c },
      { id: request.entryId, lac: request.lac, lengthBytes: request.lengthBytes, crc32c: request.crc32c }
    )
  })
}

function describeAdds(subject: Subject): void {
  test('what was added is read back to the byte', async () => {
    const { node } = subject()
    const writer = new TestWriter(node)
    const requests = [
      writer.add(text('first')),
      writer.add(Buffer.alloc(0)),
      writer.add(Buffer.alloc(300_000, 'x'), { lac: 0 }),
      writer.add(text('last'), { lac: 2 })
    ]
    await writer.settled(3)
    assert.deepEqual(writer.failed, [])
    checkSame(await readFrom(node, 1), requests)
  })

  test('adds are answered in order, many by one answer', async () => {
    const { node } = subject()
    const writer = new TestWriter(node)
    for (let i = 0; i < 2_000; i++) writer.add(text(`entry ${i}`))
    await writer.settled(1_999)
    assert.equal(writer.added.at(-1), 1_999)
    assert(writer.added.every((id, i) => i === 0 || id > (writer.added[i - 1] ?? NO_ENTRY)))
    assert(writer.added.length < 2_000, 'a sync covers many adds')
  })

  test('ledgers and writers do not get in each other’s way', async () => {
    const { node } = subject()
    const writers = [1, 2, 3, 2 ** 40].map(ledger => new TestWriter(node, ledger))
    for (let i = 0; i < 50; i++) for (const writer of writers) writer.add(text(`${writer.ledgerId}/${i}`))
    await Promise.all(writers.map(writer => writer.settled(49)))
    for (const writer of writers) {
      const answer = await readFrom(node, writer.ledgerId)
      assert.deepEqual(
        answer.entries.map(entry => entry.payload.toString()),
        Array.from({ length: 50 }, (_, i) => `${writer.ledgerId}/${i}`)
      )
    }
  })

  test('the same entry may come again', async () => {
    const { node } = subject()
    const writer = new TestWriter(node)
    const request = await writer.append(text('once'))
    const again = new TestWriter(node)
    again.send({ ...request, recovery: true })
    await again.settled(0)
    assert.deepEqual(again.failed, [])
    checkSame(await readFrom(node, 1), [request])
  })
}

function describeReads(subject: Subject): void {
  test('a read ends at its limits, and gives at least one entry', async () => {
    const { node } = subject()
    const writer = new TestWriter(node)
    for (let i = 0; i < 10; i++) writer.add(Buffer.alloc(100, i))
    await writer.settled(9)
    const some = await readFrom(node, 1, { first: 2, entriesMax: 3 })
    assert.deepEqual([idsOf(some), some.end], [[2, 3, 4], 'limit'])
    const range = await readFrom(node, 1, { first: 7, last: 8 })
    assert.deepEqual([idsOf(range), range.end], [[7, 8], 'limit'])
    const small = await readFrom(node, 1, { first: 4, bytesMax: 1 })
    assert.deepEqual([idsOf(small), small.end], [[4], 'limit'])
    const bytes = await readFrom(node, 1, { bytesMax: 450 })
    assert.equal(bytes.end, 'limit')
    assert(bytes.entries.length >= 4 && bytes.entries.length <= 5)
  })

  test('what a node never had is absent with authority', async () => {
    const { node } = subject()
    const writer = new TestWriter(node)
    await writer.append(text('a'))
    await writer.append(text('c'), { entry: 2 })
    assert.deepEqual(await readFrom(node, 99), { entries: [], end: 'absent' })
    const before = await readFrom(node, 1)
    assert.deepEqual([idsOf(before), before.end], [[0], 'absent'])
    const hole = await readFrom(node, 1, { first: 1 })
    assert.deepEqual([idsOf(hole), hole.end], [[], 'absent'])
    const behind = await readFrom(node, 1, { first: 2 })
    assert.deepEqual([idsOf(behind), behind.end], [[2], 'absent'])
  })

  test('the LAC is the highest that any entry carried', async () => {
    const { node } = subject()
    assert.deepEqual(await node.readLac({ ledgerId: ledgerId(1), fence: false }), { lac: NO_ENTRY, authority: true })
    const writer = new TestWriter(node)
    await writer.append(text('a'))
    await writer.append(text('b'), { lac: 0 })
    await writer.append(text('c'), { lac: 0 })
    assert.deepEqual(await node.readLac({ ledgerId: ledgerId(1), fence: false }), { lac: 0, authority: true })
  })
}

function describeLacs(subject: Subject): void {
  const lacOf = async (ledger = 1): Promise<EntryId> =>
    (await subject().node.readLac({ ledgerId: ledgerId(ledger), fence: false })).lac
  const tell = (lac: number, ledger = 1): Promise<void> =>
    subject().node.writeLac({ ledgerId: ledgerId(ledger), lac: entryId(lac) })
  const wait = (past: number, timeoutMs = 30_000): Promise<{ lac: EntryId }> =>
    subject().node.readLac({ ledgerId: ledgerId(1), fence: false, waitPast: entryId(past), timeoutMs })
  const withEntry = async (): Promise<TestWriter> => {
    const writer = new TestWriter(subject().node)
    await writer.append(text('a'))
    return writer
  }

  test('LACs of many ledgers are told at once, each to its own', async () => {
    const ledgers = [1, 2, 3]
    for (const ledger of ledgers) await new TestWriter(subject().node, ledger).append(text('a'))
    const unknown = Array.from({ length: 2_500 }, (_, index) => tell(7, 100 + index))
    await Promise.all([...unknown, ...ledgers.map(ledger => tell(ledger * 10, ledger))])
    assert.deepEqual(await Promise.all(ledgers.map(ledger => lacOf(ledger))), [10, 20, 30])
  })

  test('a LAC that is told only ever raises what the node answers', async () => {
    await withEntry()
    await tell(3)
    assert.equal(await lacOf(), 3)
    await tell(1)
    assert.equal(await lacOf(), 3)
    await subject().node.readLac({ ledgerId: ledgerId(1), fence: true })
    await tell(5) // true for ever, also behind a fence
    assert.equal(await lacOf(), 5)
  })

  test('a LAC that is told brings no ledger into being', async () => {
    await tell(7, 99)
    assert.deepEqual(await readFrom(subject().node, 99), { entries: [], end: 'absent' })
    const writer = new TestWriter(subject().node, 99)
    await writer.append(text('first'))
    assert.deepEqual(writer.failed, [])
  })

  test('a reader that waits is told when an entry, or the writer, raises the LAC', async () => {
    const writer = await withEntry()
    const both = [wait(-1), wait(0)]
    await writer.append(text('b'), { lac: 0 })
    assert.equal((await both[0])?.lac, 0)
    await tell(1)
    assert.equal((await both[1])?.lac, 1)
    assert.equal((await wait(0)).lac, 1)
  })

  test('a reader that waits is told of a fence, and in the end that nothing happened', async () => {
    await withEntry()
    assert.equal((await wait(0, 10)).lac, NO_ENTRY)
    const waiting = wait(0)
    await subject().node.readLac({ ledgerId: ledgerId(1), fence: true })
    assert.equal((await waiting).lac, NO_ENTRY)
    assert.equal((await wait(0)).lac, NO_ENTRY) // fenced already
  })
}

function describeFences(subject: Subject): void {
  const fences: [string, (node: BookieNode) => Promise<unknown>][] = [
    ['a fencing read', node => readFrom(node, 1, { fence: true })],
    ['reading the LAC with a fence', node => node.readLac({ ledgerId: ledgerId(1), fence: true })]
  ]
  for (const [name, fence] of fences) {
    test(`${name} refuses every later add but a recoverer's`, async () => {
      const { node } = subject()
      const writer = new TestWriter(node)
      const kept = await writer.append(text('kept'))
      await fence(node)
      await writer.append(text('late'), { entry: 1 })
      assert.deepEqual(writer.failed, [{ entryId: 1, failure: 'FENCED' }])
      const recoverer = new TestWriter(node)
      await recoverer.append(kept.payload, { recovery: true })
      const found = await recoverer.append(text('found'), { entry: 1, recovery: true })
      assert.deepEqual(recoverer.failed, [])
      checkSame(await readFrom(node, 1), [kept, found])
    })

    test(`${name} holds for a ledger the node never saw, and for no other`, async () => {
      const { node } = subject()
      await fence(node)
      const writer = new TestWriter(node)
      const other = new TestWriter(node, 2)
      await Promise.all([writer.append(text('late')), other.append(text('fine'))])
      assert.deepEqual(writer.failed, [{ entryId: 0, failure: 'FENCED' }])
      assert.deepEqual(other.added, [0])
    })
  }

  test('a fencing read sees every add that is answered as synced', async () => {
    const { node } = subject()
    const writers = Array.from({ length: 20 }, (_, i) => new TestWriter(node, i + 1))
    const answers = await Promise.all(
      writers.map(async writer => {
        for (let i = 0; i < 5; i++) writer.add(text(String(i)))
        const answer = await readFrom(node, writer.ledgerId, { fence: true })
        await writer.settled(4)
        return answer
      })
    )
    writers.forEach((writer, i) => {
      const synced = (writer.added.at(-1) ?? NO_ENTRY) + 1
      assert((answers[i]?.entries.length ?? 0) >= synced, `ledger ${writer.ledgerId}: ${synced} synced`)
    })
  })
}

function describeInventories(subject: Subject): void {
  const heldIn = async (first: number, last: number, verify = false): Promise<[number, number][]> => {
    const held: [number, number][] = []
    for (let next = first; next <= last;) {
      const request = { ledgerId: ledgerId(1), first: entryId(next), last: entryId(last), verify }
      const answer = await subject().node.inventory(request)
      held.push(...answer.held.map((range): [number, number] => [range.first, range.last]))
      assert(answer.through >= next && answer.through <= last)
      next = answer.through + 1
    }
    return held
  }

  test('an inventory names what is there, cut to the stretch that was asked for', async () => {
    assert.deepEqual(await heldIn(0, 1_000_000), [])
    const writer = new TestWriter(subject().node)
    for (const entry of [0, 1, 2, 5, 6, 300, 301, 700]) await writer.append(text(`entry ${entry}`), { entry })
    for (const verify of [false, true]) {
      assert.deepEqual(await heldIn(0, 1_000_000, verify), [
        [0, 2],
        [5, 6],
        [300, 301],
        [700, 700]
      ])
      assert.deepEqual(await heldIn(1, 300, verify), [
        [1, 2],
        [5, 6],
        [300, 300]
      ])
      assert.deepEqual(await heldIn(3, 4, verify), [])
      assert.deepEqual(await heldIn(701, 702, verify), [])
    }
  })

  test('a node that is well names nothing that it cannot read', async () => {
    await new TestWriter(subject().node).append(text('x'))
    assert.deepEqual(await subject().node.damagedEntries({ ledgerId: 0, entryId: 0, limit: 10 }), [])
  })

  test('the ledgers of a node are listed page by page, those too that were only fenced', async () => {
    const { node } = subject()
    for (const ledger of [9, 4]) await new TestWriter(node, ledger).append(text('x'), { entry: 3, lac: 2 })
    await node.readLac({ ledgerId: ledgerId(6), fence: true })
    const both = await node.heldLedgers({ after: -1, limit: 2 })
    const rest = await node.heldLedgers({ after: both.at(-1)?.ledgerId ?? -1, limit: 2 })
    assert.deepEqual(
      [...both, ...rest],
      [
        { ledgerId: 4, lastEntryId: 3, lac: 2, isFenced: false },
        { ledgerId: 6, lastEntryId: NO_ENTRY, lac: NO_ENTRY, isFenced: true },
        { ledgerId: 9, lastEntryId: 3, lac: 2, isFenced: false }
      ]
    )
  })
}

function describeRestarts(subject: Subject): void {
  test('what was answered as synced is there after a restart, fences too', async () => {
    const { node, restart } = subject()
    const writer = new TestWriter(node)
    const requests = Array.from({ length: 100 }, (_, i) => writer.add(text(`entry ${i}`), { lac: i - 1 }))
    await writer.settled(99)
    await node.readLac({ ledgerId: ledgerId(2), fence: true })
    const again = await restart()
    checkSame(await readFrom(again, 1), requests)
    assert.deepEqual(await again.readLac({ ledgerId: ledgerId(1), fence: false }), { lac: 98, authority: true })
    const fenced = new TestWriter(again, 2)
    await fenced.append(text('late'))
    assert.deepEqual(fenced.failed, [{ entryId: 0, failure: 'FENCED' }])
    const next = new TestWriter(again)
    await next.append(text('next'), { entry: 100 })
    assert.deepEqual(next.added, [100])
  })
}
