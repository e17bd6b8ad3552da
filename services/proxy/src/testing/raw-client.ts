import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
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

type ConnectFields = Partial<Omit<CommandBody<'connect'>, '$typeName' | '$unknown'>>

/** A client's socket, frames by hand: what is sent and what came is exactly what a test says. */
export class RawClient {
  readonly socket: Socket
  /** Frames nobody has taken yet. */
  readonly inbox: DecodedCommand[] = []
  isClosed = false
  #waiting: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    const decoder = new FrameDecoder({ frameBytesMax: frameBytesMaxOf(64 * 1024 * 1024) })
    socket.on('data', chunk => {
      decoder.push(chunk, {
        onFrame: (buffer, start, end) => {
          this.inbox.push(decodeCommand(buffer, start, end))
        }
      })
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }

  static async open(url: string, tls?: ConnectionOptions): Promise<RawClient> {
    const { hostname: host, port } = new URL(url)
    if (tls !== undefined) {
      const secure = connectTls({ servername: 'localhost', ...tls, host, port: Number(port) })
      await once(secure, 'secureConnect')
      return new RawClient(secure)
    }
    const socket = connect({ host, port: Number(port), noDelay: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  send<Name extends CommandName>(name: Name, init: CommandInit<Name>): void {
    this.socket.write(encodeCommand(name, init))
  }

  sendConnect(init: ConnectFields = {}): void {
    this.send('connect', { clientVersion: 'Raw-1.0', protocolVersion: 21, authMethodName: 'none', ...init })
  }

  /** CONNECT, and what it was answered with. */
  async connect(init: ConnectFields = {}): Promise<CommandBody<'connected'>> {
    this.sendConnect(init)
    return await this.next('connected')
  }

  /** The next frame of this kind, wherever it stands in the inbox. */
  async next<Name extends CommandName>(name: Name): Promise<CommandBody<Name>> {
    for (;;) {
      const index = this.inbox.findIndex(command => command.case === name)
      if (index >= 0) return this.inbox.splice(index, 1)[0]?.value as CommandBody<Name>
      if (this.isClosed) throw new Error(`closed before ${name} came`)
      await this.#news()
    }
  }

  async closed(): Promise<void> {
    while (!this.isClosed) await this.#news()
  }

  destroy(): void {
    this.socket.destroy()
  }

  #news(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
    })
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
