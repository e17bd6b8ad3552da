import {
  BaseCommand_Type,
  CommandAck_AckType,
  CommandSubscribe_InitialPosition,
  CommandSubscribe_SubType,
  commandTypeOf,
  decodeCommand,
  encodeCommand,
  MetadataView,
  readMessageMetadata
} from '@strata/wire'
import { Peer } from './peer.ts'

export interface ConsumeOptions {
  readonly port: number
  readonly topic: string
  readonly subscription: string
  readonly type: 'Exclusive' | 'Shared' | 'Key_Shared'
  readonly consumers: number
  readonly permits: number
  readonly earliest: boolean
}

const TYPES = {
  Exclusive: CommandSubscribe_SubType.Exclusive,
  Shared: CommandSubscribe_SubType.Shared,
  Key_Shared: CommandSubscribe_SubType.Key_Shared
} as const

/** Consumers on raw sockets that count messages, give permits back and acknowledge (cumulatively where the type allows it). */
export class ConsumeLoad {
  readonly #peers: Peer[] = []
  messages = 0

  static async open(options: ConsumeOptions): Promise<ConsumeLoad> {
    const load = new ConsumeLoad()
    for (let i = 0; i < options.consumers; i++) {
      const peer = await Peer.open(options.port)
      load.#peers.push(peer)
      load.#serve(peer, options)
      await peer.lookup(options.topic)
      await peer.ask(
        'subscribe',
        {
          topic: options.topic,
          subscription: options.subscription,
          subType: TYPES[options.type],
          consumerId: 0n,
          requestId: 1n,
          consumerName: `load-${i}`,
          durable: true,
          initialPosition: options.earliest
            ? CommandSubscribe_InitialPosition.Earliest
            : CommandSubscribe_InitialPosition.Latest
        },
        BaseCommand_Type.SUCCESS
      )
    }
    return load
  }

  /** Lets the messages come. */
  start(permits: number): void {
    for (const peer of this.#peers)
      peer.socket.write(encodeCommand('flow', { consumerId: 0n, messagePermits: permits }))
  }

  check(): void {
    for (const { failure } of this.#peers) if (failure !== undefined) throw failure
  }

  close(): void {
    for (const peer of this.#peers) peer.close()
  }

  #serve(peer: Peer, options: ConsumeOptions): void {
    const view = new MetadataView()
    let unreturned = 0
    let pending: { ledgerId: bigint; entryId: bigint }[] = []
    peer.onFrame = (buffer, start, end) => {
      if (commandTypeOf(buffer, start, end) !== BaseCommand_Type.MESSAGE) return
      const command = decodeCommand(buffer, start, end)
      if (command.case !== 'message' || command.value.messageId === undefined) return
      readMessageMetadata(buffer, command.headersStart, end, view)
      this.messages += view.numMessages
      unreturned += view.numMessages
      const { ledgerId, entryId } = command.value.messageId
      if (options.type === 'Exclusive') pending[0] = { ledgerId, entryId }
      else pending.push({ ledgerId, entryId })
    }
    peer.onChunk = () => {
      if (unreturned < options.permits / 2 && options.type === 'Exclusive') return
      if (pending.length === 0) return
      const ackType = options.type === 'Exclusive' ? CommandAck_AckType.Cumulative : CommandAck_AckType.Individual
      peer.socket.write(encodeCommand('ack', { consumerId: 0n, ackType, messageId: pending }))
      peer.socket.write(encodeCommand('flow', { consumerId: 0n, messagePermits: unreturned }))
      pending = []
      unreturned = 0
    }
  }
}
