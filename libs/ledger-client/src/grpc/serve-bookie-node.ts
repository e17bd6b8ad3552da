import { Server, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js'
import { CodedError, systemClock, type Clock, type LedgerId, type Logger } from '@strata/base'
import type {
  BookieNode,
  BulkCopies,
  CopyAnswer,
  CopyOrder,
  CopyTurns,
  EntryRecords,
  EntryRun,
  LacAnswer,
  ReadAnswer,
  RunFailure,
  RunRequest
} from '../contract.ts'
import { addRunTo, type RunPiece } from '../entry-run.ts'
import { LedgerError } from '../errors.ts'
import { NodeCredit } from './add-credit.ts'
import { decodeCopyRequest, encodeCopyAnswer, encodeRecords } from './copy-messages.ts'
import { encodeReadReply } from './node-messages.ts'
import { NO_SECURITY, proofInterceptor, serverCredentials, type NodeSecurity } from './node-security.ts'
import { RecoveryLane } from './recovery-lane.ts'
import { decodeRecoverRequest } from './recovery-messages.ts'
import { RequestGate } from './request-gate.ts'
import { answerRecover, type RecoverCall } from './serve-recovery.ts'
import { ServerAddStream, type AddCall } from './server-add-stream.ts'
import { decodeAddRun, encodeRunAnswer } from './run-messages.ts'
import { widenWindows } from './server-window.ts'
import { WriterLoad } from './writer-load.ts'
import {
  CHANNEL_OPTIONS,
  decodeLacHints,
  decodeLacRequest,
  decodeReadRequest,
  encodeLacHintReply,
  encodeLacReply,
  PATHS,
  SERVICE,
  type ReadOptions
} from './service.ts'
import {
  decodeDamagedEntriesRequest,
  decodeHeldLedgersRequest,
  decodeInventoryRequest,
  encodeDamagedEntries,
  encodeHeldLedgers,
  encodeInventory
} from './survey-messages.ts'

export interface ServeOptions {
  readonly clusterId: string
  readonly host: string
  /** 0: any free one */
  readonly port: number
  readonly logger: Logger
  /** Default: the system's. */
  readonly clock?: Clock
  /** Default: whoever reaches the port is served. */
  readonly security?: NodeSecurity
  /** Bytes of adds that may wait for the disk, over all peers; then nobody is given credit for more. */
  readonly addBytesMax?: number
  /** Reads that the disk works on at once. */
  readonly readsMax?: number
  /** How long `close` lets requests end. */
  readonly drainMs?: number
}

export interface ServedBookieNode {
  readonly port: number
  stats(): ServeStats
  /** For this process: copies to and from the node, with no more right to it than those of others. */
  readonly runs: NodeRuns
  /** Lets requests end for a while, then breaks what is left. */
  close(): Promise<void>
}

export type NodeRuns = Pick<BookieNode, 'readRun' | 'addRun'> & { readonly bulk: BulkCopies }

/** Counts since the start, unless it says otherwise. */
export interface ServeStats {
  readonly adds: number
  readonly addBytes: number
  readonly failedAdds: number
  readonly reads: number
  readonly refusedCalls: number
  /** Now. */
  readonly addStreams: number
  /** Now: of adds that are not answered. */
  readonly heldAddBytes: number
  readonly addBytesMax: number
  /** Now. */
  readonly waitingReads: number
  readonly waitingRecoveryReads: number
  readonly waitingRecoveryAdds: number
}

/** A read's answer stays well below what a message may hold. */
const READ_BYTES_MAX = 8 * 1024 * 1024
const ADD_BYTES_MAX = 64 * 1024 * 1024
const READS_MAX = 16
const RECOVERY_READS_MAX = 16
/** One sync does for as many as there are: what they take is memory. */
const FENCES_MAX = 256
/** Those that wait cost the memory of their messages, and whoever copies sends few at a time. */
const RUNS_MAX = 8
const RUNS_WAITING_MAX = 64
/** Each takes the memory of its answer until that is sent. */
const RECORD_READS_MAX = 4
const RECORDS_BYTES_MAX = 4 * 1024 * 1024
/** While writers wait for the node: so that each of those who wait for records has some in time. */
const RECORDS_BYTES_BESIDE_WRITERS = 128 * 1024
/** Those who care for copies can wait. */
const SURVEYS_MAX = 2
const WAITING_MAX = 4_096
const STREAMS_MAX = 256
/** A call may not wait longer than this, whatever its peer asked for. */
const WAIT_MS_MAX = 60_000
/** The most that the credit of one stream lets its peer have on its way; copies share it. */
const WINDOW_BYTES = 16 * 1024 * 1024
const DRAIN_MS = 1_000

/** Lets brokers in other processes use a node. @throws Error when the port cannot be bound */
export async function serveBookieNode(node: BookieNode, options: ServeOptions): Promise<ServedBookieNode> {
  const security = options.security ?? NO_SECURITY
  let refusedCalls = 0
  const interceptor = proofInterceptor(security, {
    target: { clusterId: options.clusterId, nodeId: node.bookieId },
    paths: Object.values(PATHS),
    onRefused: peer => {
      refusedCalls += 1
      options.logger.warn({ event: 'bookie.call_refused', peer }, 'refused a call without a right proof')
    }
  })
  const interceptors = security.secrets.length === 0 ? [] : [interceptor]
  const server = new Server({ ...CHANNEL_OPTIONS, interceptors })
  const service = new NodeService(node, options)
  server.addService(SERVICE, service.handlers())
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(hostPort(options.host, options.port), serverCredentials(security), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  widenWindows(server, WINDOW_BYTES)
  return {
    port,
    stats: () => ({ ...service.stats(), refusedCalls }),
    runs: {
      readRun: request => service.readRun(request),
      addRun: run => service.addRun(run, () => true),
      bulk: {
        readRecords: request => service.readRecords(request, () => true),
        copyFrom: order => service.copyFrom(order, () => true)
      }
    },
    close: () => {
      service.endStreams()
      return shutDown(server, options.drainMs ?? DRAIN_MS)
    }
  }
}

/** As addresses are written: an IPv6 host in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

type UnaryCall = ServerUnaryCall<Buffer, Buffer>
type Unary = (call: UnaryCall, answer: sendUnaryData<Buffer>) => void
type Handlers = { add: (call: AddCall) => void; recover: (call: RecoverCall) => void } & Record<
  Exclude<keyof typeof SERVICE, 'add' | 'recover'>,
  Unary
>

/** Sorts calls into classes: adds go by credit, everything else through gates, so that no class takes the disk from another. */
class NodeService {
  readonly #node: BookieNode
  readonly #clusterId: string
  readonly #log: Logger
  readonly #credit: NodeCredit
  readonly #writers: WriterLoad
  readonly #recoveryLane: RecoveryLane
  readonly #recordLane: RecoveryLane
  readonly #reads: RequestGate
  readonly #runs = new RequestGate({ runningMax: RUNS_MAX, waitingMax: RUNS_WAITING_MAX })
  readonly #recordReads = new RequestGate({ runningMax: RECORD_READS_MAX, waitingMax: WAITING_MAX })
  readonly #fences = new RequestGate({ runningMax: FENCES_MAX, waitingMax: WAITING_MAX })
  readonly #recoveryReads = new RequestGate({ runningMax: RECOVERY_READS_MAX, waitingMax: WAITING_MAX })
  readonly #surveys = new RequestGate({ runningMax: SURVEYS_MAX, waitingMax: WAITING_MAX })
  readonly #streams = new Set<ServerAddStream>()
  readonly #counts = { adds: 0, addBytes: 0, failedAdds: 0, reads: 0 }

  constructor(node: BookieNode, options: ServeOptions) {
    this.#node = node
    this.#clusterId = options.clusterId
    this.#log = options.logger
    this.#credit = new NodeCredit(options.addBytesMax ?? ADD_BYTES_MAX)
    const clock = options.clock ?? systemClock
    this.#writers = new WriterLoad(clock)
    this.#recoveryLane = new RecoveryLane(clock, this.#writers)
    this.#recordLane = new RecoveryLane(clock, this.#writers)
    this.#reads = new RequestGate({ runningMax: options.readsMax ?? READS_MAX, waitingMax: WAITING_MAX })
  }

  handlers(): Handlers {
    return {
      add: call => this.#openStream(call),
      read: unary(async call => {
        const { names, options } = decodeReadRequest(call.request)
        this.#checkMeant(names)
        return encodeReadReply(await this.#read(options, wanted(call)))
      }),
      addRun: unary(async call => {
        const { names, run } = decodeAddRun(call.request)
        this.#checkMeant(names)
        if (run === undefined) return encodeRunAnswer(run, undefined)
        return encodeRunAnswer(run, await this.addRun(run, wanted(call)))
      }),
      readRecords: unary(async call => {
        const { names, options } = decodeReadRequest(call.request)
        this.#checkMeant(names)
        const { every = 1 } = options
        return encodeRecords(await this.readRecords({ ...options, every }, wanted(call)))
      }),
      copyFrom: unary(async call => {
        const { names, order } = decodeCopyRequest(call.request)
        this.#checkMeant(names)
        return encodeCopyAnswer(await this.copyFrom(order, wanted(call)))
      }),
      readLac: unary(async call => {
        const { names, options } = decodeLacRequest(call.request)
        this.#checkMeant(names)
        // one that waits on purpose would keep others from a place, and costs the disk nothing
        if (!options.fence) return encodeLacReply(await this.#node.readLac(options))
        return encodeLacReply(await this.#fence(options.ledgerId, wanted(call)))
      }),
      recover: call => this.#recover(call),
      writeLac: unary(async call => {
        const { names, hints } = decodeLacHints(call.request)
        this.#checkMeant(names)
        for (const hint of hints) await this.#node.writeLac(hint)
        return encodeLacHintReply()
      }),
      inventory: unary(async call => {
        const { names, options } = decodeInventoryRequest(call.request)
        this.#checkMeant(names)
        const inventory = await this.#surveys.run(wanted(call), () => this.#node.inventory(options))
        return encodeInventory(options.first, inventory)
      }),
      heldLedgers: unary(async call => {
        const { names, options } = decodeHeldLedgersRequest(call.request)
        this.#checkMeant(names)
        return encodeHeldLedgers(await this.#surveys.run(wanted(call), () => this.#node.heldLedgers(options)))
      }),
      damagedEntries: unary(async call => {
        const { names, options } = decodeDamagedEntriesRequest(call.request)
        this.#checkMeant(names)
        return encodeDamagedEntries(await this.#surveys.run(wanted(call), () => this.#node.damagedEntries(options)))
      })
    }
  }

  stats(): Omit<ServeStats, 'refusedCalls'> {
    return {
      ...this.#counts,
      addStreams: this.#credit.streamCount,
      heldAddBytes: this.#credit.heldBytes,
      addBytesMax: this.#credit.bytesMax,
      waitingReads: this.#reads.waitingCount,
      waitingRecoveryReads: this.#recoveryReads.waitingCount + this.#fences.waitingCount,
      waitingRecoveryAdds: this.#recoveryLane.waitingCount
    }
  }

  endStreams(): void {
    for (const stream of this.#streams) stream.endWhenIdle()
  }

  readRun(request: RunRequest): Promise<EntryRun | undefined> {
    const limited = { ...request, bytesMax: Math.min(request.bytesMax, READ_BYTES_MAX) }
    return this.#reads.run(
      () => true,
      () => this.#node.readRun(limited)
    )
  }

  /** Fewer at a time, and as the lane lets it, while writers wait for the node. @throws LedgerError UNAVAILABLE, as `addRun` */
  readRecords(request: RunRequest, isWanted: () => boolean): Promise<EntryRecords | undefined> {
    this.#counts.reads += 1
    const turns = turnsOf(this.#recordLane, isWanted)
    return this.#recordReads.run(isWanted, async () => {
      const most = this.#writers.isBusy ? RECORDS_BYTES_BESIDE_WRITERS : RECORDS_BYTES_MAX
      const bytesMax = Math.min(request.bytesMax, most)
      if (!(await turns.begin(bytesMax))) throw LedgerError.create('UNAVAILABLE', { reason: 'its time is over' })
      try {
        return await this.#node.bulk?.readRecords({ ...request, bytesMax })
      } finally {
        turns.end(bytesMax)
      }
    })
  }

  /** A piece at a time, as the lane lets it. @throws LedgerError UNAVAILABLE, as `addRun` */
  copyFrom(order: CopyOrder, isWanted: () => boolean): Promise<CopyAnswer> {
    const turns = turnsOf(this.#recoveryLane, isWanted)
    return this.#runs.run(isWanted, () => {
      return this.#node.bulk?.copyFrom(order, turns) ?? Promise.resolve({ next: order.first, bytes: 0 })
    })
  }

  /** @throws LedgerError UNAVAILABLE: too many wait, or nobody waits for this one any more */
  addRun(run: EntryRun, isWanted: () => boolean): Promise<RunFailure | undefined> {
    return this.#runs.run(isWanted, () => this.#addRun(run, isWanted))
  }

  /** A piece at a time, as the lane lets it. @throws LedgerError UNAVAILABLE: nobody waits for it any more */
  #addRun(run: EntryRun, isWanted: () => boolean): Promise<RunFailure | undefined> {
    const lane = this.#recoveryLane
    this.#counts.adds += run.count
    this.#counts.addBytes += run.payloadBytes
    return new Promise((resolve, reject) => {
      const onDropped = (): void => reject(LedgerError.create('UNAVAILABLE', { reason: 'its time is over' }))
      const hand = ({ start, bytes }: RunPiece): void => lane.add({ start, isWanted, onDropped, bytes })
      const onDone = (bytes: number): void => lane.onAnswered(bytes)
      addRunTo(this.#node, run, { hand, onDone }).then(failure => {
        if (failure !== undefined) this.#counts.failedAdds += 1
        resolve(failure)
      }, reject)
    })
  }

  #read(options: ReadOptions, isWanted: () => boolean): Promise<ReadAnswer> {
    this.#counts.reads += 1
    const read = { ...options, bytesMax: Math.min(options.bytesMax, READ_BYTES_MAX) }
    const gate = options.fence ? this.#recoveryReads : this.#reads
    return gate.run(isWanted, () => this.#node.read(read))
  }

  #fence(ledgerId: LedgerId, isWanted: () => boolean): Promise<LacAnswer> {
    return this.#fences.run(isWanted, () => this.#node.readLac({ ledgerId, fence: true }))
  }

  #recover(call: RecoverCall): void {
    const run = async (): Promise<void> => {
      const { names, orders } = decodeRecoverRequest(call.request)
      this.#checkMeant(names)
      const isWanted = wanted(call)
      await answerRecover(call, orders, {
        fence: ledgerId => this.#fence(ledgerId, isWanted),
        read: (ledgerId, limits) => this.#read({ ledgerId, ...limits, fence: true }, isWanted)
      })
    }
    run().catch((error: unknown) => {
      call.emit('error', statusOf(error))
      if (!(error instanceof CodedError)) throw error
    })
  }

  #openStream(call: AddCall): void {
    if (this.#streams.size >= STREAMS_MAX) {
      call.on('error', () => undefined)
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'too many streams' })
      return
    }
    const stream = new ServerAddStream(call, {
      node: this.#node,
      credit: this.#credit,
      recoveryLane: this.#recoveryLane,
      writers: this.#writers,
      isMeant: (clusterId, nodeId) => this.#isMeant(clusterId, nodeId),
      statusOf,
      counts: this.#counts,
      logger: this.#log,
      onGone: gone => this.#streams.delete(gone)
    })
    this.#streams.add(stream)
    stream.start()
  }

  #isMeant(clusterId: string | undefined, nodeId: string | undefined): boolean {
    return clusterId === this.#clusterId && nodeId === this.#node.bookieId
  }

  #checkMeant({ clusterId, nodeId }: { clusterId?: string; nodeId?: string }): void {
    if (!this.#isMeant(clusterId, nodeId)) throw LedgerError.create('WRONG_NODE')
  }
}

