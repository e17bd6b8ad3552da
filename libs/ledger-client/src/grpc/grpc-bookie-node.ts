import { strict as assert } from 'node:assert'
import {
  Client,
  status,
  type ClientDuplexStream,
  type ClientReadableStream,
  type Metadata,
  type ServiceError
} from '@grpc/grpc-js'

import type { BookieId, Clock, Logger } from '@strata/base'
import type {
  AddFailure,
  AddRequest,
  AddSink,
  BookieNode,
  BulkCopies,
  CopyAnswer,
  CopyOrder,
  DamagedPage,
  DamagedStretch,
  EntryRun,
  HeldLedger,
  Inventory,
  InventoryRequest,
  LacAnswer,
  LacRequest,
  ReadAnswer,
  RunFailure,
  RunRequest
} from '../contract.ts'
import { addRunTo } from '../entry-run.ts'
import { LedgerError } from '../errors.ts'
import { AddBatch, type ChannelAdd } from './add-batch.ts'
import { AddChannels } from './add-channels.ts'
import { AddQueue } from './add-queue.ts'
import { decodeCopyAnswer, decodeRecords, encodeCopyRequest } from './copy-messages.ts'
import { decodeAddAnswers, decodeReadReply, type Address } from './node-messages.ts'
import { callMetadata, clientCredentials, NO_SECURITY, type NodeSecurity } from './node-security.ts'
import { RecoveryCalls } from './recovery-calls.ts'
import { encodeRecoverRequest, type RecoveryOrder } from './recovery-messages.ts'
import { decodeRun, decodeRunAnswer, encodeAddRun } from './run-messages.ts'
import {
  asBuffer,
  CHANNEL_OPTIONS,
  decodeLacReply,
  encodeLacHints,
  encodeLacRequest,
  encodeReadRequest,
  PATHS,
  type LacHint,
  type ReadOptions
} from './service.ts'
import {
  decodeDamagedEntries,
  decodeHeldLedgers,
  decodeInventory,
  encodeDamagedEntriesRequest,
  encodeHeldLedgersRequest,
  encodeInventoryRequest,
  type HeldLedgersPage
} from './survey-messages.ts'

export interface GrpcBookieNodeOptions {
  readonly bookieId: BookieId
  readonly clusterId: string
  /** host:port */
  readonly address: string
  readonly clock: Clock
  readonly logger: Logger
  /** How long a request may go unanswered: a read as a whole, an add since the last answer of its ledger. */
  readonly timeoutMs: number
  /** Default: no certificate, no secret. */
  readonly security?: NodeSecurity
  /** Adds that wait because the node gives no credit; past it the node counts as unreachable. */
  readonly queueBytesMax?: number
  /**
   * Of answers, that the node may send before it is told that they were taken. Default: 64 KB, so that answers to adds pass large
   * ones on the way; more for who reads large stretches and waits for nothing else.
   */
  readonly windowBytes?: number
}

/** Adds of a turn go out in messages of about this size. */
const BATCH_BYTES_MAX = 1024 * 1024
const QUEUE_BYTES_MAX = 128 * 1024 * 1024
/** A node lets copies in a little at a time while writers wait for it, and gives records for others' likewise. */
const RUN_WAIT_MS = 30_000
const RECORDS_WAIT_MS = 20_000
/** LACs in one request. */
const HINTS_MAX = 1000
/** The node stops when it is 256 messages of answers ahead of what it was told were taken. */
const TAKEN_UNTOLD_MAX = 64

type AddStream = ClientDuplexStream<AddBatch, Buffer>

/**
 * A storage node in another process. All adds go through one stream, those of a turn of the event loop in one message.
 *
 * Invariants
 *   G1  A stream that breaks, or owes an answer past the time-out, fails every add that was not answered, at once and before
 *       any later add is sent: so what a sink hands over after a gap cannot be acknowledged together with the gap.
 *   G2  No more is sent than the node gave credit for; what waits for credit is bounded by `queueBytesMax`.
 *   G3  Every request has a deadline, which the node is told.
 */
