import type { ReceiptView } from '@strata/wire'
import { Deque } from './deque.ts'
import { MessageId } from './message-id.ts'
import type { SendCallback } from './producer-options.ts'

/** All chunks of one message. */
export interface ChunkGroup {
  firstId: MessageId | undefined
}

export interface PendingSend {
  readonly frame: Buffer
  readonly sequenceLow: number
  readonly sequenceHigh: number
  readonly highestLow: number
  readonly highestHigh: number
  /** One for each message of a batch, or the one of a single message; none for all but the last chunk. */
  readonly callbacks: readonly SendCallback[]
  readonly isBatch: boolean
  /** Charged to the memory limit. */
  readonly chargedBytes: number
  readonly createdAtMs: number
  readonly chunks: ChunkGroup | undefined
  /** Run when the send is answered or has failed. */
  onDone: (() => void)[] | undefined
}

/** Sends without a receipt, in the order in which they went out; receipts come in the same order. */
export class PendingSends {
  readonly #queue = new Deque<PendingSend>()
  #messageCount = 0
  #newest: PendingSend | undefined

  get messageCount(): number {
    return this.#messageCount
  }

  get oldest(): PendingSend | undefined {
    return this.#queue.peek()
  }

  get newest(): PendingSend | undefined {
    return this.#newest
  }

  push(send: PendingSend): void {
    this.#queue.push(send)
    this.#messageCount += send.callbacks.length
    this.#newest = send
  }

  [Symbol.iterator](): Iterator<PendingSend> {
    return this.#queue[Symbol.iterator]()
  }

  shift(): PendingSend | undefined {
    const send = this.#queue.shift()
    if (send === undefined) return undefined
    this.#messageCount -= send.callbacks.length
    if (this.#queue.length === 0) this.#newest = undefined
    return send
  }
}

/** How a receipt stands to the oldest send: it answers that one, or an earlier one, or makes no sense. */
export function matchReceipt(send: PendingSend, receipt: ReceiptView): 'answers' | 'earlier' | 'later' {
  if (receipt.sequenceHigh === send.sequenceHigh && receipt.sequenceLow === send.sequenceLow) return 'answers'
  const difference = receipt.sequenceHigh - send.sequenceHigh || receipt.sequenceLow - send.sequenceLow
  return difference < 0 ? 'earlier' : 'later'
}

/** Tells the callbacks of a send which ids its messages got. */
export function settle(send: PendingSend, receipt: ReceiptView, partition: number, topic: string): void {
  const { ledgerId, entryId } = receipt
  if (send.chunks !== undefined) send.chunks.firstId ??= new MessageId({ ledgerId, entryId, partition, topic })
  const firstChunk = send.chunks?.firstId
  const batchSize = send.isBatch ? send.callbacks.length : 0
  for (let index = 0; index < send.callbacks.length; index++) {
    const callback = send.callbacks[index] as SendCallback
    if (callback === ignoreOutcome) continue
    const batchIndex = send.isBatch ? index : -1
    callback(undefined, new MessageId({ ledgerId, entryId, partition, topic, batchIndex, batchSize, firstChunk }))
  }
}

/** For messages that nobody waits for. */
export const ignoreOutcome: SendCallback = () => undefined
