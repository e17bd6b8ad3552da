import type { Socket } from 'node:net'
import type { ClientCertificate } from '@strata/auth'
import { reasonOf, type Logger } from '@strata/base'
import {
  commandTypeOf,
  decodeCommand,
  decodeFlow,
  encodeCommand,
  FlowView,
  FrameDecoder,
  frameBytesMaxOf,
  skipBrokerEntryMetadata,
  writeAckResponse,
  writeMessageHeader,
  writePing,
  writeSendReceipt,
  wireErrors,
  type CommandInit,
  type CommandName,
  type FrameHandler
} from '@strata/wire'
import type { Delivery } from '../contract.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import type { Session } from '../auth/session.ts'
import { brokerError, brokerErrors, wireErrorOf, type BrokerErrorCode } from '../errors.ts'
import type { TenantShare } from '../limits/tenant-shares.ts'
import { asClientError, wireAnswerOf } from '../topic/client-error.ts'
import type { Publication } from '../topic/publication.ts'
import type { Assembly } from './assembly-gate.ts'
import { ClosedProducers } from './closed-producers.ts'
import {
  CONNECT_BYTES_MAX,
  CONSUMERS_MAX,
  NO_REQUEST,
  PENDING_REQUESTS_MAX,
  PRODUCERS_MAX,
  SINCE_VERSION,
  UNKNOWN_CLIENT,
  type ClientInfo,
  type ConnectionContext,
  type ConnectionServices,
  type ConsumerSlot,
  type ProducerSlot,
  type WatcherSlot
} from './context.ts'
import { GenerationsHeld } from './generations-held.ts'
import { AckPath } from './handlers/acknowledge.ts'
import { handleConnect } from './handlers/connect.ts'
import { handleCommand } from './handlers/index.ts'
import { Inflow } from './inflow.ts'
import { Intake } from './intake.ts'
import { KeepAlive } from './keep-alive.ts'
import { leaveTopics } from './leave-topics.ts'
import { withoutMapping } from './listeners.ts'
import { assignedUrls } from './handlers/lookup.ts'
import { Output } from './output.ts'
import { SendPath } from './send-path.ts'

const CONNECT = 2
const SEND = 6
const ACK = 10
const FLOW = 11
const PING = 18
const PONG = 19

const CHECKSUM_HEADER_BYTES = 6

/** How long a closed socket may take to write what it holds. */
const LINGER_MS = 1000

export interface ConnectionOptions {
  readonly socket: Socket
  readonly services: ConnectionServices
  readonly connectionId: number
  readonly listenerName: string
  readonly certificate: ClientCertificate | undefined
  readonly onClosed: (connection: Connection) => void
}

/**
 * One client socket: frames in, frames out. Start → connected → closed; only CONNECT, PING and PONG are taken before
 * CONNECT was accepted.
 *
 * Invariants
 *   C1  Every request id is answered exactly once, by an answer or an error (WaitForExclusive: twice), unless it closes.
 *   C2  What the peer's bytes make us throw closes this connection, with a logged reason, and nothing else.
 *   C3  Once closed, its producers and consumers have left their topics; what is still settled is only accounted for.
 */
export class Connection implements ConnectionContext, FrameHandler {
  readonly services: ConnectionServices
  readonly connectionId: number
  readonly remoteAddress: string
  readonly localAddress: string
  readonly certificate: ClientCertificate | undefined
  readonly address: string
  readonly listenerName: string
  lookupListener: string
  readonly logger: Logger
  readonly producers = new Map<number, ProducerSlot>()
  readonly consumers = new Map<number, ConsumerSlot>()
  readonly watchers = new Map<bigint, WatcherSlot>()
  readonly producerGenerations = new GenerationsHeld(PRODUCERS_MAX)
  readonly consumerGenerations = new GenerationsHeld(CONSUMERS_MAX)
  readonly cancellations = new Map<ProducerSlot, () => void>()
  client: ClientInfo = UNKNOWN_CLIENT
  session: Session | undefined
  readonly #socket: Socket
  readonly #output: Output
  readonly #inflow: Inflow
  readonly #decoder: FrameDecoder
  readonly #intake: Intake
  readonly #keepAlive: KeepAlive
  readonly #assembly: Assembly
  readonly #sendPath: SendPath
  readonly #ackPath: AckPath
  readonly #flow = new FlowView()
  readonly #closedProducers: ClosedProducers
  readonly #onClosed: (connection: Connection) => void
  #state: 'start' | 'introduced' | 'connected' | 'closed' = 'start'
  #pendingRequests = 0