export class GrpcBookieNode implements BookieNode {
  readonly bookieId: BookieId
  readonly bulk: BulkCopies = {
    readRecords: async request => {
      const asked = encodeReadRequest(this.#names, { ...request, fence: false })
      return decodeRecords(await this.#ask(PATHS.readRecords, asked, RECORDS_WAIT_MS))
    },
    copyFrom: order => this.#copyFrom(order)
  }
  readonly #client: Client
  readonly #names: { clusterId: string; nodeId: string }
  readonly #address: Address
  readonly #clock: Clock
  readonly #log: Logger
  readonly #timeoutMs: number
  readonly #queueBytesMax: number
  readonly #metadata: ReadonlyMap<string, Metadata>
  readonly #channels = new AddChannels()
  readonly #queue = new AddQueue()
  readonly #recoveryCalls: RecoveryCalls
  #stream: AddStream | undefined
  /** Messages of answers: taken, and of these told to the node. */
  #answersTaken = 0
  #answersTold = 0
  /** Since the last flush. */
  #pushedBytes = 0
  #isFlushDue = false
  #cancelCheck: (() => void) | undefined
  #hints: LacHint[] = []
  #hinting: Promise<void> | undefined
  #isClosed = false

  constructor(options: GrpcBookieNodeOptions) {
    this.bookieId = options.bookieId
    this.#names = { clusterId: options.clusterId, nodeId: options.bookieId }
    this.#address = { clusterId: Buffer.from(options.clusterId), nodeId: Buffer.from(options.bookieId) }
    this.#clock = options.clock
    this.#timeoutMs = options.timeoutMs
    this.#log = options.logger.child({ bookieId: options.bookieId, address: options.address })
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX
    const security = options.security ?? NO_SECURITY
    this.#metadata = new Map(Object.values(PATHS).map(path => [path, callMetadata(security, this.#names, path)]))
    this.#recoveryCalls = new RecoveryCalls({
      together: orders => this.#recover(orders),
      fence: ledgerId => this.#readLac({ ledgerId, fence: true }),
      read: (ledgerId, limits) => this.#read({ ledgerId, ...limits, fence: true }),
      errorOf: error => this.#errorOf(error ?? null)
    })
    this.#client = new Client(options.address, clientCredentials(security), {
      ...CHANNEL_OPTIONS,
      ...(options.windowBytes === undefined ? {} : { 'grpc-node.flow_control_window': options.windowBytes }),
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000
    })
  }

  add(request: AddRequest, sink: AddSink): void {
    const channel = this.#channels.send(sink, request, this.#clock)
    this.#queue.push(channel, request)
    this.#pushedBytes += request.payload.length
    if (this.#pushedBytes >= BATCH_BYTES_MAX) this.#flush()
    else this.#flushLater() // behind all sockets that are read in this turn
  }

  read(options: ReadOptions): Promise<ReadAnswer> {
    const isRecovery = options.fence && (options.every ?? 1) === 1
    return isRecovery ? this.#recoveryCalls.read(options.ledgerId, options) : this.#read(options)
  }

  async #read(options: ReadOptions): Promise<ReadAnswer> {
    return decodeReadReply(await this.#ask(PATHS.read, encodeReadRequest(this.#names, options)))
  }

  async readRun(request: RunRequest): Promise<EntryRun | undefined> {
    const options = { ...request, fence: false }
    return decodeRun(request, await this.#ask(PATHS.read, encodeReadRequest(this.#names, options)))
  }

  /** A node of the release before runs is given them entry by entry. */
  async addRun(run: EntryRun): Promise<RunFailure | undefined> {
    try {
      return decodeRunAnswer(run, await this.#ask(PATHS.addRun, encodeAddRun(this.#address, run), RUN_WAIT_MS))
    } catch (error) {
      if (!isUnknownToNode(error)) throw error
      return await addRunTo(this, run)
    }
  }

  /** One of the release before copies nothing by itself. */
  async #copyFrom(order: CopyOrder): Promise<CopyAnswer> {
    try {
      const request = encodeCopyRequest(this.#names, order)
      return decodeCopyAnswer(order, await this.#ask(PATHS.copyFrom, request, RUN_WAIT_MS))
    } catch (error) {
      if (!isUnknownToNode(error)) throw error
      return { next: order.first, bytes: 0 }
    }
  }

  readLac(options: LacRequest): Promise<LacAnswer> {
    return options.fence ? this.#recoveryCalls.fence(options.ledgerId) : this.#readLac(options)
  }

  async #readLac(options: LacRequest): Promise<LacAnswer> {
    const waitMs = options.waitPast === undefined ? 0 : (options.timeoutMs ?? 0)
    return decodeLacReply(await this.#ask(PATHS.readLac, encodeLacRequest(this.#names, options), waitMs))
  }

  /** Those of a turn go in one request: writers pause together, at a tick. */
  writeLac(hint: LacHint): Promise<void> {
    this.#hints.push(hint)
    this.#hinting ??= new Promise<void>(resolve => setImmediate(resolve)).then(() => this.#tellHints())
    return this.#hinting
  }

  async #tellHints(): Promise<void> {
    const hints = this.#hints
    this.#hints = []
    this.#hinting = undefined
    const requests: Promise<Buffer>[] = []
    for (let from = 0; from < hints.length; from += HINTS_MAX) {
      requests.push(this.#ask(PATHS.writeLac, encodeLacHints(this.#names, hints.slice(from, from + HINTS_MAX))))
    }
    await Promise.all(requests)
  }

  async inventory(request: InventoryRequest): Promise<Inventory> {
    return decodeInventory(request, await this.#ask(PATHS.inventory, encodeInventoryRequest(this.#names, request)))
  }

  async heldLedgers(page: HeldLedgersPage): Promise<HeldLedger[]> {
    return decodeHeldLedgers(await this.#ask(PATHS.heldLedgers, encodeHeldLedgersRequest(this.#names, page)))
  }

  async damagedEntries(page: DamagedPage): Promise<DamagedStretch[]> {
    const request = encodeDamagedEntriesRequest(this.#names, page)
    return decodeDamagedEntries(await this.#ask(PATHS.damagedEntries, request))
  }

  /** Fails what is pending. */
  close(): void {
    this.#isClosed = true
    this.#break(this.#stream, 'UNREACHABLE')
    this.#client.close()
  }

  #flushLater(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(() => {
      this.#isFlushDue = false
      this.#flush()
    })
  }

  #flush(): void {
    this.#pushedBytes = 0
    if (this.#isClosed) {
      this.#queue.reset()
      this.#channels.failAll('UNREACHABLE')
      return
    }
    if (this.#queue.isEmpty && this.#answersTaken === this.#answersTold) return
    const stream = (this.#stream ??= this.#openStream())
    for (let adds = this.#queue.take(BATCH_BYTES_MAX); adds.length > 0; adds = this.#queue.take(BATCH_BYTES_MAX)) {
      this.#write(stream, adds)
    }
    if (this.#answersTaken - this.#answersTold >= TAKEN_UNTOLD_MAX) this.#write(stream, [])
    if (this.#queue.bytes > this.#queueBytesMax) {
      this.#warn('UNREACHABLE', 'it takes adds more slowly than they come')
      this.#break(stream, 'UNREACHABLE')
    } else if (!this.#channels.isEmpty) this.#checkLater()
  }

  #write(stream: AddStream, adds: readonly ChannelAdd[]): void {
    this.#answersTold = this.#answersTaken
    stream.write(new AddBatch(this.#address, adds, this.#answersTaken))
  }

  #openStream(): AddStream {
    const stream = this.#client.makeBidiStreamRequest(PATHS.add, asMessage, asBuffer, this.#metadataOf(PATHS.add))
    stream.on('data', (message: Buffer) => this.#onAnswers(stream, message))
    stream.on('end', () => this.#break(stream, 'UNREACHABLE'))
    stream.on('error', (error: ServiceError) => {
      const failure = isWrongNode(error) ? 'WRONG_NODE' : 'UNREACHABLE'
      if (this.#stream === stream) this.#warn(failure, error.details)
      this.#break(stream, failure)
    })
    this.#write(stream, []) // says whom it means; credit follows
    return stream
  }

  #metadataOf(path: string): Metadata {
    const metadata = this.#metadata.get(path)
    assert(metadata !== undefined)
    return metadata
  }

  #onAnswers(stream: AddStream, message: Buffer): void {
    if (this.#stream !== stream) return
    const nowMs = this.#clock.nowMs()
    try {
      const { answers, grantedBytes } = decodeAddAnswers(message)
      this.#answersTaken += 1
      let mayFlush = this.#queue.grant(grantedBytes) || this.#answersTaken - this.#answersTold >= TAKEN_UNTOLD_MAX
      for (const answer of answers) {
        if (this.#queue.onAnswer(answer)) mayFlush = true
        this.#channels.answer(answer, nowMs)
      }
      if (mayFlush) this.#flushLater()
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
    this.#queue.reset()
    this.#answersTaken = 0
    this.#answersTold = 0
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

  #recover(orders: readonly RecoveryOrder[]): ClientReadableStream<Buffer> {
    if (this.#isClosed) throw this.#errorOf(null)
    const { recover } = PATHS
    const request = encodeRecoverRequest(this.#address, orders)
    const deadline = this.#clock.wallMs() + this.#timeoutMs
    return this.#client.makeServerStreamRequest(recover, asBuffer, asBuffer, request, this.#metadataOf(recover), {
      deadline
    })
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
      const deadline = this.#clock.wallMs() + this.#timeoutMs + waitMs
      const metadata = this.#metadataOf(path)
      this.#client.makeUnaryRequest(path, asBuffer, asBuffer, request, metadata, { deadline }, answered)
    })
  }

  #errorOf(error: ServiceError | null): Error {
    const details = { bookieId: this.bookieId, reason: error?.details ?? 'closed' }
    const code = error !== null && isWrongNode(error) ? 'WRONG_NODE' : 'UNAVAILABLE'
    return LedgerError.create(code, details, error ?? undefined)
  }
}

/** gRPC takes its length, and copies it behind the five bytes of a frame. */
const asMessage = (batch: AddBatch): Buffer => batch as unknown as Buffer

function isUnknownToNode(error: unknown): boolean {
  const cause = LedgerError.is(error, 'UNAVAILABLE') ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === status.UNIMPLEMENTED
}

function isWrongNode(error: ServiceError): boolean {
  return error.code === status.FAILED_PRECONDITION && error.details === 'WRONG_NODE'
}
