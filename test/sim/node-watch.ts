import type { BookieId, EntryId, LedgerId } from '@strata/base'
import { decodeRecordHeader, HEADER_BYTES, recordBytes } from '@strata/bookie/testing'
import {
  addRunTo,
  readRunOf,
  type AddRequest,
  type AddSink,
  type BookieNode,
  type BulkCopies,
  type CopyAnswer,
  type CopyOrder,
  type ReadAnswer
} from '@strata/ledger-client'
import { hasValidDigest, type AddFailure } from '@strata/ledger-protocol'
import type { History } from './history.ts'
import { tagOf } from './payload.ts'

interface Known {
  /** Entries that the node answered to have synced. Outlives crashes, and the disk. */
  readonly acked: Map<number, Acked>
  /** The same, forgotten when its disk was destroyed. */
  kept: Set<number>
  /** Outlives the disk: where a fence was lost, the node may not take what the fence kept out. */
  fencesAnswered: number
  /** When the first of them was. */
  fencedAtMs: number
  /** See `forgetUnproven`. */
  readonly unproven: Set<number>
  /** The moments of the last answers, and of what they were: a few, the last one last. */
  readonly answered: { readonly atMs: number; readonly entryIds: number[] }[]
  /** What it gave when it was read from, or named when it was asked for its inventory. */
  readonly named: Set<number>
}

interface Acked {
  readonly crc32c: number
  /** The how manieth answer it was. */
  readonly order: number
}

/** More places than that are rarely tampered with so late in one node's run. */
const MOMENTS_MAX = 8

/**
 * Stands between the network and one node, over all its starts: sees every request as it is handed over and every answer
 * as it is given, and checks what a node promises by itself (`node-keeps`, `node-no-lie`, `fence-holds`,
 * `one-content`).
 */
export class NodeWatch {
  readonly bookieId: BookieId
  readonly #history: History
  readonly #ledgers = new Map<LedgerId, Known>()
  /** Of what came from other nodes, and may have been stored: the digest of each entry. */
  readonly #fetched = new Map<LedgerId, Map<number, AddRequest>>()
  /** What it answered to have stored of these since it was started. */
  #copied: { readonly ledgerId: LedgerId; readonly entryId: number }[] = []
  #answers = 0

  constructor(bookieId: BookieId, history: History) {
    this.bookieId = bookieId
    this.#history = history
  }

