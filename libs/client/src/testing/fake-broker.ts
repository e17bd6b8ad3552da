import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import {
  BaseCommand_Type,
  commandTypeOf,
  decodeCommand,
  decodeSend,
  encodeCommand,
  FrameDecoder,
  frameBytesMaxOf,
  MESSAGE_BYTES_MAX_DEFAULT,
  SendView,
  writeMessageHeader,
  WriteBuffer,
  writeSendReceipt,
  type CommandBody,
  type CommandInit,
  type CommandName,
  type DecodedCommand
} from '@strata/wire'

export interface ReceivedSend {
  readonly producerId: number
  readonly sequence: number
  readonly numMessages: number
  /** Headers and payload. */
  readonly body: Buffer
}

/** What a test changes of the broker's ways. Each returns true if it has dealt with the command itself. */
export interface FakeBrokerHooks {
  onCommand?(command: DecodedCommand, connection: FakeConnection): boolean
  onSend?(send: ReceivedSend, connection: FakeConnection): boolean
}

/** A client's connection, from the broker's side. */
export class FakeConnection {
  readonly #socket: Socket
  readonly #decoder = new FrameDecoder({ frameBytesMax: frameBytesMaxOf(MESSAGE_BYTES_MAX_DEFAULT) })
  readonly #send = new SendView()
  readonly #out = new WriteBuffer()

  constructor(socket: Socket, broker: FakeBroker) {
    this.#socket = socket
    socket.on('error', () => undefined)
    socket.on('data', chunk => {
      this.#decoder.push(chunk, {
        onFrame: (buffer, start, end) => {
          if (commandTypeOf(buffer, start, end) !== BaseCommand_Type.SEND) {
            broker.handle(decodeCommand(buffer, start, end), this)
            return
          }
          decodeSend(buffer, start, end, this.#send)
          const { producerId, sequenceLow: sequence, numMessages, headersStart, headersEnd } = this.#send
          const body = Buffer.from(buffer.subarray(headersStart, headersEnd))
          broker.handleSend({ producerId, sequence, numMessages, body }, this)
        }
      })
    })
  }

  reply<Name extends CommandName>(name: Name, init: CommandInit<Name>): void {
    this.#socket.write(encodeCommand(name, init))
  }

  receipt(send: ReceivedSend, entryId: number): void {
    writeSendReceipt(this.#out, send.producerId, send.sequence, 0, 0, 0, 1, entryId)
    this.#socket.write(this.#out.take())
  }

  deliver(consumerId: number, entryId: number, body: Buffer, redeliveryCount = 0): void {
    writeMessageHeader(this.#out, consumerId, 1, entryId, -1, redeliveryCount, undefined, undefined, body.length)
    this.#socket.write(Buffer.concat([this.#out.take(), body]))
  }

  raw(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/**
 * A broker of one's own, in this process: it answers what a client asks by the book, keeps what is sent, and lets a
 * test step in anywhere. Nothing is stored beyond `sends`.
 */
export class FakeBroker {
  readonly #server: Server
  readonly hooks: FakeBrokerHooks = {}
  readonly connections = new Set<FakeConnection>()
  readonly commands: DecodedCommand[] = []
  readonly sends: ReceivedSend[] = []
  #waiting: { isDone: () => boolean; resolve: () => void }[] = []

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(hooks: FakeBrokerHooks = {}): Promise<FakeBroker> {
    const server = createServer()
    const broker = new FakeBroker(server)
    Object.assign(broker.hooks, hooks)
    server.on('connection', socket => {
      const connection = new FakeConnection(socket, broker)
      broker.connections.add(connection)
      socket.on('close', () => {
        broker.connections.delete(connection)
        broker.#wake()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return broker
  }

  get url(): string {
    return `pulsar://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Resolves when the condition holds; it is looked at after each command. */
  until(isDone: () => boolean): Promise<void> {
    if (isDone()) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push({ isDone, resolve }))
  }

  received<Name extends CommandName>(name: Name): CommandBody<Name>[] {
    return this.commands.flatMap(command => (command.case === name ? [command.value as CommandBody<Name>] : []))
  }

  handle(command: DecodedCommand, connection: FakeConnection): void {
    this.commands.push(command)
    if (this.hooks.onCommand?.(command, connection) !== true) this.#answer(command, connection)
    this.#wake()
  }

  handleSend(send: ReceivedSend, connection: FakeConnection): void {
    this.sends.push(send)
    if (this.hooks.onSend?.(send, connection) !== true) connection.receipt(send, this.sends.length - 1)
    this.#wake()
  }

  #wake(): void {
    const done = this.#waiting.filter(each => each.isDone())
    this.#waiting = this.#waiting.filter(each => !done.includes(each))
    for (const each of done) each.resolve()
  }

  #answer(command: DecodedCommand, connection: FakeConnection): void {
    switch (command.case) {
      case 'connect':
        connection.reply('connected', { serverVersion: 'fake', protocolVersion: 21, maxMessageSize: 5 * 1024 * 1024 })
        return
      case 'partitionMetadata':
        connection.reply('partitionMetadataResponse', { requestId: command.value.requestId, partitions: 0 })
        return
      case 'lookupTopic': {
        const found = { response: 1, brokerServiceUrl: this.url, authoritative: true } as const
        connection.reply('lookupTopicResponse', { requestId: command.value.requestId, ...found })
        return
      }
      case 'producer': {
        const { requestId, producerName } = command.value
        const name = producerName === '' ? 'fake-1' : producerName
        connection.reply('producerSuccess', { requestId, producerName: name, lastSequenceId: -1n })
        return
      }
      case 'ping':
        connection.reply('pong', {})
        return
      case 'ack':
        if (Object.hasOwn(command.value, 'requestId')) {
          const { consumerId, requestId } = command.value
          connection.reply('ackResponse', { consumerId, requestId })
        }
        return
      case 'subscribe':
      case 'closeProducer':
      case 'closeConsumer':
      case 'unsubscribe':
      case 'seek':
        connection.reply('success', { requestId: command.value.requestId })
        return
      default:
    }
  }

  async close(): Promise<void> {
    for (const connection of this.connections) connection.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
