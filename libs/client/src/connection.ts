import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls'
import { every, type Clock, type Logger } from '@strata/base'
import {
  BaseCommand_Type,
  commandTypeOf,
  decodeCommand,
  decodeMessage,
  decodeSendReceipt,
  encodeCommand,
  FrameDecoder,
  frameBytesMaxOf,
  MESSAGE_BYTES_MAX_DEFAULT,
  MessageView,
  PROTOCOL_VERSION,
  ReceiptView,
  type CommandBody,
  type CommandInit,
  type CommandName,
  type DecodedCommand
} from '@strata/wire'
import type { Authentication } from './authentication.ts'
import { clientErrors, serverRefusal } from './errors.ts'

/** What a connection tells the producer that was opened on it. Called synchronously, in the order of the bytes. */
export interface ProducerSink {
  onReceipt(receipt: ReceiptView): void
  onSendError(error: CommandBody<'sendError'>): void
  /** The broker closed the producer, or the connection is gone. `assignedUrl` says where to go next. */
  onDetached(connection: Connection, assignedUrl: string | undefined): void
}

/** What a connection tells the consumer that was opened on it. */
export interface ConsumerSink {
  /** `view` and `buffer` are valid during the call; what is kept of `buffer` stays in memory. */
  onMessage(view: MessageView, buffer: Buffer): void
  onActiveChange(isActive: boolean): void
  onEndOfTopic(): void
  onDetached(connection: Connection, assignedUrl: string | undefined): void
}

export interface ConnectionOptions {
  readonly host: string
  readonly port: number
  readonly tls: TlsOptions | undefined
  /** Of the broker behind a proxy: `host:port`. */
  readonly proxyToBroker: string | undefined
  readonly authentication: Authentication | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly connectTimeoutMs: number
  readonly operationTimeoutMs: number
  readonly keepAliveMs: number
}

/** The name of a command that carries a `requestId`. */
type RequestName = {
  [Name in CommandName]: 'requestId' extends keyof CommandInit<Name> ? Name : never
}[CommandName]

export interface RequestHandlers {
  /** Called while the answer is being read: what follows it on the wire has not been looked at yet. */
  onAnswer(answer: DecodedCommand): void
  onError(error: Error): void
}

interface PendingRequest extends RequestHandlers {
  cancelTimeout: () => void
}

const CLIENT_VERSION = 'Strata-TypeScript-v0.1.0'

