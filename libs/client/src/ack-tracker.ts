import type { Clock } from '@strata/base'
import { writeAck, WriteBuffer } from '@strata/wire'
import { BatchAcks } from './batch-acks.ts'
import type { Connection } from './connection.ts'
import { clientErrors } from './errors.ts'
import { MessageId } from './message-id.ts'

const GROUP_IDS_MAX = 1000

export interface AckTrackerOptions {
  readonly consumerId: number
  readonly clock: Clock
  readonly groupMs: number
  readonly hasReceipts: boolean
  readonly hasBatchIndexes: boolean
  connection(): Connection | undefined
}

interface Waiter {
  resolve(): void
  reject(error: Error): void
}

/**
 * Collects acknowledgements and sends them together. An entry with a batch is acknowledged when all of its messages
 * are, or, with batch indexes, message by message.
 */
export class AckTracker {
  readonly #options: AckTrackerOptions
  readonly #out = new WriteBuffer(4096)
  #ledgerIds: number[] = []
  #entryIds: number[] = []
  #ackSets: (Uint32Array | undefined)[] = []
  #waiters: Waiter[] = []
  /** Entries acknowledged here and not yet sent: a redelivery of them is dropped. */
  #pending = new Map<number, Set<number>>()
  #cumulative: MessageId | undefined
  #cumulativeAckSet: Uint32Array | undefined
  #cancelFlush: (() => void) | undefined

  constructor(options: AckTrackerOptions) {
    this.#options = options
  }

  /** Resolves when the group is sent, or durable if receipts are asked for. */
  acknowledge(id: MessageId): Promise<void> {
    if (id.batchIndex >= 0) {
      const batch = id.batch ?? new BatchAcks(Math.max(id.batchSize, id.batchIndex + 1))
      const isDone = batch.acknowledge(id.batchIndex)
      if (!isDone && !this.#options.hasBatchIndexes) return Promise.resolve()
      this.#add(id.ledgerId, id.entryId, isDone ? undefined : batch.halves)
    } else this.#add(id.ledgerId, id.entryId, undefined)
    return this.#sent()
  }

  /** The chunks of a chunked message are entries of their own. */
  acknowledgeEntries(ids: readonly MessageId[]): Promise<void> {
    for (const id of ids) this.#add(id.ledgerId, id.entryId, undefined)
    return this.#sent()
  }

  acknowledgeCumulative(id: MessageId): Promise<void> {
    let upTo = id
    let ackSet: Uint32Array | undefined
    if (id.batchIndex >= 0) {
      const batch = id.batch ?? new BatchAcks(Math.max(id.batchSize, id.batchIndex + 1))
      if (!batch.acknowledgeUpTo(id.batchIndex)) {
        if (this.#options.hasBatchIndexes) ackSet = batch.halves
        else upTo = previousEntry(id)
      }
    }
    if (this.#cumulative === undefined || upTo.compareTo(this.#cumulative) >= 0) {
      this.#cumulative = upTo
      this.#cumulativeAckSet = ackSet
    }
    return this.#sent()
  }

  /** Was this entry acknowledged here already, so that the broker did not know when it sent it again? */
  isPending(ledgerId: number, entryId: number): boolean {
    if (this.#pending.get(ledgerId)?.has(entryId) === true) return true
    const upTo = this.#cumulative
    if (upTo === undefined || this.#cumulativeAckSet !== undefined) return false
    return ledgerId < upTo.ledgerId || (ledgerId === upTo.ledgerId && entryId <= upTo.entryId)
  }

  #add(ledgerId: number, entryId: number, ackSet: Uint32Array | undefined): void {
    this.#ledgerIds.push(ledgerId)
    this.#entryIds.push(entryId)
    this.#ackSets.push(ackSet)
    if (ackSet !== undefined) return
    let entries = this.#pending.get(ledgerId)
    if (entries === undefined) {
      entries = new Set()
      this.#pending.set(ledgerId, entries)
    }
    entries.add(entryId)
  }

  #sent(): Promise<void> {
    const { hasReceipts, groupMs, clock } = this.#options
    const done = hasReceipts
      ? new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }))
      : Promise.resolve()
    if (groupMs === 0 || this.#ledgerIds.length >= GROUP_IDS_MAX) this.flush()
    else this.#cancelFlush ??= clock.after(groupMs, () => this.flush())
    return done
  }

  /** Without a connection everything is kept: the broker will deliver it again, and `isPending` drops it then. */
  flush(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    const connection = this.#options.connection()
    if (connection === undefined) return
    const waiters = this.#waiters
    this.#waiters = []
    const groups: { isCumulative: boolean; ids: Parameters<typeof writeAck>[1]['ids'] }[] = []
    if (this.#cumulative !== undefined) {
      const { ledgerId, entryId } = this.#cumulative
      const ids = { ledgerIds: [ledgerId], entryIds: [entryId], ackSets: [this.#cumulativeAckSet] }
      groups.push({ isCumulative: true, ids })
      this.#cumulative = this.#cumulativeAckSet = undefined
    }
    if (this.#ledgerIds.length > 0) {
      const ids = { ledgerIds: this.#ledgerIds, entryIds: this.#entryIds, ackSets: this.#ackSets }
      groups.push({ isCumulative: false, ids })
      this.#ledgerIds = []
      this.#entryIds = []
      this.#ackSets = []
      this.#pending = new Map()
    }
    this.#send(connection, groups, waiters)
  }

  #send(
    connection: Connection,
    groups: { isCumulative: boolean; ids: Parameters<typeof writeAck>[1]['ids'] }[],
    waiters: readonly Waiter[]
  ): void {
    const { consumerId, hasReceipts } = this.#options
    let unanswered = groups.length
    for (const group of groups) {
      const ack = { consumerId, ...group }
      if (!hasReceipts) writeAck(this.#out, ack)
      else {
        const requestId = connection.expectAnswer('ack', {
          onAnswer: () => {
            if (--unanswered === 0) for (const waiter of waiters) waiter.resolve()
          },
          onError: error => {
            for (const waiter of waiters) waiter.reject(error)
          }
        })
        writeAck(this.#out, { ...ack, requestId })
      }
    }
    if (this.#out.length > 0) connection.send(this.#out.take())
    if (groups.length === 0) for (const waiter of waiters) waiter.resolve()
  }

  /** After a seek: what was acknowledged has no meaning any more. */
  clear(): void {
    this.#ledgerIds = []
    this.#entryIds = []
    this.#ackSets = []
    this.#pending = new Map()
    this.#cumulative = this.#cumulativeAckSet = undefined
  }

  close(): void {
    this.flush()
    this.#cancelFlush?.()
    for (const waiter of this.#waiters) waiter.reject(clientErrors.create('ALREADY_CLOSED', { what: 'consumer' }))
    this.#waiters = []
  }
}

/** All up to the entry before that of `id`; within the first entry of a ledger that is nothing of it. */
function previousEntry(id: MessageId): MessageId {
  const { ledgerId, entryId, partition, topic } = id
  return new MessageId({ ledgerId, entryId: entryId - 1, partition, topic })
}
