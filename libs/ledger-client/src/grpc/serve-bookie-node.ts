import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall
} from '@grpc/grpc-js'
import { CodedError, type EntryId, type LedgerId, type Logger } from '@strata/base'
import type { AddFailure, AddRequest, AddSink, BookieNode } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import { decodeAddBatch, encodeAddAnswers, encodeReadReply, type AddAnswer, type Address } from './node-messages.ts'
import {
  CHANNEL_OPTIONS,
  decodeLacHint,
  decodeLacRequest,
  decodeReadRequest,
  encodeLacHintReply,
  encodeLacReply,
  SERVICE
} from './service.ts'

export interface ServeOptions {
  readonly clusterId: string
  readonly host: string
  /** 0: any free one */
  readonly port: number
  readonly logger: Logger
}

export interface ServedBookieNode {
  readonly port: number
  /** Lets requests end for a while, then breaks what is left. */
  close(): Promise<void>
}

/** A read's answer stays well below what a message may hold. */
const READ_BYTES_MAX = 8 * 1024 * 1024
/** A stream whose adds wait for more than this is not read until the disk caught up. */
const IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024
const CLOSE_MS_MAX = 1_000

/** Lets brokers in other processes use a node. @throws Error when the port cannot be bound */
export async function serveBookieNode(node: BookieNode, options: ServeOptions): Promise<ServedBookieNode> {
  const server = new Server(CHANNEL_OPTIONS)
  const streams = new Set<AddStream>()
  const isMeant = (clusterId: string | undefined, nodeId: string | undefined): boolean =>
    clusterId === options.clusterId && nodeId === node.bookieId
  server.addService(SERVICE, {
    add: (call: AddCall) => {
      const stream = new AddStream(call, {
        node,
        isMeant,
        logger: options.logger,
        onGone: () => streams.delete(stream)
      })
      streams.add(stream)
      stream.start()
    },
    read: (call: UnaryCall, answer: sendUnaryData<Buffer>) => {
      answerWith(answer, async () => {
        const { names, options: read } = decodeReadRequest(call.request)
        if (!isMeant(names.clusterId, names.nodeId)) throw LedgerError.create('WRONG_NODE')
        return encodeReadReply(await node.read({ ...read, bytesMax: Math.min(read.bytesMax, READ_BYTES_MAX) }))
      })
    },
    readLac: (call: UnaryCall, answer: sendUnaryData<Buffer>) => {
      answerWith(answer, async () => {
        const { names, options: read } = decodeLacRequest(call.request)
        if (!isMeant(names.clusterId, names.nodeId)) throw LedgerError.create('WRONG_NODE')
        return encodeLacReply(await node.readLac(read))
      })
    },
    writeLac: (call: UnaryCall, answer: sendUnaryData<Buffer>) => {
      answerWith(answer, async () => {
        const { names, options: hint } = decodeLacHint(call.request)
        if (!isMeant(names.clusterId, names.nodeId)) throw LedgerError.create('WRONG_NODE')
        await node.writeLac(hint)
        return encodeLacHintReply()
      })
    }
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${options.host}:${options.port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  return { port, close: () => closeServer(server, streams) }
}

type AddCall = ServerDuplexStream<Buffer, Buffer>
type UnaryCall = ServerUnaryCall<Buffer, Buffer>

/** Runs one request. What is no operating error is a bug, and ends the process. */
function answerWith(answer: sendUnaryData<Buffer>, run: () => Promise<Buffer>): void {
  run().then(
    reply => answer(null, reply),
    (error: unknown) => {
      answer(statusOf(error))
      if (!(error instanceof CodedError)) throw error
    }
  )
}

function statusOf(error: unknown): { code: status; details: string } {
  if (!(error instanceof CodedError)) return { code: status.INTERNAL, details: 'bug' }
  const code = String(error.code)
  if (code === 'WRONG_NODE') return { code: status.FAILED_PRECONDITION, details: code }
  if (code === 'MALFORMED_MESSAGE') return { code: status.INVALID_ARGUMENT, details: error.message }
  return { code: status.UNAVAILABLE, details: code }
}

function closeServer(server: Server, streams: ReadonlySet<AddStream>): Promise<void> {
  for (const stream of streams) stream.endWhenIdle()
  return new Promise(resolve => {
    const timer = setTimeout(() => server.forceShutdown(), CLOSE_MS_MAX)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** One peer's adds: hands them to the node in order, and its answers back, those of a turn in one message. */
class AddStream {
  readonly #call: AddCall
  readonly #node: BookieNode
  readonly #isMeant: (clusterId: string, nodeId: string) => boolean
  readonly #log: Logger
  readonly #onGone: () => void
  readonly #channels = new Map<number, ServerChannel>()
  #answers: AddAnswer[] = []
  #inFlightBytes = 0
  #isEnding = false
  #isGone = false

  constructor(
    call: AddCall,
    options: {
      node: BookieNode
      isMeant: (clusterId: string, nodeId: string) => boolean
      logger: Logger
      onGone: () => void
    }
  ) {
    this.#call = call
    this.#node = options.node
    this.#isMeant = options.isMeant
    this.#log = options.logger
    this.#onGone = options.onGone
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
    if (this.#channels.size === 0) setImmediate(() => this.#flush())
  }

  onAdd(channel: number, request: AddRequest): void {
    let open = this.#channels.get(channel)
    if (open === undefined) {
      open = new ServerChannel(this, channel)
      this.#channels.set(channel, open)
    }
    this.#inFlightBytes += open.admit(request)
    this.#node.add(request, open)
  }

  onAddress({ clusterId, nodeId }: Address): void {
    if (!this.#isMeant(clusterId.toString(), nodeId.toString())) throw LedgerError.create('WRONG_NODE')
  }

  onSettled(channel: ServerChannel, answer: AddAnswer, bytes: number): void {
    this.#inFlightBytes -= bytes
    if (this.#isGone) return
    if (channel.isIdle) this.#channels.delete(channel.number)
    if (this.#answers.push(answer) === 1) setImmediate(() => this.#flush())
    if (this.#call.isPaused() && this.#inFlightBytes < IN_FLIGHT_BYTES_MAX / 2) this.#call.resume()
  }

  #onBatch(message: Buffer): void {
    if (this.#isGone) return
    try {
      decodeAddBatch(message, this)
    } catch (error) {
      if (!LedgerError.is(error)) throw error
      this.#log.warn({ event: 'bookie.stream_refused', code: error.code }, 'refused the adds of a peer')
      this.#leave(() => this.#call.emit('error', statusOf(error)))
    }
    if (this.#inFlightBytes >= IN_FLIGHT_BYTES_MAX) this.#call.pause()
  }

  #flush(): void {
    const answers = this.#answers
    this.#answers = []
    if (!this.#isGone && answers.length > 0) this.#call.write(encodeAddAnswers(answers))
    if (this.#isEnding && this.#channels.size === 0) this.#leave(() => this.#call.end())
  }

  /** What the node still answers goes nowhere: the peer took all of it for unknown. */
  #leave(end: () => void): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#channels.clear()
    this.#onGone()
    end()
  }
}

/** The adds of one channel that are not answered yet. */
class ServerChannel implements AddSink {
  readonly number: number
  readonly #stream: AddStream
  /** Entry ids and sizes in turn, from `#head` on. */
  #pending: number[] = []
  #head = 0

  constructor(stream: AddStream, channel: number) {
    this.#stream = stream
    this.number = channel
  }

  get isIdle(): boolean {
    return this.#head === this.#pending.length
  }

  admit(request: AddRequest): number {
    if (this.isIdle) {
      this.#pending = []
      this.#head = 0
    }
    this.#pending.push(request.entryId, request.payload.length)
    return request.payload.length
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
