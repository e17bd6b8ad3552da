import { strict as assert } from 'node:assert'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { once } from 'node:events'
import {
  crc32c,
  decodeCommand,
  encodeBaseCommand,
  encodeCommand,
  FrameDecoder,
  frameBytesMaxOf,
  type CommandBody,
  type CommandInit,
  type CommandName,
  type DecodedCommand
} from '@strata/wire'

export interface Received {
  readonly command: DecodedCommand
  /** Headers and payload of a MESSAGE; empty otherwise. */
  readonly headers: Buffer
}

interface SendInit {
  readonly producerId?: bigint
  readonly sequenceId?: bigint
  readonly highestSequenceId?: bigint
  readonly numMessages?: number
  readonly txnidLeastBits?: bigint
  readonly txnidMostBits?: bigint
}

export interface RawClientOptions {
  readonly protocolVersion?: number
  readonly clientVersion?: string
  readonly supportsBrokerEntryMetadata?: boolean
  readonly authMethod?: string
}

/** Frames by hand over a socket: what it sends and gets is exactly what a test says. Request ids count up from a number past 2^53. */
export class RawClient {
  readonly socket: Socket
  /** Frames nobody has taken yet. */
  readonly inbox: Received[] = []
  isClosed = false
  answersPings = true
  #pings = 0
  #nextRequestId = 0x7fff_0000_0000_0001n
  #waiting: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    const decoder = new FrameDecoder({ frameBytesMax: frameBytesMaxOf(64 * 1024 * 1024) })
    socket.on('data', chunk => {
      decoder.push(chunk, {
        onFrame: (buffer, start, end) => {
          const command = decodeCommand(buffer, start, end)
          if (command.case === 'ping') this.#onPing()
          else this.inbox.push({ command, headers: Buffer.from(buffer.subarray(command.headersStart, end)) })
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

  static async open(options: { port: number; tls?: ConnectionOptions }): Promise<RawClient> {
    if (options.tls !== undefined) {
      const socket = connectTls({ servername: 'localhost', ...options.tls, port: options.port, host: '127.0.0.1' })
      await once(socket, 'secureConnect')
      return new RawClient(socket)
    }
    const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  async connect(options: RawClientOptions = {}): Promise<CommandBody<'connected'>> {
    this.send('connect', {
      clientVersion: options.clientVersion ?? 'Raw-1.0',
      protocolVersion: options.protocolVersion ?? 21,
      authMethodName: options.authMethod ?? 'none',
      featureFlags: {
        supportsAuthRefresh: true,
        supportsBrokerEntryMetadata: options.supportsBrokerEntryMetadata ?? false
      }
    })
    return await this.next('connected')
  }

  requestId(): bigint {
    return this.#nextRequestId++
  }

  send<Name extends CommandName>(name: Name, init: CommandInit<Name>): void {
    this.socket.write(encodeCommand(name, init))
  }

  /** SEND with headers and payload that are given, or made of a text. */
  publish(options: SendInit & { text?: string; headers?: Buffer; messages?: number }): void {
    const { text = 'hello', messages, headers: given, ...init } = options
    const headers = given ?? entryOf(text, messages === undefined ? {} : { messages })
    this.socket.write(sendFrame({ producerId: 0n, sequenceId: 0n, ...init }, headers))
  }

  /** Sends a request and takes the answer with its id, of whatever kind. */
  async request<Name extends CommandName>(
    name: Name,
    init: Omit<CommandInit<Name>, 'requestId'>
  ): Promise<DecodedCommand> {
    const requestId = this.requestId()
    const whole: unknown = { ...(init as object), requestId }
    this.send(name, whole as CommandInit<Name>)
    return await this.answerTo(requestId)
  }

  async answerTo(requestId: bigint): Promise<DecodedCommand> {
    const found = await this.take(({ command }) => requestIdOf(command) === requestId)
    return found.command
  }

  /** The next frame of this kind, wherever it stands in the inbox. */
  async next<Name extends CommandName>(name: Name): Promise<CommandBody<Name>> {
    const found = await this.take(({ command }) => command.case === name)
    return found.command.value as CommandBody<Name>
  }

  async nextMessage(): Promise<{ message: CommandBody<'message'>; headers: Buffer }> {
    const found = await this.take(({ command }) => command.case === 'message')
    return { message: found.command.value as CommandBody<'message'>, headers: found.headers }
  }

  async take(matches: (received: Received) => boolean): Promise<Received> {
    for (;;) {
      const index = this.inbox.findIndex(matches)
      if (index >= 0) return this.inbox.splice(index, 1)[0] as Received
      if (this.isClosed) throw new Error('the broker closed the connection')
      await this.#news()
    }
  }

  /** Resolves once the broker has asked whether this client is there. */
  async pinged(): Promise<void> {
    while (this.#pings === 0) await this.#news()
    this.#pings = 0
  }

  async closed(): Promise<void> {
    while (!this.isClosed) await this.#news()
  }

  /** Everything that was sent before is handled once this resolves. */
  async settle(): Promise<void> {
    this.send('ping', {})
    await this.next('pong')
  }

  async producer(topic: string, init: Partial<CommandInit<'producer'>> = {}): Promise<CommandBody<'producerSuccess'>> {
    const answer = await this.request('producer', { topic, producerId: 0n, ...init })
    assert.equal(answer.case, 'producerSuccess', describe(answer))
    return answer.value
  }

  async subscribe(topic: string, init: Partial<CommandInit<'subscribe'>> = {}): Promise<void> {
    const answer = await this.request('subscribe', {
      topic,
      subscription: 'sub',
      subType: 0,
      consumerId: 0n,
      initialPosition: 1,
      ...init
    })
    assert.equal(answer.case, 'success', describe(answer))
  }

  flow(permits: number, consumerId = 0n): void {
    this.send('flow', { consumerId, messagePermits: permits })
  }

  destroy(): void {
    this.socket.destroy()
  }

  #onPing(): void {
    this.#pings++
    if (this.answersPings) this.send('pong', {})
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

export function describe(command: DecodedCommand): string {
  return `${command.case} ${JSON.stringify(command.value, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`
}

function requestIdOf(command: DecodedCommand): bigint | undefined {
  const { value } = command
  return value !== undefined && 'requestId' in value ? value.requestId : undefined
}

/** Headers and payload: magic, checksum, metadata, payload. */
export function entryOf(
  text: string,
  options: { messages?: number; publishTimeMs?: number; badChecksum?: boolean; key?: string } = {}
): Buffer {
  const fields = [
    bytesField(1, Buffer.from('p')),
    varintField(2, 0),
    varintField(3, options.publishTimeMs ?? 1_700_000_000_000)
  ]
  if (options.key !== undefined) fields.push(bytesField(6, Buffer.from(options.key)))
  if (options.messages !== undefined) fields.push(varintField(11, options.messages))
  const metadata = Buffer.concat(fields)
  const size = Buffer.alloc(4)
  size.writeUInt32BE(metadata.length)
  const covered = Buffer.concat([size, metadata, Buffer.from(text)])
  const front = Buffer.alloc(6)
  front.writeUInt16BE(0x0e01)
  front.writeUInt32BE((crc32c(covered) + (options.badChecksum === true ? 1 : 0)) >>> 0, 2)
  return Buffer.concat([front, covered])
}

export function payloadTextOf(headers: Buffer): string {
  const metadataBytes = headers.readUInt32BE(6)
  return headers.toString('utf8', 10 + metadataBytes)
}

export function sendFrame(init: SendInit & { producerId: bigint; sequenceId: bigint }, headers: Buffer): Buffer {
  const command = encodeBaseCommand('send', init)
  const prefix = Buffer.alloc(8)
  prefix.writeUInt32BE(4 + command.length + headers.length)
  prefix.writeUInt32BE(command.length, 4)
  return Buffer.concat([prefix, command, headers])
}

function varintField(field: number, value: number): Buffer {
  const bytes = [field << 3]
  if (field >= 16) throw new Error('a small field only')
  let rest = BigInt(value)
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

function bytesField(field: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, value.length]), value])
}
