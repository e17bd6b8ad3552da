import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import {
  BaseCommand_Type,
  CommandLookupTopicResponse_LookupType,
  commandTypeOf,
  decodeCommand,
  encodeCommand,
  PROTOCOL_VERSION,
  type CommandInit,
  type CommandName
} from '@strata/wire'
import { FrameHeads } from './frame-heads.ts'

/** Frames of one type, by where they stand in a shared buffer: read them during the call only. */
export type FrameCallback = (buffer: Buffer, start: number, end: number) => void

/** Read into again and again: what comes is not kept. */
const READ_BYTES = 256 * 1024
const LOOKUPS_MAX = 40
const LOOKUP_PAUSE_MS = 250

/**
 * A client connection without a client: sends bytes that were encoded before, and hands out frames as they come. It
 * exists to load a broker with as little work of its own as possible.
 */
export class Peer {
  readonly socket: Socket
  readonly #waiting = new Map<number, (buffer: Buffer, start: number, end: number) => void>()
  onFrame: FrameCallback = () => undefined
  /** Calls after each chunk of the socket: work that is done once for many frames. */
  onChunk: () => void = () => undefined
  failure: Error | undefined

  private constructor(socket: Socket, heads: FrameHeads) {
    this.socket = socket
    heads.onFrame = (buffer, start, end) => {
      this.#onFrame(buffer, start, end)
    }
    heads.onChunk = () => {
      this.onChunk()
    }
    socket.setNoDelay(true)
    socket.on('error', error => {
      this.failure = error
    })
    socket.on('close', () => {
      this.failure ??= new Error('the broker closed the connection')
    })
  }

  /** `localAddress`: one of the loopback's, for more connections than one address has ports. */
  static async open(port: number, options: { localAddress?: string } = {}): Promise<Peer> {
    const heads = new FrameHeads()
    const buffer = Buffer.alloc(READ_BYTES)
    const callback = (bytes: number): boolean => {
      heads.push(buffer.subarray(0, bytes))
      return true
    }
    const socket = connect({ port, host: '127.0.0.1', ...options, onread: { buffer, callback } })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const peer = new Peer(socket, heads)
    await peer.ask(
      'connect',
      { clientVersion: 'strata-load', protocolVersion: PROTOCOL_VERSION },
      BaseCommand_Type.CONNECTED
    )
    return peer
  }

  /** Apache Pulsar serves a topic only once somebody has looked it up, and refuses that for a while after its start. */
  async lookup(topic: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.ask('lookupTopic', { topic, requestId: 0n }, BaseCommand_Type.LOOKUP_RESPONSE)
      if (answer.case !== 'lookupTopicResponse') throw new Error(`a lookup was answered with ${answer.case}`)
      if (answer.value.response === CommandLookupTopicResponse_LookupType.Connect) return
      if (attempt === LOOKUPS_MAX) throw new Error(`${topic} cannot be looked up: ${answer.value.message}`)
      await delay(LOOKUP_PAUSE_MS)
    }
  }

  /** Sends a command and waits for the first frame of the type that answers it. One at a time per answering type. */
  async ask<Name extends CommandName>(
    name: Name,
    init: CommandInit<Name>,
    answer: BaseCommand_Type
  ): Promise<ReturnType<typeof decodeCommand>> {
    const answered = new Promise<ReturnType<typeof decodeCommand>>((resolve, reject) => {
      const settle = (): void => {
        this.#waiting.delete(answer)
        this.#waiting.delete(BaseCommand_Type.ERROR)
        this.socket.off('close', onClose)
      }
      const onClose = (): void => {
        settle()
        reject(new Error('the broker closed the connection'))
      }
      this.socket.once('close', onClose)
      this.#waiting.set(answer, (buffer, start, end) => {
        settle()
        resolve(decodeCommand(buffer, start, end))
      })
      this.#waiting.set(BaseCommand_Type.ERROR, (buffer, start, end) => {
        settle()
        const command = decodeCommand(buffer, start, end)
        reject(new Error(command.case === 'error' ? command.value.message : 'the broker refused'))
      })
    })
    this.socket.write(encodeCommand(name, init))
    return await answered
  }

  close(): void {
    this.socket.destroy()
  }

  #onFrame(buffer: Buffer, start: number, end: number): void {
    const type = commandTypeOf(buffer, start, end)
    if (type === BaseCommand_Type.PING) {
      this.socket.write(encodeCommand('pong', {}))
      return
    }
    const waiting = this.#waiting.get(type)
    if (waiting !== undefined) waiting(buffer, start, end)
    else this.onFrame(buffer, start, end)
  }
}
