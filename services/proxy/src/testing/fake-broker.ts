import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import {
  decodeCommand,
  encodeCommand,
  FrameDecoder,
  frameBytesMaxOf,
  type CommandBody,
  type CommandInit,
  type CommandName,
  type DecodedCommand
} from '@strata/wire'

/** One connection that the proxy made. */
export class FakeBrokerConnection {
  readonly socket: Socket
  /** What it said of the client. */
  connect: CommandBody<'connect'> | undefined
  /** Every command but CONNECT, in order. */
  readonly commands: DecodedCommand[] = []

  constructor(socket: Socket) {
    this.socket = socket
  }

  reply<Name extends CommandName>(name: Name, init: CommandInit<Name>): void {
    this.socket.write(encodeCommand(name, init))
  }
}

type OnCommand = (command: DecodedCommand, connection: FakeBrokerConnection) => void

/** A broker that answers CONNECT, and the rest as a test says. */
export class FakeBroker {
  readonly connections: FakeBrokerConnection[] = []
  onCommand: OnCommand = () => undefined
  /** Its answer to CONNECT. */
  onConnect: (connection: FakeBrokerConnection) => void = connection => {
    connection.reply('connected', { serverVersion: 'fake', protocolVersion: 21, maxMessageSize: 1_000_000 })
  }
  /** Also after it stopped. */
  port = 0
  readonly #server: Server
  #waiting: (() => void)[] = []

  private constructor(tls: TlsOptions | undefined) {
    const accept = (socket: Socket): void => {
      this.#accept(socket)
    }
    this.#server = tls === undefined ? createServer({ noDelay: true }, accept) : createTlsServer(tls, accept)
  }

  static async start(port = 0, tls?: TlsOptions): Promise<FakeBroker> {
    const broker = new FakeBroker(tls)
    broker.#server.listen(port, '127.0.0.1')
    await once(broker.#server, 'listening')
    broker.port = (broker.#server.address() as AddressInfo).port
    return broker
  }

  /** `host:port` */
  get name(): string {
    return `127.0.0.1:${this.port}`
  }

  get url(): string {
    return `pulsar://${this.name}`
  }

  /** Resolves once it is true; asked anew whenever something came. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>(resolve => {
        this.#waiting.push(resolve)
      })
    }
  }

  /** As kill -9: connections break, the port refuses. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const { socket } of this.connections) socket.destroy()
    await closed
  }

  #accept(socket: Socket): void {
    const connection = new FakeBrokerConnection(socket)
    this.connections.push(connection)
    const decoder = new FrameDecoder({ frameBytesMax: frameBytesMaxOf(64 * 1024 * 1024) })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#wake()
    })
    socket.on('data', chunk => {
      decoder.push(chunk, {
        onFrame: (buffer, start, end) => {
          this.#onFrame(decodeCommand(buffer, start, end), connection)
        }
      })
      this.#wake()
    })
    this.#wake()
  }

  #onFrame(command: DecodedCommand, connection: FakeBrokerConnection): void {
    if (command.case === 'connect') {
      connection.connect = command.value
      this.onConnect(connection)
      return
    }
    connection.commands.push(command)
    this.onCommand(command, connection)
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
