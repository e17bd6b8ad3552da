import type { BytePool } from '@strata/base'
import type { Position } from '@strata/cursor-protocol'
import type { Cursor, Entry } from '@strata/managed-ledger'
import { noTraffic, type TrafficTotals } from '../metrics/traffic-book.ts'
import { BrokerUnacked, type UnackedPart } from '../limits/broker-unacked.ts'
import type { DispatchThrottle } from '../limits/dispatch-throttle.ts'
import type { Delivery, SubscriptionSettings, SubscriptionType } from '../contract.ts'
import { EntryReader, type EntryInfo } from './entry-info.ts'
import type { Member } from './member.ts'

/** A position that waits for delivery, with its entry where memory still has it. Reused: read it at once. */
export interface PendingRef {
  ledgerId: number
  entryId: number
  entry: Entry | undefined
}

/**
 * The rules of one subscription type. Pure: no clock, no promise, no reading; entries are handed in, messages go out
 * through the members' connections.
 *
 * The log is scanned once, in order, by `offer`; what was scanned and not acknowledged and has no consumer is *pending*,
 * known by position, and comes back through `offerPending`.
 */
export interface Dispatcher {
  readonly type: SubscriptionType
  readonly members: readonly Member[]
  /** @throws BrokerError ConsumerAssignError; nothing has changed then. */
  join(member: Member): void
  /** Its entries become pending, or (single-active types) `needsRewind` is set. */
  leave(member: Member): void
  /** Messages that consumers would take now of the entries not scanned yet; 0: scanning is of no use. */
  credit(): number
  /** Messages an entry holds, lately: to size reads by credit. */
  readonly messagesPerEntry: number
  /** The next entry of the log. False: nobody can take it now, it must be offered again. */
  offer(entry: Entry): boolean
  /** Puts the next pending position that has a taker into `popped`, out of the queue; it must come back by `offerPending` or `gone`. */
  popPending(): boolean
  readonly popped: PendingRef
  /** Delivers it, or queues it again when its taker has no credit any more. */
  offerPending(entry: Entry): void
  /** An entry of the scan, or popped, that nobody gets now: it must come back by `requeue`. False: the scan must start again. */
  putOff(entry: Entry): boolean
  /** Queues a popped position again: it could not be read. */
  requeue(ledgerId: number, entryId: number): void
  /** The log does not hold the entry (any more). */
  gone(ledgerId: number, entryId: number): void
  /** The entry is acknowledged, wholly or (messages outstanding) in part. @returns Messages that this acknowledged. */
  acknowledged(ledgerId: number, entryId: number): number
  acknowledgedPart(ledgerId: number, entryId: number, outstanding: number): number
  acknowledgedUpTo(position: Position): void
  /** Undefined: all the member holds. True: the scan must start again at the mark-delete position. */
  redeliver(member: Member, positions: readonly Position[] | undefined): boolean
  /** Forgets what was scanned; the scan starts again. */
  reset(): void
  /** A new turn: limits that are sums over consumers are summed again. */
  beginTurn(): void
  /** Is there something that `popPending` would find, or credit for new entries? Without side effects: for checks. */
  hasReadyPending(): boolean
  hasReadyCredit(): boolean
  readonly pendingEntries: number
  readonly unackedMessages: number
  readonly isBlockedOnUnacked: boolean
  readonly activeConsumer: Member | undefined
  hashRangesOf(member: Member): readonly string[] | undefined
  /** Of Key_Shared: hashes that wait for another consumer than their own, and how many have been let go; undefined: of others. */
  readonly draining: Draining | undefined
}

export interface Draining {
  readonly hashes: number
  /** With the consumers that they wait for. */
  readonly entries: number
  readonly cleared: number
}

const NO_ENTRY: Entry = { ledgerId: -1, entryId: -1, payload: Buffer.alloc(0) }

/** What the dispatchers of one subscription share, and the only way a message leaves. */
export class DispatchContext {
  readonly topic: string
  readonly partition: number
  /** undefined: nothing is stored, so nothing can be partly acknowledged. */
  readonly cursor: Cursor | undefined
  readonly settings: SubscriptionSettings
  readonly pool: BytePool
  readonly traffic: TrafficTotals
  readonly reader = new EntryReader()
  /** What is sent is charged to it; undefined: no rate holds in this turn. */
  throttle: DispatchThrottle | undefined
  wallMs = 0
  messagesOut = 0
  bytesOut = 0
  messagesRedelivered = 0
  readonly #delivery: Delivery
  readonly #unacked: BrokerUnacked
  readonly #wake: () => void

  constructor(options: {
    topic: string
    partition: number
    cursor: Cursor | undefined
    settings: SubscriptionSettings
    pool: BytePool
    traffic: TrafficTotals | undefined
    unacked?: BrokerUnacked | undefined
    /** Begins a turn. */
    wake?: () => void
  }) {
    this.topic = options.topic
    this.partition = options.partition
    this.cursor = options.cursor
    this.settings = options.settings
    this.pool = options.pool
    this.traffic = options.traffic ?? noTraffic()
    this.#unacked = options.unacked ?? new BrokerUnacked()
    this.#wake = options.wake ?? (() => {})
    this.#delivery = {
      consumerId: 0,
      entry: NO_ENTRY,
      partition: options.partition,
      redeliveryCount: 0,
      ackSet: undefined,
      consumerEpoch: undefined
    }
  }

  /** For a dispatcher that counts what its consumers hold. */
  unackedPart(): UnackedPart {
    return this.#unacked.part(this.#wake)
  }

  /** Sends the entry and charges the member's permits. @returns Messages charged: what is outstanding of the entry. */
  send(member: Member, entry: Entry, info: EntryInfo, how: { redeliveries: number; withEpoch: boolean }): number {
    const ackSet = info.messages > 1 ? this.cursor?.ackSet(entry.ledgerId, entry.entryId) : undefined
    const messages = ackSet === undefined ? info.messages : Math.min(info.messages, countBits(ackSet))
    const delivery = this.#delivery
    delivery.consumerId = member.options.consumerId
    delivery.entry = entry
    delivery.redeliveryCount = how.redeliveries
    delivery.ackSet = ackSet
    delivery.consumerEpoch = how.withEpoch && member.consumerEpoch >= 0 ? member.consumerEpoch : undefined
    member.sent += messages
    member.messagesOut += messages
    member.bytesOut += entry.payload.length
    member.entriesOut++
    member.lastConsumedMs = this.wallMs
    this.messagesOut += messages
    this.bytesOut += entry.payload.length
    this.traffic.deliveries++
    this.traffic.messagesOut += messages
    this.traffic.bytesOut += entry.payload.length
    this.throttle?.spend(messages, entry.payload.length)
    if (how.redeliveries > 0) {
      member.messagesRedelivered += messages
      this.messagesRedelivered += messages
    }
    member.connection.sendMessage(delivery)
    delivery.entry = NO_ENTRY // which keeps nothing alive
    return messages
  }
}

/** Bits that are set. */
export function countBits(words: Int32Array): number {
  let count = 0
  for (let word of words) {
    word -= (word >>> 1) & 0x55555555
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333)
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
  }
  return count
}
