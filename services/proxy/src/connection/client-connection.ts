import type { Socket } from 'node:net'
import { isAuthError, type ClientCertificate, type Identity } from '@strata/auth'
import { reasonOf, type Logger } from '@strata/base'
import {
  BaseCommand_Type,
  commandTypeOf,
  decodeCommand,
  encodeCommand,
  FrameDecoder,
  PROTOCOL_VERSION,
  ServerError,
  type CommandBody,
  type FrameHandler
} from '@strata/wire'
import { textOf } from '../brokers/address.ts'
import { proxyErrors } from '../errors.ts'
import { brokerConnect } from './broker-connect.ts'
import { openBrokerSocket, type BrokerSocket } from './broker-socket.ts'
import { LookupSession, type LookupClient } from './lookup-session.ts'
import { endSocket, Pipe, PIPE_BYTES_MAX } from './pipe.ts'
import { NO_REQUEST, type ProxyServices } from './services.ts'

/** Of what a client sends to the proxy itself: names, patterns, credentials. */
const CLIENT_FRAME_BYTES_MAX = 64 * 1024

/** Older clients do not know of proxies. */
const PROXY_PROTOCOL_VERSION = 10

type State =
  | { readonly kind: 'start' }
  | { readonly kind: 'authenticating' }
  | { readonly kind: 'lookups'; readonly session: LookupSession }
  | { readonly kind: 'connecting'; readonly abort: AbortController }
  | { readonly kind: 'piping'; readonly pipe: Pipe; readonly broker: string }
  | { readonly kind: 'closed' }

export interface ClientConnectionOptions {
  readonly socket: Socket
  readonly services: ProxyServices
  readonly connectionId: number
  readonly certificate: ClientCertificate | undefined
  readonly onClosed: (connection: ClientConnection) => void
}

/**
 * One client's connection. Who it is is asked first, where the proxy asks. Then what its CONNECT says decides: lookups are
 * answered by way of a session, a `proxy_to_broker_url` makes it a pipe to that broker.
 *
 * Invariants
 *   C1  Nothing is connected to that `TargetCheck` does not allow.
 *   C2  What the client's bytes make us throw closes this connection, with a logged reason, and nothing else.
 *   C3  Once closed, its connections to brokers are closed or about to be, and nothing of it waits for an answer.
 */
export class ClientConnection implements FrameHandler, LookupClient {
  readonly #socket: Socket
  readonly #services: ProxyServices
  readonly #logger: Logger
  readonly #onClosed: (connection: ClientConnection) => void
  readonly #decoder = new FrameDecoder({ frameBytesMax: CLIENT_FRAME_BYTES_MAX })
  #state: State = { kind: 'start' }
  #heardMs: number
  #isPinged = false
  #isBusy = false
  readonly #ip: string
  readonly #certificate: ClientCertificate | undefined
  /** Of the client's credentials, in wall-clock time. */
  #expiresAtMs = Infinity
  /** Behind CONNECT, for the broker. */
  #rest: Buffer = Buffer.alloc(0)

