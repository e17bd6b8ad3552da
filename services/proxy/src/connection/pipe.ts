import type { Socket } from 'node:net'
import type { Clock } from '@strata/base'
import type { ProxyCounts } from '../metrics.ts'

/** What one side may have waiting for the other before it is read no further. */
export const PIPE_BYTES_MAX = 64 * 1024

/** How long a side may take to read what the other wrote before it left. */
const LINGER_MS = 1000

export interface PipeOptions {
  readonly client: Socket
  /** Paused. */
  readonly broker: Socket
  readonly clock: Clock
  readonly counts: ProxyCounts
  /** Of the broker's silence; 0: none. */
  readonly readTimeoutMs: number
  /** Called once, when either side is gone. */
  readonly onEnd: (reason: string) => void
}

/**
 * Bytes of a client to its broker and back, looked at by nobody.
 *
 * Invariants
 *   P1  Each way holds at most `PIPE_BYTES_MAX` and what two reads of a socket bring: who does not read stops who sends.
 *   P2  What one side wrote before it left goes to the other, for `LINGER_MS`.
 */
export class Pipe {
  readonly #options: PipeOptions
  #heardMs: number
  #isEnded = false

  /** `fromClient` and `fromBroker` came already and go first. */
  constructor(options: PipeOptions, first: { fromClient: Buffer; fromBroker: Buffer }) {
    this.#options = options
    this.#heardMs = options.clock.nowMs()
    const { client, broker } = options
    if (first.fromBroker.length > 0) this.#pass(first.fromBroker, broker, client)
    if (first.fromClient.length > 0) this.#pass(first.fromClient, client, broker)
    client.on('data', chunk => {
      this.#pass(chunk, client, broker)
    })
    broker.on('data', chunk => {
      this.#heardMs = this.#options.clock.nowMs()
      this.#pass(chunk, broker, client)
    })
    client.on('drain', () => {
      // silence that we made ourselves counts for nothing
      this.#heardMs = this.#options.clock.nowMs()
      broker.resume()
    })
    broker.on('drain', () => {
      client.resume()
    })
    for (const socket of [client, broker]) {
      const side = socket === client ? 'the client' : 'the broker'
      socket.on('error', error => {
        this.close(`${side}: ${error.message}`)
      })
      socket.on('close', () => {
        this.close(`${side} closed it`)
      })
      if (socket.destroyed) queueMicrotask(() => this.close(`${side} closed it`))
    }
    if (client.writableLength <= PIPE_BYTES_MAX) broker.resume()
    if (broker.writableLength <= PIPE_BYTES_MAX) client.resume()
  }

  /** Is the broker still there? Called now and then. */
  tick(nowMs: number): void {
    const { broker, client, readTimeoutMs } = this.#options
    if (readTimeoutMs === 0 || broker.isPaused() || client.writableNeedDrain) return
    if (nowMs - this.#heardMs > readTimeoutMs) this.close('the broker was silent for too long')
  }

  /** Idempotent. What was written goes out first. */
  close(reason: string): void {
    if (this.#isEnded) return
    this.#isEnded = true
    const { client, broker, clock } = this.#options
    for (const socket of [client, broker]) endSocket(socket, clock)
    this.#options.onEnd(reason)
  }

  #pass(chunk: Buffer, from: Socket, to: Socket): void {
    if (this.#isEnded) return
    const { counts } = this.#options
    counts.binaryOps++
    counts.binaryBytes += chunk.length
    to.write(chunk)
    if (to.writableLength > PIPE_BYTES_MAX) from.pause()
  }
}

/** Writes what is there, reads no more, and is gone after `LINGER_MS` at the latest. */
export function endSocket(socket: Socket, clock: Clock): void {
  if (socket.destroyed) return
  socket.destroySoon()
  const cancel = clock.after(LINGER_MS, () => socket.destroy())
  socket.once('close', cancel)
}
