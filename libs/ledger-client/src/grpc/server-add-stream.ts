import type { ServerDuplexStream, status } from '@grpc/grpc-js'
import type { EntryId, LedgerId, Logger } from '@strata/base'
import type { AddStretch } from '../add-stretch.ts'
import type { AddFailure, AddRequest, AddSink, BookieNode } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { addBytes, decodeAddBatch, type AddBatchHandler } from './add-batch.ts'
import type { NodeCredit, StreamCredit } from './add-credit.ts'
import { encodeAddAnswers, type AddAnswer, type Address } from './node-messages.ts'
import type { RecoveryLane } from './recovery-lane.ts'
import type { WriterLoad } from './writer-load.ts'

export type AddCall = ServerDuplexStream<Buffer, Buffer>

/** What all streams of a node share. */
export interface AddStreamOptions {
  readonly node: BookieNode
  readonly credit: NodeCredit
  readonly recoveryLane: RecoveryLane
  readonly writers: WriterLoad
  readonly isMeant: (clusterId: string, nodeId: string) => boolean
  readonly statusOf: (error: unknown) => { code: status; details: string }
  readonly counts: AddCounts
  readonly logger: Logger
  readonly onGone: (stream: ServerAddStream) => void
}

export interface AddCounts {
  adds: number
  addBytes: number
  failedAdds: number
}

/** Of adds that came together, so many are settled at a time. */
const SETTLED_BYTES = 32 * 1024

/** Messages of answers that a peer may be behind with. */
const ANSWERS_AHEAD_MAX = 256

/**
 * One peer's adds: hands them to the node in order, and its answers back, those of a turn in one message.
 *
 * Invariants
 *   A1  What a peer sends is within the credit it was given, or the stream is refused.
 *   A2  The credit of an add comes back when its answer is written, and answers are written only while the peer keeps up
 *       with them: a peer that reads nothing ends without credit, and costs no more than its window.
 *   A3  Adds of recovery wait in a lane of their own; those of one channel are all of one kind, so they stay in order.
 */
export class ServerAddStream implements AddBatchHandler {
  readonly #call: AddCall
  readonly #options: AddStreamOptions
  readonly #channels = new Map<number, ServerChannel>()
  #credit: StreamCredit | undefined
  #answers: AddAnswer[] = []
  /** Of adds whose answers are not written yet. */
  #unwrittenBytes = 0
  #messagesWritten = 0
  #messagesTaken = 0
  /** Of writers, in the message that is being taken. */
  #writersBytes = 0
  #isFlushDue = false
  #isEnding = false
  #isGone = false

  constructor(call: AddCall, options: AddStreamOptions) {
    this.#call = call
    this.#options = options
  }

  start(): void {
    this.#call.on('data', (message: Buffer) => this.#onBatch(message))
    this.#call.on('end', () => this.#leave(() => this.#call.end()))
    this.#call.on('cancelled', () => this.#leave(() => undefined))
    this.#call.on('error', () => this.#leave(() => undefined))
  }

  /** Answers what the node still owes, then ends; the peer fails what it sends meanwhile. */
  endWhenIdle(): void {
    this.#isEnding = true
    this.#flushLater()
  }

