import { statSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ServerTls } from '@strata/auth'
import type { ProxyServices } from '../connection/services.ts'
import { PROMETHEUS_TYPE } from '../metrics.ts'
import { HttpForwarder } from './http-forwarder.ts'
import { answer, answerJson } from './reply.ts'

/** What brokers serve for clients and administrators. */
const PASSED_ON = /^\/(admin|lookup)([/?]|$)/

/** HTTP of a proxy: what it passes on, and what load balancers and Prometheus ask of itself. */
export class WebServer {
  readonly #services: ProxyServices
  readonly #forwarder: HttpForwarder
  readonly #servers: (Server | TlsServer)[] = []
  #isStopping = false

  constructor(services: ProxyServices) {
    this.#services = services
    this.#forwarder = new HttpForwarder(services)
  }

  get pendingCount(): number {
    return this.#forwarder.pendingCount
  }

  /** Resolves with the port. @throws the error of the system call: EADDRINUSE, EACCES, EADDRNOTAVAIL */
  async listen(address: { host: string; port: number }, tls?: ServerTls): Promise<number> {
    const server = this.#createServer(tls)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(address, () => {
        server.off('error', reject)
        resolve()
      })
    })
    this.#servers.push(server)
    return (server.address() as AddressInfo).port
  }

  /** Load balancers are told to send no more. */
  announceStop(): void {
    this.#isStopping = true
  }

  /** Cuts what is open. */
  async close(): Promise<void> {
    for (const server of this.#servers) {
      await new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    }
    this.#forwarder.close()
  }

  #createServer(tls: ServerTls | undefined): Server | TlsServer {
    const { httpMaxRequestHeaderSize: maxHeaderSize, maxHttpServerConnections } = this.#services.settings
    const onRequest: RequestListener = (request, response) => {
      void this.#handle(request, response)
    }
    const server =
      tls === undefined
        ? createServer({ maxHeaderSize }, onRequest)
        : createTlsServer({ ...tls.options, maxHeaderSize }, onRequest)
    if (tls !== undefined) {
      server.on('secureConnection', (socket: TLSSocket) => {
        if (!tls.admits(socket)) socket.destroy()
      })
      tls.keep(server as TlsServer)
    }
    if (maxHttpServerConnections > 0) server.maxConnections = maxHttpServerConnections
    return server
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? ''
    if (PASSED_ON.test(url)) {
      await this.#forwarder.forward(request, response)
      return
    }
    request.resume()
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const path = url.split('?', 1)[0] ?? ''
    if (isRead && path === '/status.html') this.#answerStatus(response)
    else if (isRead && /^\/metrics\/?$/.test(path) && this.#services.settings.enableProxyStatsEndpoints) {
      answer(response, 200, PROMETHEUS_TYPE, await this.#services.metrics.text())
    } else answerJson(response, 404, 'There is no such path')
  }

  #answerStatus(response: ServerResponse): void {
    if (this.#isReady()) answer(response, 200, 'text/plain', 'OK')
    else answerJson(response, 404, 'The proxy takes no clients now')
  }

  #isReady(): boolean {
    const { statusFilePath } = this.#services.settings
    if (this.#isStopping || !this.#services.directory.isReady) return false
    return statusFilePath === '' || (statSync(statusFilePath, { throwIfNoEntry: false })?.isFile() ?? false)
  }
}