function turnsOf(lane: RecoveryLane, isWanted: () => boolean): CopyTurns {
  return {
    begin: bytes => {
      return new Promise(resolve => {
        lane.add({ bytes, isWanted, start: () => resolve(true), onDropped: () => resolve(false) })
      })
    },
    end: bytes => lane.onAnswered(bytes)
  }
}

/** Does the peer still wait for the answer? */
function wanted(call: UnaryCall | RecoverCall): () => boolean {
  const deadline = call.getDeadline()
  const leftMs = (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now()
  // the wall clock may step while the request waits
  const latestMs = performance.now() + Math.min(leftMs, WAIT_MS_MAX)
  return () => !call.cancelled && performance.now() < latestMs
}

/** Runs one request. What is no operating error is a bug, and ends the process. */
function unary(run: (call: UnaryCall) => Promise<Buffer>): Unary {
  return (call, answer) => {
    run(call).then(
      reply => answer(null, reply),
      (error: unknown) => {
        answer(statusOf(error))
        if (!(error instanceof CodedError)) throw error
      }
    )
  }
}

function statusOf(error: unknown): { code: status; details: string } {
  if (!(error instanceof CodedError)) return { code: status.INTERNAL, details: 'bug' }
  const code = String(error.code)
  if (code === 'WRONG_NODE') return { code: status.FAILED_PRECONDITION, details: code }
  if (code === 'MALFORMED_MESSAGE') return { code: status.INVALID_ARGUMENT, details: error.message }
  return { code: status.UNAVAILABLE, details: code }
}

function shutDown(server: Server, drainMs: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => server.forceShutdown(), drainMs)
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
