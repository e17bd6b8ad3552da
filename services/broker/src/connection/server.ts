import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { certificateOf, type ClientCertificate } from '@strata/auth'
import { brokerError } from '../errors.ts'
import { Connection } from './connection.ts'
import type { ConnectionServices } from './context.ts'
import type { BindAddress } from './listeners.ts'

const BACKLOG = 4096

/** Listens for clients and knows their connections. */
export class ConnectionServer {
  readonly #services: ConnectionServices
  readonly #servers: Server[] = []
  readonly #connections = new Set<Connection>()
  readonly #countByIp = new Map<string, number>()
  #nextConnectionId = 1

  constructor(services: ConnectionServices) {
    this.#services = services
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
  }

  #plainServer(listenerName: string): Server {
    return createServer({ noDelay: true, allowHalfOpen: false }, socket => {
      this.#accept(socket, { listenerName, certificate: undefined })
    })
  }

  /** @throws BrokerError NotAllowedError: there is nothing to show to clients */
  #tlsServer(listenerName: string): Server {
    const { tls, logger } = this.#services
    if (tls === undefined) throw brokerError('NotAllowedError', 'TLS needs tlsCertificateFilePath and tlsKeyFilePath')
    const server = createTlsServer({ ...tls.options, noDelay: true }, socket => {
      if (tls.admits(socket)) this.#accept(socket, { listenerName, certificate: certificateOf(socket) })
      else {
        logger.info({ event: 'tls.refused', ip: socket.remoteAddress ?? '' }, 'a certificate is of nobody trusted')
        socket.destroy()
      }
    })
    server.on('tlsClientError', (error, socket) => {
      const fields = { event: 'tls.failed', ip: socket.remoteAddress ?? '', reason: error.message }
      logger.debug(fields, 'a handshake came to nothing')
    })
    tls.keep(server)
    return server
  }

  #accept(
    socket: Socket,
    { listenerName, certificate }: { listenerName: string; certificate: ClientCertificate | undefined }
  ): void {
    const ip = socket.remoteAddress ?? ''
    const refusal = this.#refusalOf(ip)
    if (refusal !== undefined) {
      this.#services.logger.warn({ event: 'connection.refused', ip, reason: refusal }, 'a connection was refused')
      socket.on('error', () => undefined)
      socket.destroy()
      return
    }
    this.#countByIp.set(ip, (this.#countByIp.get(ip) ?? 0) + 1)
    const connection = new Connection({
      socket,
      services: this.#services,
      connectionId: this.#nextConnectionId++,
      listenerName,
      certificate,
      onClosed: closed => {
        this.#forget(closed, ip)
      }
    })
    this.#connections.add(connection)
  }

  #refusalOf(ip: string): string | undefined {
    const { brokerMaxConnections, brokerMaxConnectionsPerIp } = this.#services.settings
    if (brokerMaxConnections > 0 && this.#connections.size >= brokerMaxConnections) return 'brokerMaxConnections'
    const fromIp = this.#countByIp.get(ip) ?? 0
    return brokerMaxConnectionsPerIp > 0 && fromIp >= brokerMaxConnectionsPerIp
      ? 'brokerMaxConnectionsPerIp'
      : undefined
  }

  #forget(connection: Connection, ip: string): void {
    if (!this.#connections.delete(connection)) return
    const left = (this.#countByIp.get(ip) ?? 1) - 1
    if (left > 0) this.#countByIp.set(ip, left)
    else this.#countByIp.delete(ip)
  }
}
