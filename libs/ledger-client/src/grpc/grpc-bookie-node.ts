import { Client, credentials, status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'
import type { BookieId, Clock, EntryId, LedgerId, Logger } from '@strata/base'
import type { AddFailure, AddRequest, AddSink, BookieNode, LacAnswer, LacRequest, ReadAnswer } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { AddChannels } from './add-channels.ts'
import {
  addBytes,
  decodeAddAnswers,
  decodeReadReply,
  encodeAddBatch,
  type Address,
  type ChannelAdd
} from './node-messages.ts'
import {
  asBuffer,
  CHANNEL_OPTIONS,
  decodeLacReply,
  encodeLacHint,
  encodeLacRequest,
  encodeReadRequest,
  PATHS,
  type ReadOptions
} from './service.ts'

export interface GrpcBookieNodeOptions {
  readonly bookieId: BookieId
  readonly clusterId: string
  /** host:port */
  readonly address: string
  readonly clock: Clock
  readonly logger: Logger
  /** How long a request may go unanswered: a read as a whole, an add since the last answer of its ledger. */
  readonly timeoutMs: number
}

/** Adds of a turn go out in messages of about this size. */
const BATCH_BYTES_MAX = 1024 * 1024

type AddStream = ClientDuplexStream<Buffer, Buffer>

/**
 * A storage node in another process. All adds go through one stream, those of a turn of the event loop in one message.
 *
 * Invariant: a stream that breaks, or owes an answer past the time-out, fails every add that was not answered, at once
 * and before any later add is sent: so what a sink hands over after a gap cannot be acknowledged together with the gap.
 */
export class GrpcBookieNode implements BookieNode {
  readonly bookieId: BookieId
  readonly #client: Client
  readonly #names: { clusterId: string; nodeId: string }
  readonly #address: Address
  readonly #clock: Clock
  readonly #log: Logger
  readonly #timeoutMs: number
  readonly #channels = new AddChannels()
  #stream: AddStream | undefined
  #batch: ChannelAdd[] = []
  #batchBytes = 0
  #isFlushDue = false
  #cancelCheck: (() => void) | undefined
  #isClosed = false

  constructor(options: GrpcBookieNodeOptions) {
    this.bookieId = options.bookieId
    this.#names = { clusterId: options.clusterId, nodeId: options.bookieId }
    this.#address = { clusterId: Buffer.from(options.clusterId), nodeId: Buffer.from(options.bookieId) }
    this.#clock = options.clock
    this.#timeoutMs = options.timeoutMs
    this.#log = options.logger.child({ bookieId: options.bookieId, address: options.address })
    this.#client = new Client(options.address, credentials.createInsecure(), {
      ...CHANNEL_OPTIONS,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000
    })
  }

  add(request: AddRequest, sink: AddSink): void {
    const channel = this.#channels.send(sink, request, this.#clock.nowMs())
    this.#batch.push({ channel, request })
    this.#batchBytes += addBytes(request)
    if (this.#batchBytes >= BATCH_BYTES_MAX) this.#flush()
    else if (!this.#isFlushDue) {
      this.#isFlushDue = true
      setImmediate(() => this.#flush()) // behind all sockets that are read in this turn
    }
  }

  async read(options: ReadOptions): Promise<ReadAnswer> {
    return decodeReadReply(await this.#ask(PATHS.read, encodeReadRequest(this.#names, options)))
  }

  async readLac(options: LacRequest): Promise<LacAnswer> {
    const waitMs = options.waitPast === undefined ? 0 : (options.timeoutMs ?? 0)
    return decodeLacReply(await this.#ask(PATHS.readLac, encodeLacRequest(this.#names, options), waitMs))
  }

  async writeLac(options: { ledgerId: LedgerId; lac: EntryId }): Promise<void> {
    await this.#ask(PATHS.writeLac, encodeLacHint(this.#names, options))
  }

  /** Fails what is pending. */
  close(): void {
    this.#isClosed = true
    this.#break(this.#stream, 'UNREACHABLE')
    this.#client.close()
  }

  #flush(): void {
    this.#isFlushDue = false
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (this.#isClosed) {
      this.#channels.failAll('UNREACHABLE')
      return
    }
    this.#stream ??= this.#openStream()
    this.#stream.write(encodeAddBatch(this.#address, batch))
    this.#checkLater()
  }

  #openStream(): AddStream {
    const stream = this.#client.makeBidiStreamRequest(PATHS.add, asBuffer, asBuffer)
    stream.on('data', (message: Buffer) => this.#onAnswers(stream, message))
    stream.on('end', () => this.#break(stream, 'UNREACHABLE'))
    stream.on('error', (error: ServiceError) => {
      const failure = isWrongNode(error) ? 'WRONG_NODE' : 'UNREACHABLE'
      if (this.#stream === stream) this.#warn(failure, error.details)
      this.#break(stream, failure)
    })
    return stream
  }

  #onAnswers(stream: AddStream, message: Buffer): void {
    if (this.#stream !== stream) return
    const nowMs = this.#clock.nowMs()
    try {
      for (const answer of decodeAddAnswers(message)) this.#channels.answer(answer, nowMs)
    } catch (error) {
      if (!LedgerError.is(error, 'MALFORMED_MESSAGE')) throw error
      this.#warn('UNREACHABLE', error.message)
      this.#break(stream, 'UNREACHABLE')
    }
  }

  #break(stream: AddStream | undefined, failure: AddFailure): void {
    if (stream !== this.#stream) return
    this.#stream = undefined
    stream?.cancel()
    this.#cancelCheck?.()
    this.#cancelCheck = undefined
    this.#batch = []
    this.#batchBytes = 0
    this.#channels.failAll(failure)
  }

  /** One timer a node, not one an add; it runs only while an answer is owed. */
  #checkLater(): void {
    this.#cancelCheck ??= this.#clock.after(this.#timeoutMs / 2, () => {
      this.#cancelCheck = undefined
      const oldestMs = this.#channels.oldestWaitMs()
      if (oldestMs === undefined) return
      if (oldestMs + this.#timeoutMs > this.#clock.nowMs()) {
        this.#checkLater()
        return
      }
      this.#warn('UNREACHABLE', 'no answer in time')
      this.#break(this.#stream, 'UNREACHABLE')
    })
  }

  #warn(failure: AddFailure, reason: string): void {
    this.#log.warn({ event: 'bookie.stream_broken', failure, reason }, 'adds to a bookie failed')
  }

  /** `waitMs`: the time that the node may take on purpose. */
  #ask(path: string, request: Buffer, waitMs = 0): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const answered = (error: ServiceError | null, reply?: Buffer): void => {
        if (error === null && reply !== undefined) resolve(reply)
        else reject(this.#errorOf(error))
      }
      if (this.#isClosed) {
        answered(null)
        return
      }
      const call = this.#client.makeUnaryRequest<Buffer, Buffer>(path, asBuffer, asBuffer, request, (error, reply) => {
        cancelTimer()
        answered(error, reply)
      })
      const cancelTimer = this.#clock.after(this.#timeoutMs + waitMs, () => call.cancel())
    })
  }

  #errorOf(error: ServiceError | null): Error {
    const details = { bookieId: this.bookieId, reason: error?.details ?? 'closed' }
    const code = error !== null && isWrongNode(error) ? 'WRONG_NODE' : 'UNAVAILABLE'
    return LedgerError.create(code, details, error ?? undefined)
  }
}

function isWrongNode(error: ServiceError): boolean {
  return error.code === status.FAILED_PRECONDITION && error.details === 'WRONG_NODE'
}
