import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { certificateOf, type ClientCertificate } from '@strata/auth'
import { encodeCommand } from '@strata/wire'
import { brokerError, brokerErrors } from '../errors.ts'
import { Admission } from './admission.ts'
import { Connection } from './connection.ts'
import { NO_REQUEST, type ConnectionServices } from './context.ts'
import type { BindAddress } from './listeners.ts'

const BACKLOG = 4096
const REFUSALS_TOLD_MS = 10_000
/** How long one that is refused may take to read why. */
const LINGER_MS = 1000

/** Listens for clients and knows their connections. */
export class ConnectionServer {
  readonly #services: ConnectionServices
  readonly #servers: Server[] = []
  readonly #connections = new Set<Connection>()
  /** Of those whose handshake of TLS is not done yet, by the address of the other end. */
  readonly #shaking = new Map<string, Socket>()
  readonly #admission: Admission
  #refused = 0
  #refusalToldMs = -Infinity
  #nextConnectionId = 1

  constructor(services: ConnectionServices) {
    this.#services = services
    this.#admission = new Admission(services.settings)
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Since the start. */
  get createdCount(): number {
    return this.#nextConnectionId - 1
  }

  connections(): Iterable<Connection> {
    return this.#connections
  }

  /** Resolves with the port. @throws the error of the system call: EADDRINUSE, EACCES, EADDRNOTAVAIL */
  async listen(address: BindAddress): Promise<number> {
    const server = address.isTls ? this.#tlsServer(address.listenerName) : this.#plainServer(address.listenerName)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    server.on('error', error => {
      this.#services.logger.warn({ event: 'server.failed', reason: error.message }, 'accepting a client failed')
    })
    this.#servers.push(server)
    return (server.address() as AddressInfo).port
  }

  /** No new clients. Those that are there stay. */
  stopListening(): void {
    for (const server of this.#servers) server.close()
  }

  /** What was written to the clients goes out first. */
  closeAll(reason: string): void {
    for (const connection of [...this.#connections]) connection.close(reason)
    for (const socket of this.#shaking.values()) socket.destroy()
  }

  #plainServer(listenerName: string): Server {
    return createServer({ noDelay: true, allowHalfOpen: false }, socket => {
      const refusal = this.#admit(socket)
      if (refusal === undefined) this.#accept(socket, { listenerName, certificate: undefined })
      else this.#refuse(socket, refusal)
    })
  }

  /** @throws BrokerError NotAllowedError: there is nothing to show to clients */
  #tlsServer(listenerName: string): Server {
    const { tls, logger } = this.#services
    if (tls === undefined) throw brokerError('NotAllowedError', 'TLS needs tlsCertificateFilePath and tlsKeyFilePath')
    const secure = createTlsServer(tls.options, socket => {
      this.#shaking.delete(nameOf(socket))
      if (tls.admits(socket)) this.#accept(socket, { listenerName, certificate: certificateOf(socket) })
      else {
        logger.info({ event: 'tls.refused', ip: socket.remoteAddress ?? '' }, 'a certificate is of nobody trusted')
        socket.destroy()
      }
    })
    secure.on('tlsClientError', (error, socket) => {
      const fields = { event: 'tls.failed', ip: socket.remoteAddress ?? '', reason: error.message }
      logger.debug(fields, 'a handshake came to nothing')
    })
    tls.keep(secure)
    return createServer({ noDelay: true, allowHalfOpen: false }, socket => {
      // before its handshake: it cannot be told why, and costs next to nothing
      if (this.#admit(socket) !== undefined) {
        socket.destroy()
        return
      }
      const name = nameOf(socket)
      this.#shaking.set(name, socket)
      socket.once('close', () => this.#shaking.delete(name))
      secure.emit('connection', socket)
    })
  }

  /** Counted from its first byte on: who never ends a handshake holds a place like any other. */
  #admit(socket: Socket): string | undefined {
    const ip = socket.remoteAddress ?? ''
    const refusal = this.#admission.enter(ip)
    if (refusal === undefined) {
      socket.once('close', () => {
        this.#admission.leave(ip)
      })
    } else this.#noteRefusal(ip, refusal)
    return refusal
  }

  #accept(
    socket: Socket,
    { listenerName, certificate }: { listenerName: string; certificate: ClientCertificate | undefined }
  ): void {
    const connection = new Connection({
      socket,
      services: this.#services,
      connectionId: this.#nextConnectionId++,
      listenerName,
      certificate,
      onClosed: closed => {
        this.#connections.delete(closed)
      }
    })
    this.#connections.add(connection)
  }

  /** It is told why, and gone. What it sends is read and dropped: unread bytes would make the system drop the answer. */
  #refuse(socket: Socket, message: string): void {
    const { clock } = this.#services
    socket.on('error', () => undefined)
    socket.resume()
    const { wire: error } = brokerErrors.NotAllowedError
    socket.end(encodeCommand('error', { requestId: NO_REQUEST, error, message }))
    const cancel = clock.after(LINGER_MS, () => socket.destroy())
    socket.once('close', cancel)
  }

  /** A flood of connections makes no flood of lines. */
  #noteRefusal(ip: string, reason: string): void {
    const { clock, logger } = this.#services
    this.#refused++
    const nowMs = clock.nowMs()
    if (nowMs - this.#refusalToldMs < REFUSALS_TOLD_MS) return
    this.#refusalToldMs = nowMs
    const fields = { event: 'connection.refused', ip, reason, count: this.#refused }
    logger.warn(fields, 'connections were refused')
    this.#refused = 0
  }
}

function nameOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
