import type { BookieId, EntryId, LedgerId } from '@strata/base'
import type { AddRequest, AddSink, BookieNode, ReadAnswer } from '@strata/ledger-client'
import type { AddFailure } from '@strata/ledger-protocol'
import type { History } from './history.ts'
import { tagOf } from './payload.ts'

interface Known {
  /** CRCs of entries that the node answered to have synced, by entry. Outlives crashes, and the disk. */
  readonly acked: Map<number, number>
  /** The same, forgotten when its disk was destroyed. */
  kept: Set<number>
  fencesAnswered: number
  /** See `forgetUnproven`. */
  readonly unproven: Set<number>
}

/**
 * Stands between the network and one node, over all its starts: sees every request as it is handed over and every answer
 * as it is given, and checks what a node promises by itself (`node-keeps`, `node-no-lie`, `fence-holds`,
 * `one-content`).
 */
export class NodeWatch {
  readonly bookieId: BookieId
  readonly #history: History
  readonly #ledgers = new Map<LedgerId, Known>()
  /** What was answered last, all at one moment. */
  #lastAnswered: { atMs: number; entries: { ledgerId: LedgerId; entryId: number }[] } = { atMs: -1, entries: [] }

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

  /**
   * Power failed on a disk that was tampered with. What was answered last is proven by no later record: if just that is
   * damaged, it cannot be told from a write that never ended, and is denied. A known limit of the journal's format.
   */
  forgetUnproven(): void {
    for (const { ledgerId, entryId } of this.#lastAnswered.entries) this.#known(ledgerId).unproven.add(entryId)
  }

  /** The disk was destroyed, in whole or in part: it need not have what it had, but may not deny it either. */
  onDestroyed(): void {
    for (const known of this.#ledgers.values()) {
      known.kept = new Set()
      known.fencesAnswered = 0
    }
  }

  wrap(node: BookieNode): BookieNode {
    const sinks = new WeakMap<AddSink, WatchedSink>()
    return {
      bookieId: node.bookieId,
      add: (request, sink) => {
        let watched = sinks.get(sink)
        if (watched === undefined) {
          watched = new WatchedSink(this, sink)
          sinks.set(sink, watched)
        }
        this.#admit(request)
        watched.admit(request)
        node.add(request, watched)
      },
      read: async options => {
        const ackedBefore = new Set(this.#known(options.ledgerId).acked.keys())
        const answer = await node.read(options)
        if (options.fence) this.#known(options.ledgerId).fencesAnswered++
        this.#checkAnswer(options.ledgerId, options.first, { answer, ackedBefore })
        return answer
      },
      readLac: async options => {
        const answer = await node.readLac(options)
        if (options.fence) this.#known(options.ledgerId).fencesAnswered++
        return answer
      },
      writeLac: options => node.writeLac(options),
      inventory: options => node.inventory(options),
      heldLedgers: options => node.heldLedgers(options),
      damagedEntries: page => node.damagedEntries(page)
    }
  }

  onAdded(ledgerId: LedgerId, adds: readonly AddRequest[]): void {
    const known = this.#known(ledgerId)
    for (const { entryId, crc32c, recovery } of adds) {
      if (!recovery && known.fencesAnswered > 0 && !this.#history.isDeleting(ledgerId)) {
        this.#history.violate('fence-holds', `${this.bookieId} took ${ledgerId}:${entryId} behind a fence it answered`)
      }
      const before = known.acked.get(entryId)
      if (before !== undefined && before !== crc32c) {
        this.#history.violate('one-content', `${this.bookieId} has two contents for ${ledgerId}:${entryId}`)
      }
      known.acked.set(entryId, crc32c)
      this.#noteLast(ledgerId, entryId)
      known.kept.add(entryId)
    }
  }

  #noteLast(ledgerId: LedgerId, entryId: number): void {
    const atMs = this.#history.nowMs
    if (this.#lastAnswered.atMs !== atMs) this.#lastAnswered = { atMs, entries: [] }
    this.#lastAnswered.entries.push({ ledgerId, entryId })
  }

  #admit(request: AddRequest): void {
    const { ledgerId, entryId, payload, crc32c } = request
    const sent = this.#history.ledger(ledgerId)
    if (sent !== undefined && sent.tags[entryId] !== tagOf(payload)) {
      this.#history.violate('one-content', `${ledgerId}:${entryId} was sent to ${this.bookieId} with other bytes`)
    }
    const known = this.#known(ledgerId)
    const before = known.acked.get(entryId)
    if (before !== undefined && before !== crc32c) {
      this.#history.violate('one-content', `${ledgerId}:${entryId} came to ${this.bookieId} with another digest`)
    }
  }

  #checkAnswer(
    ledgerId: LedgerId,
    first: EntryId,
    { answer, ackedBefore }: { answer: ReadAnswer; ackedBefore: ReadonlySet<number> }
  ): void {
    if (answer.end !== 'absent' || this.#history.isDeleting(ledgerId)) return
    const missing = first + answer.entries.length
    if (ackedBefore.has(missing) && !this.#known(ledgerId).unproven.has(missing)) {
      this.#history.violate('node-no-lie', `${this.bookieId} denies ${ledgerId}:${missing}, which it had`)
    }
  }

  #known(ledgerId: LedgerId): Known {
    let known = this.#ledgers.get(ledgerId)
    if (known === undefined) {
      known = { acked: new Map(), kept: new Set(), fencesAnswered: 0, unproven: new Set() }
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
    this.#pending.set(
      ledgerId,
      pending.filter(add => add.entryId > entryId)
    )
    this.#watch.onAdded(
      ledgerId,
      pending.filter(add => add.entryId <= entryId)
    )
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
