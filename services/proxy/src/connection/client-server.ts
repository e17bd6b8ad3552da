import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { certificateOf, type ClientCertificate, type ServerTls } from '@strata/auth'
import { every } from '@strata/base'
import { encodeCommand, ServerError } from '@strata/wire'
import { ClientConnection } from './client-connection.ts'
import { endSocket } from './pipe.ts'
import { NO_REQUEST, type ProxyServices } from './services.ts'

const BACKLOG = 4096
/** How often silence is looked for. One timer serves all connections. */
const TICK_MS = 1000

/** Listens for clients and knows their connections. */
export class ClientServer {
  readonly #services: ProxyServices
  readonly #connections = new Set<ClientConnection>()
  readonly #countByIp = new Map<string, number>()
  readonly #servers: Server[] = []
  #nextConnectionId = 1
  #stopTicks: () => void = () => undefined
  #stopWatching: () => void = () => undefined

  constructor(services: ProxyServices) {
    this.#services = services
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  /** Resolves with the port. @throws the error of the system call: EADDRINUSE, EACCES, EADDRNOTAVAIL */
  async listen(address: { host: string; port: number }, tls?: ServerTls): Promise<number> {
    const server = tls === undefined ? this.#plainServer() : this.#tlsServer(tls)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ ...address, backlog: BACKLOG }, () => {
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

  /** From now on silence is noticed, and brokers that leave. */
  start(): void {
    const { clock, directory, logger } = this.#services
    this.#stopTicks = every(clock, TICK_MS, () => {
      const nowMs = clock.nowMs()
      for (const connection of this.#connections) connection.tick(nowMs)
    })
    this.#stopWatching = directory.onGone(name => {
      logger.info({ event: 'broker.gone', broker: name }, 'a broker left the cluster')
      for (const connection of [...this.#connections]) connection.onBrokerGone(name)
    })
  }

  /** No new clients. Those that are there stay. */
  stopListening(): void {
    for (const server of this.#servers) server.close()
  }

  /** What was written to the clients goes out first. */
  closeAll(reason: string): void {
    this.#stopTicks()
    this.#stopWatching()
    for (const connection of [...this.#connections]) connection.close(reason)
  }

  #plainServer(): Server {
    return createServer({ noDelay: true, allowHalfOpen: false }, socket => {
      this.#accept(socket, undefined)
    })
  }

  #tlsServer(tls: ServerTls): Server {
    const { logger } = this.#services
    const server = createTlsServer({ ...tls.options, noDelay: true }, socket => {
      if (tls.admits(socket)) this.#accept(socket, certificateOf(socket))
      else {
        logger.info({ event: 'tls.refused', client: socket.remoteAddress }, 'a certificate is of nobody trusted')
        socket.destroy()
      }
    })
    tls.keep(server)
    return server
  }

  #accept(socket: Socket, certificate: ClientCertificate | undefined): void {
    const { counts } = this.#services.metrics
    const ip = socket.remoteAddress ?? ''
    const refusal = this.#refusalOf(ip)
    if (refusal !== undefined) {
      counts.rejectedConnections++
      this.#refuse(socket, refusal)
      return
    }
    this.#countByIp.set(ip, (this.#countByIp.get(ip) ?? 0) + 1)
    counts.newConnections++
    const connection = new ClientConnection({
      socket,
      services: this.#services,
      connectionId: this.#nextConnectionId++,
      certificate,
      onClosed: closed => {
        this.#forget(closed, ip)
      }
    })
    this.#connections.add(connection)
    counts.activeConnections = this.#connections.size
  }

  #refusalOf(ip: string): string | undefined {
    const { maxConcurrentInboundConnections, maxConcurrentInboundConnectionsPerIp } = this.#services.settings
    if (this.#connections.size >= maxConcurrentInboundConnections) return 'Reached the maximum number of connections'
    const fromIp = this.#countByIp.get(ip) ?? 0
    return maxConcurrentInboundConnectionsPerIp > 0 && fromIp >= maxConcurrentInboundConnectionsPerIp
      ? `Reached the maximum number of connections on address ${ip}`
      : undefined
  }

  /** In the words of Apache Pulsar. */
  #refuse(socket: Socket, message: string): void {
    const { logger, clock } = this.#services
    logger.warn({ event: 'connection.refused', client: socket.remoteAddress, reason: message }, 'a client was refused')
    socket.on('error', () => undefined)
    // what it sends is read and dropped: unread bytes would make the system throw the answer away
    socket.resume()
    socket.write(encodeCommand('error', { requestId: NO_REQUEST, error: ServerError.NotAllowedError, message }))
    endSocket(socket, clock)
  }

  #forget(connection: ClientConnection, ip: string): void {
    if (!this.#connections.delete(connection)) return
    this.#services.metrics.counts.activeConnections = this.#connections.size
    const left = (this.#countByIp.get(ip) ?? 1) - 1
    if (left > 0) this.#countByIp.set(ip, left)
    else this.#countByIp.delete(ip)
  }
}