  /** Entries the node must still have. */
  get kept(): { ledgerId: LedgerId; entryIds: number[] }[] {
    return [...this.#ledgers].map(([ledgerId, { kept }]) => ({ ledgerId, entryIds: [...kept] }))
  }

  hasAcked(ledgerId: LedgerId, entryId: number): boolean {
    return this.#ledgers.get(ledgerId)?.acked.has(entryId) === true
  }

  /** By what it answered: to an add, to a read, or when it was asked what it has. */
  saysItHas(ledgerId: LedgerId, entryId: number): boolean {
    return this.hasAcked(ledgerId, entryId) || this.#ledgers.get(ledgerId)?.named.has(entryId) === true
  }

  /**
   * The node went down, and its disk was tampered with before or after, in so many places. What a journal answered last, at `sinceMs` or
   * later, may be proven by no later record: if just that is damaged, it cannot be told from a write that never ended, and is
   * denied. A known limit of the journal's format; each further place may take what would have proven the one before.
   */
  forgetUnproven(sinceMs: number, places: number): void {
    for (const known of this.#ledgers.values()) {
      if (known.fencedAtMs >= sinceMs) known.fencesAnswered = 0
      for (const { atMs, entryIds } of known.answered.slice(-places)) {
        if (atMs >= sinceMs) for (const entryId of entryIds) known.unproven.add(entryId)
      }
    }
  }

  /** The disk was destroyed, in whole or in part: it need not have what it had, but may not deny it either. */
  onDestroyed(): void {
    for (const known of this.#ledgers.values()) known.kept = new Set()
    this.#copied = []
  }

  /**
   * The node was killed, or its power failed: what it answered to have stored for itself, past the journal, is on the disk as that is
   * now. Asked only later it might have it again, since whoever cares for copies had it brought back.
   */
  checkCopies(isOnDisk: (entry: { ledgerId: LedgerId; entryId: number }) => boolean): void {
    const lost = this.#copied.find(entry => !this.#history.isDeleting(entry.ledgerId) && !isOnDisk(entry))
    this.#copied = []
    if (lost === undefined) return
    this.#history.violate('node-keeps', `${this.bookieId} lost ${lost.ledgerId}:${lost.entryId}, which it copied`)
  }

  wrap(node: BookieNode): BookieNode {
    const sinks = new Map<AddSink, WatchedSink>()
    const watchedOf = (sink: AddSink): WatchedSink => {
      let watched = sinks.get(sink)
      if (watched === undefined) {
        watched = new WatchedSink(this, sink)
        sinks.set(sink, watched)
      }
      return watched
    }
    const wrapped: BookieNode = {
      bookieId: node.bookieId,
      add: (request, sink) => {
        const watched = watchedOf(sink)
        this.#admit(request)
        watched.admit(request)
        node.add(request, watched)
      },
      addStretch: (stretch, sink) => {
        const watched = watchedOf(sink)
        for (let i = 0; i < stretch.count; i++) {
          const request = stretch.requestAt(i)
          this.#admit(request)
          watched.admit(request)
        }
        if (node.addStretch !== undefined) node.addStretch(stretch, watched)
        else for (let i = 0; i < stretch.count; i++) node.add(stretch.requestAt(i), watched)
      },
      read: async options => {
        const answersBefore = this.#answers
        const answer = await node.read(options)
        if (options.fence) this.#noteFence(options.ledgerId)
        const { named } = this.#known(options.ledgerId)
        for (const { entryId } of answer.entries) named.add(entryId)
        this.#checkAnswer(options, { answer, answersBefore })
        return answer
      },
      readRun: request => readRunOf(wrapped, request),
      addRun: run => addRunTo(wrapped, run),
      bulk: {
        readRecords: request => node.bulk?.readRecords(request) ?? Promise.resolve(undefined),
        copyFrom: async order => {
          const answer = (await node.bulk?.copyFrom(order)) ?? { next: order.first, bytes: 0 }
          this.#onCopied(order, answer)
          return answer
        }
      },
      readLac: async options => {
        const answer = await node.readLac(options)
        if (options.fence) this.#noteFence(options.ledgerId)
        return answer
      },
      writeLac: options => node.writeLac(options),
      inventory: async options => {
        const answer = await node.inventory(options)
        const { named } = this.#known(options.ledgerId)
        for (const { first, last } of answer.held) for (let id: number = first; id <= last; id++) named.add(id)
        return answer
      },
      heldLedgers: options => node.heldLedgers(options),
      damagedEntries: page => node.damagedEntries(page)
    }
    return wrapped
  }

  /** Another node, of which this one asks for records to store. */
  fetching(source: BulkCopies): BulkCopies {
    return {
      ...source,
      readRecords: async request => {
        const records = await source.readRecords(request)
        if (records !== undefined) this.#onFetched(records.bytes)
        return records
      }
    }
  }

  onAdded(ledgerId: LedgerId, adds: readonly AddRequest[]): void {
    const known = this.#known(ledgerId)
    for (const { entryId, crc32c, recovery } of adds) {
      if (!recovery && known.fencesAnswered > 0 && !this.#history.isDeleting(ledgerId)) {
        this.#history.violate('fence-holds', `${this.bookieId} took ${ledgerId}:${entryId} behind a fence it answered`)
      }
      const before = known.acked.get(entryId)
      if (before !== undefined && before.crc32c !== crc32c) {
        this.#history.violate('one-content', `${this.bookieId} has two contents for ${ledgerId}:${entryId}`)
      }
      if (before === undefined) known.acked.set(entryId, { crc32c, order: this.#answers++ })
      this.#noteLast(ledgerId, entryId)
      known.kept.add(entryId)
    }
  }

  #onFetched(bytes: Buffer): void {
    for (let at = 0; ;) {
      const header = decodeRecordHeader(bytes, at)
      if (header === undefined) return
      const payload = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + header.payloadBytes)
      at += recordBytes(header.payloadBytes)
      const { ledgerId, entryId, lac, lengthBytes, crc32c } = header
      const add = { ledgerId, entryId, lac, lengthBytes, crc32c, payload, recovery: true }
      if (!hasValidDigest(add)) continue
      this.#admit(add)
      const fetched = this.#fetched.get(ledgerId) ?? new Map<number, AddRequest>()
      this.#fetched.set(ledgerId, fetched.set(entryId, add))
    }
  }

  #onCopied({ ledgerId, first, every }: CopyOrder, { next }: CopyAnswer): void {
    const fetched = this.#fetched.get(ledgerId)
    const adds: AddRequest[] = []
    for (let entryId: number = first; entryId < next; entryId += every) {
      const add = fetched?.get(entryId)
      if (add !== undefined) {
        adds.push(add)
        this.#copied.push(add)
      } else
        this.#history.violate('one-content', `${this.bookieId} stored ${ledgerId}:${entryId}, which nobody gave it`)
    }
    this.onAdded(ledgerId, adds)
  }

  #noteFence(ledgerId: LedgerId): void {
    const known = this.#known(ledgerId)
    if (known.fencesAnswered++ === 0) known.fencedAtMs = this.#history.nowMs
  }

