import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { reasonOf, type Clock } from '@strata/base'
import {
  decodeCommand,
  encodeCommand,
  FrameDecoder,
  ServerError,
  type CommandBody,
  type FrameHandler
} from '@strata/wire'
import { textOf, type HostPort } from '../brokers/address.ts'
import { proxyErrors } from '../errors.ts'

/** A connection to a broker whose handshake is done: paused, and nobody listens to it but to keep errors from being fatal. */
export interface BrokerSocket {
  readonly socket: Socket
  readonly connected: CommandBody<'connected'>
  /** CONNECTED as it came, to be passed on. */
  readonly connectedFrame: Buffer
  /** What came behind it. */
  readonly rest: Buffer
}

export interface BrokerSocketOptions {
  readonly address: HostPort
  /** CONNECT, a whole frame. */
  readonly connect: Buffer
  /** Undefined: without TLS. */
  readonly tls: ConnectionOptions | undefined
  readonly timeoutMs: number
  readonly clock: Clock
  /** Gives it up. */
  readonly signal: AbortSignal
}

/** What a broker says before CONNECTED, and that. */
const HANDSHAKE_FRAME_BYTES_MAX = 64 * 1024
const LENGTH_BYTES = 4

/**
 * Connects, sends CONNECT and waits for CONNECTED.
 * @throws BROKER_UNREACHABLE; BROKER_REFUSED with `details.serverError` and `details.message`, the broker's own
 */
export function openBrokerSocket(options: BrokerSocketOptions): Promise<BrokerSocket> {
  return new Promise((resolve, reject) => {
    new Handshake(options, resolve, reject).start()
  })
}

class Handshake implements FrameHandler {
  readonly #options: BrokerSocketOptions
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder({ frameBytesMax: HANDSHAKE_FRAME_BYTES_MAX })
  readonly #resolve: (socket: BrokerSocket) => void
  readonly #reject: (error: Error) => void
  #connected: Pick<BrokerSocket, 'connected' | 'connectedFrame'> | undefined
  #cancelTimeout: () => void = () => undefined

  constructor(options: BrokerSocketOptions, resolve: (socket: BrokerSocket) => void, reject: (error: Error) => void) {
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#socket = socketTo(options)
  }

  start(): void {
    const { clock, timeoutMs, signal } = this.#options
    // until someone takes the socket over: an error in between must not end the process
    this.#socket.on('error', () => undefined)
    this.#socket.on('error', this.#onError).on('close', this.#onClose).on('data', this.#onData)
    this.#cancelTimeout = clock.after(timeoutMs, () => {
      this.#unreachable('no answer in time')
    })
    signal.addEventListener('abort', this.#onAbort, { once: true })
    if (signal.aborted) this.#onAbort()
    else this.#socket.write(this.#options.connect)
  }

  /** Called by the decoder. @throws BROKER_REFUSED, MALFORMED_FRAME */
  onFrame(buffer: Buffer, start: number, end: number): void {
    const command = decodeCommand(buffer, start, end)
    switch (command.case) {
      case 'connected':
        this.#connected = { connected: command.value, connectedFrame: framed(buffer, start, end) }
        this.#decoder.hold()
        return
      case 'error': {
        const { error: serverError, message } = command.value
        throw proxyErrors.create('BROKER_REFUSED', { serverError, message })
      }
      case 'authChallenge': {
        const message = 'The broker asks for other credentials, which the proxy does not have'
        throw proxyErrors.create('BROKER_REFUSED', { serverError: ServerError.AuthenticationError, message })
      }
      case 'ping':
        this.#socket.write(encodeCommand('pong', {}))
        return
      default:
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      const bytes = this.#decoder.push(chunk, this)
      if (this.#connected === undefined) return
      this.#socket.pause()
      this.#end()
      this.#resolve({ socket: this.#socket, ...this.#connected, rest: chunk.subarray(bytes) })
    } catch (error) {
      if (proxyErrors.is(error)) this.#fail(error)
      else this.#unreachable(reasonOf(error), error)
    }
  }

  readonly #onError = (error: Error): void => {
    this.#unreachable(reasonOf(error), error)
  }

  readonly #onClose = (): void => {
    this.#unreachable('it closed the connection')
  }

  readonly #onAbort = (): void => {
    this.#unreachable('it is not wanted any more')
  }

  #unreachable(reason: string, cause?: unknown): void {
    this.#fail(proxyErrors.create('BROKER_UNREACHABLE', { address: textOf(this.#options.address), reason }, cause))
  }

  #fail(error: Error): void {
    this.#end()
    this.#socket.destroy()
    this.#reject(error)
  }

  #end(): void {
    this.#cancelTimeout()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    this.#socket.off('error', this.#onError).off('close', this.#onClose).off('data', this.#onData)
  }
}

/** The certificate is checked for the name by which the broker is known, not for what it was resolved to. */
function socketTo({ address: { host, port, name = host }, tls }: BrokerSocketOptions): Socket {
  if (tls === undefined) return connect({ host, port, noDelay: true })
  const socket = connectTls({ ...tls, host, port, ...(isIP(name) === 0 ? { servername: name } : {}) })
  socket.setNoDelay(true)
  return socket
}

/** A frame of its own, with its length in front, from what a decoder hands out. */
export function framed(buffer: Buffer, start: number, end: number): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + end - start)
  frame.writeUInt32BE(end - start, 0)
  buffer.copy(frame, LENGTH_BYTES, start, end)
  return frame
}
