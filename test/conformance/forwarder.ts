// A mapped port: what connects to it is passed on to the broker, byte for byte.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** One open port and the connections that came through it. */
export class Forwarder {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** @param options.port 0 for any. @param options.to The broker's own `pulsar://host:port`. */
  static async open(options: { port: number; to: string }): Promise<Forwarder> {
    const { hostname, port } = new URL(options.to)
    const server = createServer()
    const forwarder = new Forwarder(server)
    server.on('connection', incoming => {
      const outgoing = connect({ host: hostname, port: Number(port) })
      for (const [from, to] of [
        [incoming, outgoing],
        [outgoing, incoming]
      ] as const) {
        forwarder.#sockets.add(from)
        from.on('error', () => undefined)
        from.on('close', () => {
          forwarder.#sockets.delete(from)
          to.destroy()
        })
        from.pipe(to)
      }
    })
    server.listen(options.port, '127.0.0.1')
    await once(server, 'listening')
    return forwarder
  }

  /** As a client names it that knows the machine by another name than the broker does. */
  get url(): string {
    return `pulsar://localhost:${(this.#server.address() as AddressInfo).port}`
  }

  /** Cuts all connections, and takes no more. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}