  #noteLast(ledgerId: LedgerId, entryId: number): void {
    const atMs = this.#history.nowMs
    const { answered } = this.#known(ledgerId)
    const last = answered.at(-1)
    if (last?.atMs === atMs) last.entryIds.push(entryId)
    else answered.push({ atMs, entryIds: [entryId] })
    if (answered.length > MOMENTS_MAX) answered.shift()
  }

  #admit(request: AddRequest): void {
    const { ledgerId, entryId, payload, crc32c } = request
    const sent = this.#history.ledger(ledgerId)
    if (sent !== undefined && sent.tags[entryId] !== tagOf(payload)) {
      this.#history.violate('one-content', `${ledgerId}:${entryId} was sent to ${this.bookieId} with other bytes`)
    }
    const known = this.#known(ledgerId)
    const before = known.acked.get(entryId)
    if (before !== undefined && before.crc32c !== crc32c) {
      this.#history.violate('one-content', `${ledgerId}:${entryId} came to ${this.bookieId} with another digest`)
    }
  }

  #checkAnswer(
    { ledgerId, first, every = 1 }: { ledgerId: LedgerId; first: EntryId; every?: number },
    { answer, answersBefore }: { answer: ReadAnswer; answersBefore: number }
  ): void {
    if (answer.end !== 'absent' || this.#history.isDeleting(ledgerId)) return
    const missing = first + answer.entries.length * every
    const { acked, unproven } = this.#known(ledgerId)
    if ((acked.get(missing)?.order ?? Infinity) < answersBefore && !unproven.has(missing)) {
      this.#history.violate('node-no-lie', `${this.bookieId} denies ${ledgerId}:${missing}, which it had`)
    }
  }

  #known(ledgerId: LedgerId): Known {
    let known = this.#ledgers.get(ledgerId)
    if (known === undefined) {
      known = {
        acked: new Map(),
        kept: new Set(),
        fencesAnswered: 0,
        fencedAtMs: Infinity,
        unproven: new Set(),
        answered: [],
        named: new Set()
      }
      this.#ledgers.set(ledgerId, known)
    }
    return known
  }
}

/** A sink's answers cover every add handed over through it, up to an entry. */
class WatchedSink implements AddSink {
  readonly #watch: NodeWatch
  readonly #sink: AddSink
  readonly #pending = new Map<LedgerId, AddRequest[]>()

  constructor(watch: NodeWatch, sink: AddSink) {
    this.#watch = watch
    this.#sink = sink
  }

  admit(request: AddRequest): void {
    const pending = this.#pending.get(request.ledgerId)
    if (pending === undefined) this.#pending.set(request.ledgerId, [request])
    else pending.push(request)
  }

  onAdded(ledgerId: LedgerId, entryId: EntryId): void {
    const pending = this.#pending.get(ledgerId) ?? []
    const isCovered = (add: AddRequest): boolean => add.entryId <= entryId
    const isAll = pending.every(isCovered)
    this.#pending.set(ledgerId, isAll ? [] : pending.filter(add => !isCovered(add)))
    this.#watch.onAdded(ledgerId, isAll ? pending : pending.filter(isCovered))
    this.#sink.onAdded(ledgerId, entryId)
  }

  onAddFailed(ledgerId: LedgerId, entryId: EntryId, failure: AddFailure): void {
    const pending = this.#pending.get(ledgerId) ?? []
    this.#pending.set(
      ledgerId,
      pending.filter(add => add.entryId !== entryId)
    )
    this.#sink.onAddFailed(ledgerId, entryId, failure)
  }
}