  constructor({ socket, services, connectionId, certificate, onClosed }: ClientConnectionOptions) {
    this.#socket = socket
    this.#certificate = certificate
    this.#services = services
    this.#onClosed = onClosed
    this.#heardMs = services.clock.nowMs()
    this.#ip = socket.remoteAddress ?? ''
    const client = `${this.#ip}:${socket.remotePort ?? 0}`
    this.#logger = services.logger.child({ connectionId, client })
    socket.on('data', this.#onData)
    socket.on('drain', this.#onDrain)
    socket.on('error', error => {
      this.close(`socket error: ${error.message}`)
    })
    socket.on('close', () => {
      this.close('the client closed it')
    })
  }

  /** Called now and then. */
  tick(nowMs: number): void {
    if (this.#services.clock.wallMs() >= this.#expiresAtMs) {
      this.close('its credentials have expired')
      return
    }
    const state = this.#state
    if (state.kind === 'piping') state.pipe.tick(nowMs)
    if (state.kind === 'lookups') state.session.tick(nowMs)
    if (state.kind !== 'start' && state.kind !== 'lookups') return
    const intervalMs = this.#services.settings.keepAliveIntervalSeconds * 1000
    const silentMs = nowMs - this.#heardMs
    if (silentMs <= intervalMs || this.#isBusy) return
    if (state.kind === 'start') this.close('no CONNECT in time')
    else if (silentMs > 2 * intervalMs) this.close('it was silent for two keep-alive intervals')
    else if (!this.#isPinged) {
      this.#isPinged = true
      this.send(encodeCommand('ping', {}))
    }
  }

  /** A broker left the cluster. @param name `host:port` */
  onBrokerGone(name: string): void {
    const state = this.#state
    if (state.kind === 'lookups') state.session.onBrokerGone(name)
    // a broker that hangs keeps its connections open: its clients would notice much later
    else if (state.kind === 'piping' && state.broker === name) state.pipe.close('the broker left the cluster')
  }

  /** Idempotent. What was written goes out first. */
  close(reason: string): void {
    const state = this.#state
    if (state.kind === 'closed') return
    this.#state = { kind: 'closed' }
    this.#decoder.close()
    if (state.kind === 'lookups') state.session.close()
    else if (state.kind === 'connecting') state.abort.abort()
    else if (state.kind === 'piping') state.pipe.close(reason)
    endSocket(this.#socket, this.#services.clock)
    this.#logger.info({ event: 'connection.closed', reason, was: state.kind }, 'a connection was closed')
    this.#onClosed(this)
  }

  // ------------------------------------------------------------ as the client of a session

  send(frame: Buffer): void {
    if (this.#state.kind === 'closed') return
    this.#socket.write(frame)
    if (this.#state.kind === 'lookups' && this.#socket.writableLength > PIPE_BYTES_MAX) {
      this.#state.session.setClientWritable(false)
    }
  }

  setBusy(isBusy: boolean): void {
    this.#isBusy = isBusy
    if (isBusy) this.#socket.pause()
    else {
      // its silence was ours
      this.#heardMs = this.#services.clock.nowMs()
      this.#socket.resume()
    }
  }

  // ------------------------------------------------------------ in

  readonly #onData = (chunk: Buffer): void => {
    this.#heardMs = this.#services.clock.nowMs()
    this.#isPinged = false
    try {
      const bytes = this.#decoder.push(chunk, this)
      const { kind } = this.#state
      if (kind === 'authenticating' || kind === 'connecting') this.#rest = chunk.subarray(bytes)
    } catch (error) {
      this.close(reasonOf(error))
    }
  }

  readonly #onDrain = (): void => {
    if (this.#state.kind === 'lookups') this.#state.session.setClientWritable(true)
  }

  /** Called by the decoder. */
  onFrame(buffer: Buffer, start: number, end: number): void {
    const type = commandTypeOf(buffer, start, end)
    if (type === BaseCommand_Type.PONG) return
    if (type === BaseCommand_Type.PING) {
      this.send(encodeCommand('pong', {}))
      return
    }
    const command = decodeCommand(buffer, start, end)
    const state = this.#state
    if (state.kind === 'start') {
      if (command.case === 'connect') this.#onConnect(command.value)
      else this.close(`command ${command.case} before CONNECT`)
    } else if (state.kind === 'lookups') state.session.onCommand(command, buffer, start, end)
  }

  #onConnect(connect: CommandBody<'connect'>): void {
    const { authenticator, logins } = this.#services
    if (connect.protocolVersion < PROXY_PROTOCOL_VERSION) {
      this.close('the client is too old to come by way of a proxy')
    } else if (connect.proxyVersion !== '') {
      this.#refuse(ServerError.NotAllowedError, 'Must not provide proxyVersion')
    } else if (authenticator === undefined) this.#admit(connect, undefined)
    else if (logins.waitMs(this.#ip) > 0) {
      this.#refuse(ServerError.ServiceNotReady, 'Too many failed logins from this address: try again later')
    } else {
      this.#state = { kind: 'authenticating' }
      this.#decoder.hold()
      this.#socket.pause()
      const { authMethodName: method, authData: data } = connect
      authenticator.authenticate({ method, data, certificate: this.#certificate }).then(
        identity => this.#onKnown(connect, identity),
        (error: unknown) => this.#onUnknown(error)
      )
    }
  }

  #onKnown(connect: CommandBody<'connect'>, identity: Identity): void {
    if (this.#state.kind !== 'authenticating') return
    // brokers that see the credentials themselves ask for fresh ones
    const { forwardAuthorizationCredentials: isAskedByBrokers } = this.#services.settings
    if (!isAskedByBrokers) this.#expiresAtMs = identity.expiresAtMs ?? Infinity
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    try {
      this.#admit(connect, identity)
    } catch (error) {
      this.close(reasonOf(error))
      return
    }
    if (this.#isConnecting) this.#rest = rest
    else {
      this.#socket.resume()
      if (rest.length > 0) this.#onData(rest)
    }
  }

  /** What was wrong is for the log alone. */
  #onUnknown(error: unknown): void {
    if (this.#state.kind !== 'authenticating') return
    this.#logger.info({ event: 'session.refused', reason: reasonOf(error) }, 'a client was not believed')
    if (isAuthError(error, 'CREDENTIALS_REFUSED')) this.#services.logins.failed(this.#ip)
    if (isAuthError(error, 'ISSUER_UNREACHABLE')) {
      this.#refuse(ServerError.ServiceNotReady, 'Credentials cannot be checked at this moment')
    } else this.#refuse(ServerError.AuthenticationError, 'Failed to authenticate')
  }

  get #isConnecting(): boolean {
    return this.#state.kind === 'connecting'
  }

  /** @throws AuthError AUTH_SETTING_INVALID: the proxy's own credentials cannot be read any more */
  #admit(connect: CommandBody<'connect'>, identity: Identity | undefined): void {
    const services = this.#services
    const fields = { clientVersion: connect.clientVersion.slice(0, 256), protocolVersion: connect.protocolVersion }
    const toBroker = (): Buffer => brokerConnect(connect, identity, services)
    if (connect.proxyToBrokerUrl === '') {
      this.#state = { kind: 'lookups', session: new LookupSession({ services, connect: toBroker, client: this }) }
      this.send(connectedFrame(connect, services.version))
      this.#logger.info({ event: 'connection.opened', ...fields }, 'a client connected')
    } else {
      const abort = new AbortController()
      this.#state = { kind: 'connecting', abort }
      this.#decoder.hold()
      this.#socket.pause()
      void this.#connectTo(connect.proxyToBrokerUrl, toBroker(), abort.signal)
      this.#logger.info(
        { event: 'connection.opened', ...fields, to: connect.proxyToBrokerUrl.slice(0, 256) },
        'a client connected'
      )
    }
  }

  /** Never rejects. */
  async #connectTo(target: string, connect: Buffer, signal: AbortSignal): Promise<void> {
    try {
      const address = await this.#services.targets.resolve(target)
      const { clock, settings } = this.#services
      const timeoutMs = settings.brokerProxyConnectTimeoutMs
      const tls = this.#services.brokerTls?.options
      const broker = await openBrokerSocket({ address, connect, tls, timeoutMs, clock, signal })
      this.#pipeTo(broker, target, textOf(address))
    } catch (error) {
      this.#onConnectFailed(error)
    }
  }

  #pipeTo({ socket: broker, connectedFrame: first, rest }: BrokerSocket, target: string, name: string): void {
    if (this.#state.kind !== 'connecting') {
      broker.destroy()
      return
    }
    const { clock, metrics, settings } = this.#services
    const client = this.#socket
    this.#decoder.close()
    client.off('data', this.#onData)
    client.off('drain', this.#onDrain)
    client.write(first)
    const pipe = new Pipe(
      {
        ...{ client, broker, clock, counts: metrics.counts },
        readTimeoutMs: settings.brokerProxyReadTimeoutMs,
        onEnd: reason => {
          this.close(reason)
        }
      },
      { fromClient: this.#rest, fromBroker: rest }
    )
    this.#rest = Buffer.alloc(0)
    this.#state = { kind: 'piping', pipe, broker: name }
    this.#logger.debug({ event: 'connection.piped', target }, 'a client is connected to its broker')
  }

  #onConnectFailed(error: unknown): void {
    if (this.#state.kind !== 'connecting') return
    const isDenied = proxyErrors.is(error, 'TARGET_DENIED')
    if (isDenied) this.#services.metrics.counts.deniedTargets++
    const fields = { event: 'broker.connect_failed', reason: reasonOf(error) }
    this.#logger.warn(fields, 'a client could not be connected to the broker that it named')
    if (isDenied) this.#refuse(ServerError.ServiceNotReady, 'Target broker cannot be validated.')
    else if (proxyErrors.is(error, 'BROKER_REFUSED')) {
      // in the broker's own words
      const { serverError, message } = error.details as { serverError: ServerError; message: string }
      this.#refuse(serverError, message)
    } else this.#refuse(ServerError.ServiceNotReady, "Target broker isn't available.")
  }

  #refuse(error: ServerError, message: string): void {
    this.send(encodeCommand('error', { requestId: NO_REQUEST, error, message }))
    this.close(message)
  }
}

/** The proxy's own answer to a client that looks up. */
function connectedFrame(connect: CommandBody<'connect'>, version: string): Buffer {
  return encodeCommand('connected', {
    serverVersion: version,
    protocolVersion: Math.min(connect.protocolVersion, PROTOCOL_VERSION),
    featureFlags: { supportsTopicWatchers: false, supportsGetPartitionedMetadataWithoutAutoCreation: true }
  })
}
