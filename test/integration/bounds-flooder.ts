import { strict as assert } from 'node:assert'
import { BaseCommand_Type, commandTypeOf, decodeSendReceipt, ReceiptView } from '@strata/wire'
import { sendFrame } from '../bench/load/frames.ts'
import { Peer } from '../bench/load/peer.ts'

/** Sequence ids from here on take four bytes as a varint, so that frames can be numbered in place. */
const FIRST_SEQUENCE = 1 << 21
const SEQUENCE_BYTES = 4
const BURST_FRAMES = 250

/** A producer on its own socket that never waits for a receipt: it writes whenever the kernel takes more. */
export class Flooder {
  readonly #peer: Peer
  readonly #frame: Buffer
  readonly #sequenceAt: number
  readonly #messages: number
  readonly #receipt = new ReceiptView()
  readonly #done: Promise<void>
  #resolve: () => void = () => undefined
  #reject: (error: Error) => void = () => undefined
  /** Of the first message. */
  ledgerId = -1
  #lastLedgerId = -1
  #lastEntryId = -1
  sent = 0
  receipts = 0

  private constructor(peer: Peer, frame: Buffer, messages: number) {
    this.#peer = peer
    this.#frame = frame
    this.#messages = messages
    this.#sequenceAt = frame.indexOf(varintOf(FIRST_SEQUENCE))
    assert(this.#sequenceAt > 0)
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#done.catch(() => undefined)
    peer.onFrame = (buffer, start, end) => {
      this.#onFrame(buffer, start, end)
    }
    peer.socket.on('close', () => {
      this.#reject(new Error(`closed after ${this.receipts} receipts of ${this.sent}`))
    })
    peer.socket.on('drain', () => {
      this.#fill()
    })
  }

  static async open(
    port: number,
    options: { topic: string; name: string; messages: number; bytes: number }
  ): Promise<Flooder> {
    const peer = await Peer.open(port)
    const { topic, name: producerName, bytes } = options
    await peer.ask(
      'producer',
      { topic, producerId: 0n, requestId: 1n, producerName },
      BaseCommand_Type.PRODUCER_SUCCESS
    )
    const frame = sendFrame({ producerId: 0, producerName, sequenceId: FIRST_SEQUENCE, batch: 1, bytes })
    return new Flooder(peer, frame, options.messages)
  }

  /** Resolves with the last receipt. @throws at the first receipt that is not the one that must come next */
  run(): Promise<void> {
    this.#fill()
    return this.#done
  }

  close(): void {
    this.#peer.close()
  }

  #fill(): void {
    while (this.sent < this.#messages) {
      const frames = Math.min(BURST_FRAMES, this.#messages - this.sent)
      const burst = Buffer.allocUnsafe(frames * this.#frame.length)
      for (let i = 0; i < frames; i++) {
        const at = i * this.#frame.length
        burst.set(this.#frame, at)
        burst.set(varintOf(FIRST_SEQUENCE + this.sent + i), at + this.#sequenceAt)
      }
      this.sent += frames
      if (!this.#peer.socket.write(burst)) return
    }
  }

  #onFrame(buffer: Buffer, start: number, end: number): void {
    const type = commandTypeOf(buffer, start, end)
    // a broker that reads no more says that it lives
    if (type === BaseCommand_Type.PONG) return
    const receipt = this.#receipt
    if (type === BaseCommand_Type.SEND_RECEIPT) decodeSendReceipt(buffer, start, end, receipt)
    const { sequenceLow, ledgerId, entryId } = receipt
    const isLater = ledgerId > this.#lastLedgerId || (ledgerId === this.#lastLedgerId && entryId > this.#lastEntryId)
    if (type !== BaseCommand_Type.SEND_RECEIPT || sequenceLow !== FIRST_SEQUENCE + this.receipts || !isLater) {
      this.#reject(
        new Error(`command ${type}, sequence id ${sequenceLow}, at ${ledgerId}:${entryId} is not what must follow`)
      )
      return
    }
    if (this.receipts === 0) this.ledgerId = ledgerId
    this.#lastLedgerId = ledgerId
    this.#lastEntryId = entryId
    if (++this.receipts === this.#messages) this.#resolve()
  }
}

function varintOf(value: number): Buffer {
  const bytes = Buffer.alloc(SEQUENCE_BYTES)
  for (let i = 0; i < SEQUENCE_BYTES; i++) bytes[i] = ((value >>> (7 * i)) & 0x7f) | (i < SEQUENCE_BYTES - 1 ? 0x80 : 0)
  return bytes
}
