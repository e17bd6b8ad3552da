import type { Socket } from 'node:net'
import { asError, reasonOf } from '@strata/base'
import {
  BaseCommand_Type,
  commandTypeOf,
  encodeCommand,
  FrameDecoder,
  frameBytesMaxOf,
  MESSAGE_BYTES_MAX_DEFAULT,
  type FrameHandler
} from '@strata/wire'
import { textOf, type HostPort } from '../brokers/address.ts'
import { proxyErrors } from '../errors.ts'
import { openBrokerSocket, type BrokerSocket } from './broker-socket.ts'
import type { ProxyServices } from './services.ts'

export interface LinkHandler {
  /** Any command but PING and PONG. The range is valid during the call. */
  onBrokerFrame(type: number, buffer: Buffer, start: number, end: number): void
  /** Called once, never during a call of the link's methods. */
  onLinkClosed(link: LookupLink, error: Error): void
}

export interface LinkOptions {
  readonly services: ProxyServices
  readonly address: HostPort
  /** CONNECT, a whole frame. */
  readonly connect: Buffer
  readonly handler: LinkHandler
}

/**
 * A connection to a broker that carries the lookups of one client, so that the broker knows whose they are. What is sent
 * before the handshake is done waits for it.
 */
export class LookupLink implements FrameHandler {
  /** `host:port` */
  readonly name: string
  readonly #options: LinkOptions
  readonly #abort = new AbortController()
  readonly #decoder = new FrameDecoder({ frameBytesMax: frameBytesMaxOf(MESSAGE_BYTES_MAX_DEFAULT) })
  #waiting: Buffer[] = []
  #socket: Socket | undefined
  #isPaused = false
  #isClosed = false

  constructor(options: LinkOptions) {
    this.#options = options
    this.name = textOf(options.address)
    const { services, address, connect } = options
    openBrokerSocket({
      address,
      connect,
      tls: services.brokerTls?.options,
      timeoutMs: services.settings.brokerProxyConnectTimeoutMs,
      clock: services.clock,
      signal: this.#abort.signal
    }).then(
      opened => {
        this.#onOpen(opened)
      },
      (error: unknown) => {
        this.#fail(asError(error))
      }
    )
  }

  send(frame: Buffer): void {
    if (this.#socket === undefined) this.#waiting.push(frame)
    else this.#socket.write(frame)
  }

  /** The client does not take answers as fast as they come. */
  pause(): void {
    this.#isPaused = true
    this.#socket?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#socket?.resume()
  }

  /** Gives the broker up: the handler is told soon. */
  giveUp(reason: string): void {
    const error = proxyErrors.create('BROKER_UNREACHABLE', { address: this.name, reason })
    queueMicrotask(() => {
      this.#fail(error)
    })
  }

  /** Without telling the handler. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#waiting = []
    this.#decoder.close()
    this.#abort.abort()
    this.#socket?.destroy()
  }

  /** Called by the decoder. */
  onFrame(buffer: Buffer, start: number, end: number): void {
    const type = commandTypeOf(buffer, start, end)
    if (type === BaseCommand_Type.PING) this.send(encodeCommand('pong', {}))
    else if (type !== BaseCommand_Type.PONG) this.#options.handler.onBrokerFrame(type, buffer, start, end)
  }

  #onOpen({ socket, connected, rest }: BrokerSocket): void {
    if (this.#isClosed) {
      socket.destroy()
      return
    }
    this.#socket = socket
    if (connected.maxMessageSize > 0) this.#decoder.frameBytesMax = frameBytesMaxOf(connected.maxMessageSize)
    for (const frame of this.#waiting.splice(0)) socket.write(frame)
    socket.on('data', this.#onData)
    socket.on('error', error => {
      this.#fail(this.#lost(error))
    })
    socket.on('close', () => {
      this.#fail(this.#lost())
    })
    if (rest.length > 0) this.#onData(rest)
    if (socket.destroyed) this.#fail(this.#lost())
    else if (!this.#isPaused) socket.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      this.#decoder.push(chunk, this)
    } catch (error) {
      this.#fail(this.#lost(error))
    }
  }

  #lost(cause?: unknown): Error {
    const reason = cause === undefined ? 'it closed the connection' : reasonOf(cause)
    return proxyErrors.create('BROKER_UNREACHABLE', { address: this.name, reason }, cause)
  }

  #fail(error: Error): void {
    if (this.#isClosed) return
    this.close()
    this.#options.handler.onLinkClosed(this, error)
  }
}