/**
 * One TCP connection to a broker, past its handshake. Requests are answered by id; producers and consumers register a
 * sink by their id. Writes of a tick go out together.
 *
 * Invariant: once closed, every pending request has failed, every sink was told, and nothing is called any more.
 */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #socket: Socket
  readonly #requests = new Map<number, PendingRequest>()
  readonly #producers = new Map<number, ProducerSink>()
  readonly #consumers = new Map<number, ConsumerSink>()
  readonly #receipt = new ReceiptView()
  readonly #message = new MessageView()
  #decoder = new FrameDecoder({ frameBytesMax: frameBytesMaxOf(MESSAGE_BYTES_MAX_DEFAULT) })
  #outgoing: Buffer[] = []
  #isFlushScheduled = false
  #nextRequestId = 1
  #isPingPending = false
  #hasHeard = false
  #stopKeepAlive: () => void = () => undefined
  #handshake: { resolve: () => void; reject: (error: Error) => void } | undefined
  #closed = false
  /** Of one message, as the broker told at CONNECT. */
  messageBytesMax = MESSAGE_BYTES_MAX_DEFAULT
  /** Called once when the connection is gone. */
  onClose: () => void = () => undefined

  private constructor(options: ConnectionOptions, socket: Socket) {
    this.#options = options
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('error', error => this.close(clientErrors.create('CONNECTION_LOST', this.#address(), error)))
    socket.on('close', () => this.close(clientErrors.create('CONNECTION_LOST', this.#address())))
  }

  /** Connects and shakes hands. @throws CONNECT_FAILED, AUTHENTICATION_FAILED, TIMEOUT */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const socket = await openSocket(options)
    const connection = new Connection(options, socket)
    await connection.#shakeHands()
    return connection
  }

  get isClosed(): boolean {
    return this.#closed
  }

  #address(): { host: string; port: number } {
    return { host: this.#options.host, port: this.#options.port }
  }

  async #shakeHands(): Promise<void> {
    const { authentication, clock, connectTimeoutMs, keepAliveMs, proxyToBroker } = this.#options
    const authData = await authentication?.getData()
    const done = new Promise<void>((resolve, reject) => {
      this.#handshake = { resolve, reject }
    })
    const cancel = clock.after(connectTimeoutMs, () =>
      this.close(clientErrors.create('TIMEOUT', { ...this.#address(), command: 'connect' }))
    )
    this.send(
      encodeCommand('connect', {
        clientVersion: CLIENT_VERSION,
        protocolVersion: PROTOCOL_VERSION,
        authMethodName: authentication?.method ?? 'none',
        ...(authData === undefined ? {} : { authData }),
        ...(proxyToBroker === undefined ? {} : { proxyToBrokerUrl: proxyToBroker }),
        featureFlags: { supportsAuthRefresh: true, supportsBrokerEntryMetadata: true }
      })
    )
    try {
      await done
    } finally {
      cancel()
      this.#handshake = undefined
    }
    this.#stopKeepAlive = every(clock, keepAliveMs, () => this.#keepAlive())
  }

  /** A PING in each period without a sign of life; the connection is given up one period later. */
  #keepAlive(): void {
    if (this.#isPingPending && !this.#hasHeard) {
      this.close(clientErrors.create('CONNECTION_LOST', { ...this.#address(), reason: 'no answer to a ping' }))
      return
    }
    this.#hasHeard = false
    this.#isPingPending = true
    this.send(encodeCommand('ping', {}))
  }

  addProducer(id: number, sink: ProducerSink): void {
    this.#producers.set(id, sink)
  }

  removeProducer(id: number): void {
    this.#producers.delete(id)
  }

  addConsumer(id: number, sink: ConsumerSink): void {
    this.#consumers.set(id, sink)
  }

  removeConsumer(id: number): void {
    this.#consumers.delete(id)
  }

  /** Queues whole frames; they leave at the end of the tick. Adjacent ranges of one slab become one write. */
  send(frame: Buffer): void {
    if (this.#closed) return
    const last = this.#outgoing[this.#outgoing.length - 1]
    if (last !== undefined && last.buffer === frame.buffer && last.byteOffset + last.length === frame.byteOffset) {
      const start = last.byteOffset
      this.#outgoing[this.#outgoing.length - 1] = Buffer.from(last.buffer, start, last.length + frame.length)
    } else this.#outgoing.push(frame)
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#isFlushScheduled = false
    const frames = this.#outgoing
    this.#outgoing = []
    if (this.#closed || frames.length === 0) return
    if (frames.length > 1) this.#socket.cork()
    for (const frame of frames) this.#socket.write(frame)
    if (frames.length > 1) this.#socket.uncork()
  }

  /** Sends a request and gives its answer, an ERROR as an error of this package. */
  request<Name extends RequestName>(name: Name, init: Omit<CommandInit<Name>, 'requestId'>): Promise<DecodedCommand> {
    return new Promise((resolve, reject) => {
      this.requestWith(name, init, { onAnswer: resolve, onError: reject })
    })
  }

  /** The same, with the answer handed over synchronously. Returns the request's id. */
  requestWith<Name extends RequestName>(
    name: Name,
    init: Omit<CommandInit<Name>, 'requestId'>,
    handlers: RequestHandlers
  ): number {
    const requestId = this.expectAnswer(name, handlers)
    const whole: unknown = { ...init, requestId: BigInt(requestId) }
    this.send(encodeCommand(name, whole as CommandInit<Name>))
    return requestId
  }

  /** For a request that the caller encodes and sends itself, with the id that this returns. */
  expectAnswer(name: string, handlers: RequestHandlers): number {
    const requestId = this.#nextRequestId++
    if (this.#closed) {
      queueMicrotask(() => handlers.onError(clientErrors.create('CONNECTION_LOST', this.#address())))
      return requestId
    }
    const cancelTimeout = this.#options.clock.after(this.#options.operationTimeoutMs, () => {
      this.#requests.delete(requestId)
      handlers.onError(clientErrors.create('TIMEOUT', { ...this.#address(), command: name }))
    })
    this.#requests.set(requestId, { ...handlers, cancelTimeout })
    return requestId
  }

  /** Idempotent. Sinks and requests are told before it returns. */
  close(error: Error = clientErrors.create('CONNECTION_LOST', this.#address())): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopKeepAlive()
    this.#decoder.close()
    this.#socket.destroy()
    this.#handshake?.reject(error)
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    for (const request of requests) {
      request.cancelTimeout()
      request.onError(error)
    }
    const sinks = [...this.#producers.values(), ...this.#consumers.values()]
    this.#producers.clear()
    this.#consumers.clear()
    this.onClose()
    for (const sink of sinks) sink.onDetached(this, undefined)
  }

  #onData(chunk: Buffer): void {
    this.#hasHeard = true
    try {
      this.#decoder.push(chunk, this)
    } catch (error) {
      this.#options.logger.warn(
        { event: 'connection.closed', ...this.#address(), err: error },
        'closing a connection that cannot be understood'
      )
      this.close(clientErrors.create('PROTOCOL_VIOLATION', this.#address(), error))
    }
  }

  /** Called by the decoder. */
  onFrame(buffer: Buffer, start: number, end: number): void {
    switch (commandTypeOf(buffer, start, end)) {
      case BaseCommand_Type.MESSAGE:
        decodeMessage(buffer, start, end, this.#message)
        this.#consumers.get(this.#message.consumerId)?.onMessage(this.#message, buffer)
        return
      case BaseCommand_Type.SEND_RECEIPT:
        decodeSendReceipt(buffer, start, end, this.#receipt)
        this.#producers.get(this.#receipt.producerId)?.onReceipt(this.#receipt)
        return
      default:
        this.#onCommand(decodeCommand(buffer, start, end))
    }
  }

  #onCommand(command: DecodedCommand): void {
    switch (command.case) {
      case 'ping':
        this.send(encodeCommand('pong', {}))
        return
      case 'pong':
        this.#isPingPending = false
        return
      case 'connected':
        this.#onConnected(command.value)
        return
      case 'error':
        this.#onError(command.value)
        return
      case 'authChallenge':
        void this.#answerChallenge()
        return
      case 'sendError':
        this.#producers.get(Number(command.value.producerId))?.onSendError(command.value)
        return
      default:
        if (!this.#onNotice(command)) this.#onAnswer(command)
    }
  }

  /** Commands that nobody asked for. False if it is not one. */
  #onNotice(command: DecodedCommand): boolean {
    switch (command.case) {
      case 'closeProducer':
        this.#detachProducer(Number(command.value.producerId), assignedUrlOf(command.value, this.#options.tls))
        return true
      case 'closeConsumer':
        this.#detachConsumer(Number(command.value.consumerId), assignedUrlOf(command.value, this.#options.tls))
        return true
      case 'topicMigrated': {
        const url = this.#options.tls === undefined ? command.value.brokerServiceUrl : command.value.brokerServiceUrlTls
        const id = Number(command.value.resourceId)
        if (command.value.resourceType === 0) this.#detachProducer(id, url)
        else this.#detachConsumer(id, url)
        return true
      }
      case 'activeConsumerChange':
        this.#consumers.get(Number(command.value.consumerId))?.onActiveChange(command.value.isActive)
        return true
      case 'reachedEndOfTopic':
        this.#consumers.get(Number(command.value.consumerId))?.onEndOfTopic()
        return true
      case 'unknown':
        this.#options.logger.debug({ event: 'command.ignored', type: command.type }, 'ignoring an unknown command')
        return true
      default:
        return false
    }
  }

  #detachProducer(id: number, assignedUrl: string | undefined): void {
    const sink = this.#producers.get(id)
    this.#producers.delete(id)
    sink?.onDetached(this, assignedUrl)
  }

  #detachConsumer(id: number, assignedUrl: string | undefined): void {
    const sink = this.#consumers.get(id)
    this.#consumers.delete(id)
    sink?.onDetached(this, assignedUrl)
  }

  #onConnected(connected: CommandBody<'connected'>): void {
    if (connected.maxMessageSize > 0) this.messageBytesMax = connected.maxMessageSize
    this.#decoder.frameBytesMax = frameBytesMaxOf(this.messageBytesMax)
    this.#handshake?.resolve()
  }

  #onError(error: CommandBody<'error'>): void {
    const refusal = serverRefusal(error.error, error.message)
    if (this.#handshake !== undefined) {
      this.close(refusal)
      return
    }
    this.#takeRequest(error.requestId)?.onError(refusal)
  }

  async #answerChallenge(): Promise<void> {
    const { authentication } = this.#options
    try {
      const authData = (await authentication?.getData()) ?? Buffer.alloc(0)
      const response = { authMethodName: authentication?.method ?? 'none', authData }
      this.send(
        encodeCommand('authResponse', { clientVersion: CLIENT_VERSION, response, protocolVersion: PROTOCOL_VERSION })
      )
    } catch (error) {
      this.close(clientErrors.create('AUTHENTICATION_FAILED', this.#address(), error))
    }
  }

  #onAnswer(command: DecodedCommand): void {
    const body = command.value as { requestId?: bigint } | undefined
    if (body?.requestId === undefined) {
      this.#options.logger.debug({ event: 'command.ignored', type: command.type }, 'ignoring an unexpected command')
      return
    }
    if (command.case === 'ackResponse' && Object.hasOwn(command.value, 'error')) {
      this.#takeRequest(body.requestId)?.onError(serverRefusal(command.value.error, command.value.message))
      return
    }
    // A producer that waits for exclusive access is answered twice; only the second answer counts.
    if (command.case === 'producerSuccess' && !command.value.producerReady) {
      this.#requests.get(Number(command.value.requestId))?.cancelTimeout()
      return
    }
    this.#takeRequest(body.requestId)?.onAnswer(command)
  }

  #takeRequest(requestId: bigint): PendingRequest | undefined {
    const request = this.#requests.get(Number(requestId))
    this.#requests.delete(Number(requestId))
    request?.cancelTimeout()
    return request
  }
}

function assignedUrlOf(
  close: { assignedBrokerServiceUrl: string; assignedBrokerServiceUrlTls: string },
  tls: TlsOptions | undefined
): string | undefined {
  const url = tls === undefined ? close.assignedBrokerServiceUrl : close.assignedBrokerServiceUrlTls
  return url === '' ? undefined : url
}

function openSocket(options: ConnectionOptions): Promise<Socket> {
  const { host, port, tls, clock, connectTimeoutMs } = options
  return new Promise((resolve, reject) => {
    // addresses are checked as such, and are not sent ahead as names
    const name = isIP(host) === 0 ? { servername: host } : {}
    const socket = tls === undefined ? connectTcp({ host, port }) : connectTls({ ...name, ...tls, host, port })
    const fail = (error: unknown): void => {
      cancel()
      socket.destroy()
      reject(clientErrors.create('CONNECT_FAILED', { host, port }, error))
    }
    const cancel = clock.after(connectTimeoutMs, () => fail(clientErrors.create('TIMEOUT', { connectTimeoutMs })))
    socket.once('error', fail)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      cancel()
      socket.removeListener('error', fail)
      resolve(socket)
    })
  })
}
