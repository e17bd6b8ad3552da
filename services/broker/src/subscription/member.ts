import type { Position } from '@strata/cursor-protocol'
import type {
  AckedMessage,
  Consumer,
  ConsumerConnection,
  ConsumerOptions,
  ConsumerStats,
  Subscription
} from '../contract.ts'
import { PositionHeap } from './position-heap.ts'
import { Rate } from './rate.ts'

/** What a consumer's calls become. Implemented by the subscription it is attached to. */
export interface MemberHost {
  readonly subscription: Subscription
  onFlow(member: Member): void
  onAcknowledge(member: Member, messages: readonly AckedMessage[]): void
  onAcknowledgeCumulative(member: Member, message: AckedMessage): void
  onRedeliver(member: Member, positions: readonly Position[] | undefined, consumerEpoch: number | undefined): void
  onLeave(member: Member): void
  onWritable(): void
  wallMs(): number
}

/**
 * A consumer, as its subscription keeps it.
 *
 * Invariants
 *   M1  `granted` and `sent` only grow; permits are their difference and are stored nowhere else.
 *   M2  `unacked` is the sum of the outstanding messages of the entries it holds in the entry table (Shared types).
 */
export class Member implements Consumer {
  readonly options: ConsumerOptions
  readonly connection: ConsumerConnection
  /** Unique in its subscription, above zero. */
  readonly serial: number
  readonly #host: MemberHost
  readonly #onWritable: () => void
  readonly #connectedSinceMs: number

  granted = 0
  sent = 0
  unacked = 0
  /** Too many unacknowledged messages: no credit until half of them are acknowledged. */
  isBlocked = false
  consumerEpoch: number
  isGone = false
  isEndTold = false
  /** Positions only this consumer may take (Key_Shared: of its hashes; Shared: chunks of messages it has begun). */
  readonly pending = new PositionHeap()

  messagesOut = 0
  bytesOut = 0
  entriesOut = 0
  messagesRedelivered = 0
  messagesAcked = 0
  lastAckedMs = 0
  lastConsumedMs = 0
  lastFlowMs = 0
  readonly #rates = { messages: new Rate(), bytes: new Rate(), redelivered: new Rate(), acked: new Rate() }
  #isAwaitingSocket = false

  constructor(options: ConsumerOptions, serial: number, host: MemberHost) {
    this.options = options
    this.connection = options.connection
    this.serial = serial
    this.consumerEpoch = options.consumerEpoch
    this.#host = host
    this.#connectedSinceMs = host.wallMs()
    this.#onWritable = () => {
      this.#isAwaitingSocket = false
      if (!this.isGone) host.onWritable()
    }
  }

  get subscription(): Subscription {
    return this.#host.subscription
  }

  get permits(): number {
    return this.granted - this.sent
  }

  /** Credit and a socket that takes it. A closed socket is asked to tell when it opens: that schedules the next pump. */
  get canTake(): boolean {
    if (this.granted <= this.sent || this.isBlocked || this.isGone) return false
    if (this.connection.isWritable) return true
    if (!this.#isAwaitingSocket) {
      this.#isAwaitingSocket = true
      this.connection.onWritable(this.#onWritable)
    }
    return false
  }

  /** The same, without side effects: for checks. */
  get isReady(): boolean {
    return this.granted > this.sent && !this.isBlocked && !this.isGone && this.connection.isWritable
  }

  flow(permits: number): void {
    if (this.isGone || permits <= 0) return
    this.granted += permits
    this.lastFlowMs = this.#host.wallMs()
    this.#host.onFlow(this)
  }

  acknowledge(messages: readonly AckedMessage[], _validationErrors: boolean): void {
    if (this.isGone) return
    this.lastAckedMs = this.#host.wallMs()
    this.#host.onAcknowledge(this, messages)
  }

  acknowledgeCumulative(message: AckedMessage): void {
    if (this.isGone) return
    this.lastAckedMs = this.#host.wallMs()
    this.#host.onAcknowledgeCumulative(this, message)
  }

  redeliverAll(consumerEpoch: number | undefined): void {
    if (!this.isGone) this.#host.onRedeliver(this, undefined, consumerEpoch)
  }

  redeliver(positions: readonly Position[]): void {
    if (!this.isGone) this.#host.onRedeliver(this, positions, undefined)
  }

  leave(): void {
    if (!this.isGone) this.#host.onLeave(this)
  }

  sample(nowMs: number): void {
    this.#rates.messages.sample(this.messagesOut, nowMs)
    this.#rates.bytes.sample(this.bytesOut, nowMs)
    this.#rates.redelivered.sample(this.messagesRedelivered, nowMs)
    this.#rates.acked.sample(this.messagesAcked, nowMs)
  }

  stats(): ConsumerStats {
    return this.statsWith(undefined)
  }

  statsWith(keyHashRanges: readonly string[] | undefined): ConsumerStats {
    const { options, connection } = this
    return {
      msgRateOut: this.#rates.messages.perSecond,
      msgThroughputOut: this.#rates.bytes.perSecond,
      bytesOutCounter: this.bytesOut,
      msgOutCounter: this.messagesOut,
      msgRateRedeliver: this.#rates.redelivered.perSecond,
      messageAckRate: this.#rates.acked.perSecond,
      consumerName: options.consumerName,
      availablePermits: this.permits,
      unackedMessages: this.unacked,
      avgMessagesPerEntry: this.entriesOut === 0 ? 0 : Math.round(this.messagesOut / this.entriesOut),
      blockedConsumerOnUnackedMsgs: this.isBlocked,
      address: connection.address,
      connectedSince: new Date(this.#connectedSinceMs).toISOString(),
      clientVersion: connection.clientVersion,
      lastAckedTimestamp: this.lastAckedMs,
      lastConsumedTimestamp: this.lastConsumedMs,
      lastConsumedFlowTimestamp: this.lastFlowMs,
      keyHashRanges,
      metadata: options.metadata
    }
  }
}
