import type { AddRequest } from '../contract.ts'
import { addBytes, type ChannelAdd } from './add-batch.ts'
import type { ChannelOfAdds } from './add-channels.ts'
import type { AddAnswer } from './node-messages.ts'

/**
 * Adds of recovery on their way at a time, and as a part of the first grant: most of the credit is left to writers. Enough
 * that the node's disk works on some while the next are being taken.
 */
const RECOVERY_BYTES_MAX = 4 * 1024 * 1024
const RECOVERY_PART = 1 / 4

/**
 * The adds to one node that are not sent yet: those of writers first, those of recovery behind them and few at a time,
 * and no more of both than the node gave credit for.
 *
 * Invariant: adds of one channel are sent in the order in which they were pushed.
 */
export class AddQueue {
  readonly #writes = new Fifo()
  readonly #recoveries = new Fifo()
  /** Sent adds of recovery that are not answered, by channel: entry ids and sizes in turn. */
  readonly #recovering = new Map<number, number[]>()
  #recoveringBytes = 0
  #recoveringBytesMax = 0
  #bytes = 0
  #sentBytes = 0
  #grantedBytes = 0

  get isEmpty(): boolean {
    return this.#writes.isEmpty && this.#recoveries.isEmpty
  }

  /** Of what waits. */
  get bytes(): number {
    return this.#bytes
  }

  push(channel: ChannelOfAdds, request: AddRequest): void {
    const queue = channel.isRecovery ? this.#recoveries : this.#writes
    const bytes = addBytes(request.payload.length)
    queue.push({ channel: channel.number, request, bytes })
    this.#bytes += bytes
  }

  /** What the node says that may have been sent over the life of the stream. True: more may be sent than before. */
  grant(bytes: number): boolean {
    if (bytes <= this.#grantedBytes) return false
    if (this.#grantedBytes === 0) this.#recoveringBytesMax = Math.min(bytes * RECOVERY_PART, RECOVERY_BYTES_MAX)
    this.#grantedBytes = bytes
    return true
  }

  /** The adds of the next message, of about `bytesMax` together. Empty: there are none, or none may be sent. */
  take(bytesMax: number): ChannelAdd[] {
    const taken: ChannelAdd[] = []
    let left = bytesMax
    while (left > 0 && this.#sentBytes < this.#grantedBytes) {
      const add = this.#writes.shift() ?? this.#takeRecovery()
      if (add === undefined) break
      taken.push(add)
      left -= add.bytes
      this.#sentBytes += add.bytes
      this.#bytes -= add.bytes
    }
    return taken
  }

  /** True: adds of recovery that waited for this may be sent. */
  onAnswer({ channel, entryId }: AddAnswer): boolean {
    const sent = this.#recovering.get(channel)
    if (sent === undefined) return false
    let answered = 0
    for (; answered < sent.length && (sent[answered] ?? 0) <= entryId; answered += 2) {
      this.#recoveringBytes -= sent[answered + 1] ?? 0
    }
    if (answered === sent.length) this.#recovering.delete(channel)
    else sent.splice(0, answered)
    return !this.#recoveries.isEmpty
  }

  /** For a new stream: nothing waits, nothing was sent, nothing is granted. */
  reset(): void {
    this.#writes.clear()
    this.#recoveries.clear()
    this.#recovering.clear()
    this.#recoveringBytes = 0
    this.#bytes = 0
    this.#sentBytes = 0
    this.#grantedBytes = 0
  }

  #takeRecovery(): QueuedAdd | undefined {
    if (this.#recoveringBytes >= this.#recoveringBytesMax) return undefined
    const add = this.#recoveries.shift()
    if (add === undefined) return undefined
    const { bytes } = add
    const sent = this.#recovering.get(add.channel)
    if (sent === undefined) this.#recovering.set(add.channel, [add.request.entryId, bytes])
    else sent.push(add.request.entryId, bytes)
    this.#recoveringBytes += bytes
    return add
  }
}

interface QueuedAdd extends ChannelAdd {
  readonly bytes: number
}

class Fifo {
  #items: QueuedAdd[] = []
  #head = 0

  get isEmpty(): boolean {
    return this.#head === this.#items.length
  }

  push(add: QueuedAdd): void {
    this.#items.push(add)
  }

  shift(): QueuedAdd | undefined {
    const add = this.#items[this.#head]
    if (add === undefined) return undefined
    this.#head += 1
    if (this.#head === this.#items.length) this.clear()
    else if (this.#head >= 8_192 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return add
  }

  clear(): void {
    this.#items = []
    this.#head = 0
  }
}