  onAddress({ clusterId, nodeId }: Address): void {
    if (!this.#options.isMeant(clusterId.toString(), nodeId.toString())) throw LedgerError.create('WRONG_NODE')
    if (this.#credit !== undefined) return
    this.#credit = this.#options.credit.open(() => this.#flushLater())
    this.#flushLater()
  }

  onAdd(number: number, request: AddRequest): void {
    const bytes = addBytes(request.payload.length)
    this.#receive(1, bytes)
    const { node, recoveryLane } = this.#options
    const channel = this.#channelOf(number, request.recovery)
    channel.admit(request.entryId, bytes)
    if (channel.isRecovery) {
      const isWanted = (): boolean => !this.#isGone
      const onDropped = (): void => this.#credit?.settle(bytes)
      recoveryLane.add({ start: () => node.add(request, channel), isWanted, onDropped, bytes })
      return
    }
    this.#writersBytes += bytes
    node.add(request, channel)
  }

  onStretch(number: number, stretch: AddStretch): void {
    const { node } = this.#options
    const channel = this.#channelOf(number, false)
    if (node.addStretch === undefined || channel.isRecovery) {
      for (let i = 0; i < stretch.count; i++) this.onAdd(number, stretch.requestAt(i))
      return
    }
    let bytes = 0
    let pieceBytes = 0
    const last = stretch.count - 1
    for (let i = 0; i <= last; i++) {
      pieceBytes += addBytes(stretch.payloadBytesAt(i))
      if (pieceBytes < SETTLED_BYTES && i < last) continue
      channel.admit(stretch.entryIdAt(i), pieceBytes)
      bytes += pieceBytes
      pieceBytes = 0
    }
    this.#receive(stretch.count, bytes, addBytes(stretch.payloadBytesAt(last)))
    this.#writersBytes += bytes
    node.addStretch(stretch, channel)
  }

  onAnswersTaken(count: number): void {
    if (count <= this.#messagesTaken) return
    this.#messagesTaken = Math.min(count, this.#messagesWritten)
    if (this.#answers.length > 0 || this.#unwrittenBytes > 0) this.#flushLater()
  }

  /** `bytes`: of all adds that this answer is for. */
  onSettled(channel: ServerChannel, answer: AddAnswer, bytes: number): void {
    const { recoveryLane, writers } = this.#options
    if (channel.isRecovery) recoveryLane.onAnswered(bytes)
    else writers.onAnswered(bytes)
    if (answer.failure !== undefined) this.#options.counts.failedAdds += 1
    if (this.#isGone) {
      this.#credit?.settle(bytes)
      return
    }
    if (channel.isIdle) this.#channels.delete(channel.number)
    this.#unwrittenBytes += bytes
    const last = this.#answers.at(-1)
    // While answers wait, those of a run of adds are one.
    const isCovered = last?.channel === answer.channel && last.failure === undefined && answer.failure === undefined
    if (isCovered) this.#answers[this.#answers.length - 1] = answer
    else this.#answers.push(answer)
    this.#flushLater()
  }

  /** `lastBytes`: of the last one, which alone may lie across the end of the credit. */
  #receive(count: number, bytes: number, lastBytes = bytes): void {
    if (this.#credit?.receive(bytes, lastBytes) !== true) {
      throw LedgerError.create('MALFORMED_MESSAGE', { reason: 'an add past the credit' })
    }
    const { counts } = this.#options
    counts.adds += count
    counts.addBytes += bytes
  }

  #channelOf(number: number, isRecovery: boolean): ServerChannel {
    let channel = this.#channels.get(number)
    if (channel === undefined) {
      channel = new ServerChannel(this, number, isRecovery)
      this.#channels.set(number, channel)
    }
    return channel
  }

  #onBatch(message: Buffer): void {
    if (this.#isGone) return
    try {
      decodeAddBatch(message, this)
    } catch (error) {
      if (!LedgerError.is(error)) throw error
      const fields = { event: 'bookie.stream_refused', code: error.code, peer: this.#call.getPeer() }
      this.#options.logger.warn(fields, 'refused the adds of a peer')
      this.#leave(() => this.#call.emit('error', this.#options.statusOf(error)))
    }
    if (this.#writersBytes === 0) return
    this.#options.writers.onWrites(this.#writersBytes)
    this.#writersBytes = 0
  }

  #flushLater(): void {
    if (this.#isFlushDue || this.#isGone) return
    this.#isFlushDue = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#isFlushDue = false
    if (this.#isGone) return
    const mayWrite = this.#messagesWritten - this.#messagesTaken < ANSWERS_AHEAD_MAX
    if (mayWrite) this.#write()
    if (this.#isEnding && this.#channels.size === 0 && this.#answers.length === 0) this.#leave(() => this.#call.end())
  }

  #write(): void {
    const answers = this.#answers
    this.#answers = []
    this.#credit?.settle(this.#unwrittenBytes)
    this.#unwrittenBytes = 0
    const granted = this.#isEnding ? undefined : this.#credit?.raise()
    if (answers.length === 0 && granted === undefined) return
    this.#messagesWritten += 1
    this.#call.write(encodeAddAnswers(answers, granted))
  }

  /** What the node still answers goes nowhere: the peer took all of it for unknown. */
  #leave(end: () => void): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#channels.clear()
    this.#credit?.settle(this.#unwrittenBytes)
    this.#credit?.close()
    this.#options.onGone(this)
    end()
  }
}

/** The adds of one channel that are not answered yet. */
class ServerChannel implements AddSink {
  readonly number: number
  readonly isRecovery: boolean
  readonly #stream: ServerAddStream
  /** Entry ids and sizes in turn, from `#head` on. */
  #pending: number[] = []
  #head = 0

  constructor(stream: ServerAddStream, channel: number, isRecovery: boolean) {
    this.#stream = stream
    this.number = channel
    this.isRecovery = isRecovery
  }

  get isIdle(): boolean {
    return this.#head === this.#pending.length
  }

  admit(entryId: EntryId, bytes: number): void {
    if (this.isIdle) {
      this.#pending = []
      this.#head = 0
    }
    this.#pending.push(entryId, bytes)
  }

  onAdded(_ledgerId: LedgerId, entryId: EntryId): void {
    this.#settle({ channel: this.number, entryId, failure: undefined })
  }

  onAddFailed(_ledgerId: LedgerId, entryId: EntryId, failure: AddFailure): void {
    this.#settle({ channel: this.number, entryId, failure })
  }

  #settle(answer: AddAnswer): void {
    let bytes = 0
    for (; this.#head < this.#pending.length && (this.#pending[this.#head] ?? 0) <= answer.entryId; this.#head += 2) {
      bytes += this.#pending[this.#head + 1] ?? 0
    }
    if (this.#head > 8_192 && this.#head * 2 > this.#pending.length) {
      this.#pending.splice(0, this.#head)
      this.#head = 0
    }
    this.#stream.onSettled(this, answer, bytes)
  }
}