  constructor(options: ConnectionOptions) {
    const { socket, services } = options
    this.services = services
    this.connectionId = options.connectionId
    this.listenerName = options.listenerName
    this.certificate = options.certificate
    this.lookupListener = options.listenerName
    this.remoteAddress = socket.remoteAddress ?? ''
    this.localAddress = socket.localAddress ?? ''
    this.address = `/${withoutMapping(this.remoteAddress)}:${socket.remotePort ?? 0}`
    this.logger = services.logger.child({ connectionId: this.connectionId, address: this.address })
    this.#socket = socket
    this.#onClosed = options.onClosed
    this.#output = new Output(socket, services.flusher, services.dispatchPool)
    this.#decoder = new FrameDecoder({ frameBytesMax: CONNECT_BYTES_MAX })
    this.#closedProducers = new ClosedProducers(services.clock, () => services.settings.keepAliveIntervalSeconds * 1000)
    this.#inflow = this.#createInflow()
    this.#intake = this.#createIntake()
    this.#keepAlive = this.#createKeepAlive()
    this.#assembly = this.#createAssembly()
    this.#sendPath = new SendPath({
      producers: this.producers,
      wasClosedByBroker: producerId => this.#closedProducers.has(producerId),
      onTaken: (bytes, share) => this.#intake.take(bytes, share),
      onUnparked: bytes => this.#intake.give(bytes),
      sendFrame: frame => this.#output.frame(frame),
      close: reason => this.close(reason)
    })
    this.#ackPath = new AckPath(this)
    socket.setNoDelay(true)
    socket.on('data', chunk => {
      this.#inflow.onData(chunk)
    })
    socket.on('error', error => {
      this.close(`socket error: ${error.message}`)
    })
    socket.on('close', () => {
      this.close('the peer closed it')
    })
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get clientVersion(): string {
    return this.client.version
  }

  get protocolVersion(): number {
    return this.client.protocolVersion
  }

  get supportsPartialProducer(): boolean {
    return this.client.supportsPartialProducer
  }

  get isWritable(): boolean {
    return this.#output.isWritable
  }

  // ------------------------------------------------------------ in

  #read(chunk: Buffer): number {
    if (this.#state === 'closed') return chunk.length
    this.#keepAlive.onData()
    let bytes = chunk.length
    try {
      bytes = this.#decoder.push(chunk, this)
    } catch (error) {
      // C2. A bug of ours is no reason to lose the other clients either, but it is told apart in the log.
      if (!wireErrors.is(error)) {
        const stack = error instanceof Error ? error.stack : String(error)
        this.logger.error({ event: 'connection.handler_failed', stack }, 'a command could not be handled')
      }
      this.close(reasonOf(error))
    }
    this.#sendPath.close()
    this.#assembly.onHeld(this.#decoder.heldBytes)
    return bytes
  }

  onFrame(buffer: Buffer, start: number, end: number): void {
    const type = commandTypeOf(buffer, start, end)
    if (this.#state === 'connected') {
      switch (type) {
        case SEND:
          this.#sendPath.onFrame(buffer, start, end)
          if (this.#intake.check()) this.#decoder.hold()
          return
        case ACK:
          this.#ackPath.onFrame(buffer, start, end)
          return
        case FLOW:
          this.#onFlow(buffer, start, end)
          return
      }
    }
    if (type === PING) this.#output.pong()
    else if (type !== PONG) this.#onCommand(buffer, start, end)
  }

  #onFlow(buffer: Buffer, start: number, end: number): void {
    const flow = this.#flow
    decodeFlow(buffer, start, end, flow)
    const slot = this.consumers.get(flow.consumerId)
    if (slot?.kind === 'ready' && flow.permits > 0) slot.consumer.flow(flow.permits)
  }

  #onCommand(buffer: Buffer, start: number, end: number): void {
    const command = decodeCommand(buffer, start, end)
    if (command.type === CONNECT && command.case === 'connect') {
      if (this.#state === 'start') {
        this.#state = 'introduced'
        handleConnect(this, command.value)
      } else this.close('CONNECT on a connection that is connected')
      return
    }
    if (this.#state === 'connected') handleCommand(this, command)
    else if (this.#state !== 'closed') this.close(`command ${command.case} before CONNECT`)
  }

  becomeConnected(client: ClientInfo, session: Session | undefined): void {
    this.client = client
    this.session = session
    this.#state = 'connected'
    this.#decoder.frameBytesMax = frameBytesMaxOf(this.services.settings.maxMessageSize)
    this.logger.info(
      { event: 'connection.opened', client: client.version, protocolVersion: client.protocolVersion },
      'a client connected'
    )
  }

  // ------------------------------------------------------------ requests

  answer(requestId: bigint, work: () => Promise<void>): void {
    this.answerWith(work, error => {
      this.fail(requestId, error)
    })
  }

  answerWith(work: () => Promise<void>, onError: (error: unknown) => void): void {
    if (this.#pendingRequests >= PENDING_REQUESTS_MAX) {
      onError(brokerError('TooManyRequests', 'The connection has too many requests pending'))
      return
    }
    this.#pendingRequests++
    work()
      .catch((error: unknown) => {
        this.#logUnexpected(error)
        if (this.#state !== 'closed') onError(error)
      })
      .finally(() => {
        this.#pendingRequests--
      })
  }

  reply<Name extends CommandName>(name: Name, init: CommandInit<Name>): void {
    if (this.#state !== 'closed') this.#output.frame(encodeCommand(name, init))
  }

  fail(requestId: bigint, error: unknown): void {
    this.reply('error', { requestId, ...wireAnswerOf(error) })
  }

  #logUnexpected(error: unknown): void {
    const { code } = wireErrorOf(asClientError(error))
    if (code !== 'UnknownError') return
    const stack = error instanceof Error ? error.stack : String(error)
    this.logger.warn({ event: 'request.failed', stack }, 'a request failed in a way that has no code')
  }

  // ------------------------------------------------------------ producers

  sendReceipt(publication: Publication, producerId: number, ledgerId: number, entryId: number): void {
    if (this.#state === 'closed') return
    writeSendReceipt(
      this.#output.slab,
      producerId,
      publication.sequenceLow,
      publication.sequenceHigh,
      publication.highestLow,
      publication.highestHigh,
      ledgerId,
      entryId
    )
  }

  sendSendError(publication: Publication, producerId: number, code: BrokerErrorCode, message: string): void {
    const low = publication.hasHighest ? publication.highestLow : publication.sequenceLow
    const high = publication.hasHighest ? publication.highestHigh : publication.sequenceHigh
    const sequenceId = (BigInt(high) << 32n) | BigInt(low)
    this.reply('sendError', {
      producerId: BigInt(producerId),
      sequenceId,
      error: brokerErrors[code].wire,
      message
    })
  }

  onPublicationSettled(bytes: number, share?: TenantShare): void {
    this.#intake.give(bytes, share)
  }

  closeProducer(producerId: number, next?: BrokerAddress): void {
    this.forgetProducer(producerId)
    if (this.protocolVersion < SINCE_VERSION.closeCommands) this.close('its producer was closed and it cannot be told')
    else {
      const assigned = assignedUrls(this, next)
      this.reply('closeProducer', { producerId: BigInt(producerId), requestId: NO_REQUEST, ...assigned })
    }
  }

  forgetProducer(producerId: number): void {
    this.producers.delete(producerId)
    this.#closedProducers.add(producerId)
  }

  // ------------------------------------------------------------ consumers

  sendMessage(delivery: Delivery): void {
    if (this.#state === 'closed') return
    const { ledgerId, entryId, payload } = delivery.entry
    let start = 0
    if (payload[1] === 0x02 && !this.#takesEntryMetadata) start = skipBrokerEntryMetadata(payload, 0, payload.length)
    if (this.client.protocolVersion < SINCE_VERSION.checksum && payload[start + 1] === 0x01)
      start += CHECKSUM_HEADER_BYTES
    writeMessageHeader(
      this.#output.slab,
      delivery.consumerId,
      ledgerId,
      entryId,
      delivery.partition,
      delivery.redeliveryCount,
      delivery.ackSet,
      delivery.consumerEpoch,
      payload.length - start
    )
    this.#output.payload(payload, start)
  }

  get #takesEntryMetadata(): boolean {
    return this.services.settings.exposingBrokerEntryMetadataToClientEnabled && this.client.supportsBrokerEntryMetadata
  }

  sendActiveConsumerChange(consumerId: number, isActive: boolean): void {
    if (this.protocolVersion < SINCE_VERSION.activeConsumer) return
    this.reply('activeConsumerChange', { consumerId: BigInt(consumerId), isActive })
  }

  sendReachedEndOfTopic(consumerId: number): void {
    if (this.protocolVersion < SINCE_VERSION.endOfTopic) return
    this.reply('reachedEndOfTopic', { consumerId: BigInt(consumerId) })
  }

  sendAckResponse(consumerId: number, requestIdLow: number, requestIdHigh: number): void {
    if (this.#state !== 'closed') writeAckResponse(this.#output.slab, consumerId, requestIdLow, requestIdHigh)
  }

  closeConsumer(consumerId: number, next?: BrokerAddress): void {
    this.consumers.delete(consumerId)
    if (this.protocolVersion < SINCE_VERSION.closeCommands) this.close('its consumer was closed and it cannot be told')
    else {
      const assigned = assignedUrls(this, next)
      this.reply('closeConsumer', { consumerId: BigInt(consumerId), requestId: NO_REQUEST, ...assigned })
    }
  }

  onWritable(run: () => void): void {
    if (this.#state !== 'closed') this.#output.onWritable(run)
  }

  probe(): Promise<boolean> {
    return this.#state === 'closed' ? Promise.resolve(false) : this.#keepAlive.probe()
  }

  // ------------------------------------------------------------ end

  close(reason: string): void {
    if (this.#state === 'closed') return
    const wasConnected = this.#state === 'connected'
    this.#output.flush()
    this.#state = 'closed'
    this.#inflow.close()
    this.#decoder.close()
    this.#keepAlive.stop()
    this.#assembly.close()
    this.#output.close()
    this.session?.stop()
    leaveTopics(this)
    // What was written goes out first, unless the peer does not read it.
    this.#socket.destroySoon()
    const cancel = this.services.clock.after(LINGER_MS, () => this.#socket.destroy())
    this.#socket.once('close', cancel)
    this.logger.info({ event: 'connection.closed', reason, wasConnected }, 'a connection was closed')
    this.#onClosed(this)
  }

  // ------------------------------------------------------------ parts

  #createIntake(): Intake {
    const { ingestPool: pool, publishing, settings } = this.services
    return new Intake({
      pool,
      publishing,
      pendingMax: () => settings.maxPendingPublishRequestsPerConnection,
      pause: () => this.#socket.pause(),
      resume: () => this.#resumeIfFree()
    })
  }

  #createAssembly(): Assembly {
    return this.services.assembly.join({
      pause: () => this.#socket.pause(),
      resume: () => this.#resumeIfFree(),
      close: reason => this.close(reason)
    })
  }

  #createInflow(): Inflow {
    return new Inflow({
      isPaused: () => this.#isPaused,
      read: bytes => this.#read(bytes),
      resumeSocket: () => this.#socket.resume()
    })
  }

  get #isPaused(): boolean {
    return this.#intake.isPaused || this.#assembly.isWaiting
  }

  #resumeIfFree(): void {
    if (this.#state !== 'closed' && !this.#isPaused) this.#inflow.resume()
  }

  #createKeepAlive(): KeepAlive {
    const { services } = this
    return new KeepAlive({
      clock: services.clock,
      intervalMs: () => services.settings.keepAliveIntervalSeconds * 1000,
      isConnected: () => this.#state === 'connected',
      isPaused: () => this.#isPaused,
      canPing: () => this.client.protocolVersion >= 1,
      sendPing: () => {
        if (this.#state !== 'closed') writePing(this.#output.slab)
      },
      sendPong: () => this.#output.pong(),
      readOnce: () => {
        // A large frame that may not grow yet must not grow by this either.
        if (!this.#assembly.isWaiting) this.#inflow.step()
      },
      close: reason => this.close(reason)
    })
  }
}
