import type { Clock } from '@strata/base'
import { Deque } from './deque.ts'
import { clientErrors } from './errors.ts'
import type { Message, MessageSource } from './message.ts'

interface Waiter {
  deliver(message: Message): void
  fail(error: Error): void
  isDone: boolean
}

/** Messages that were delivered and not yet taken, shared by all partitions of a consumer; and those who wait for one. */
export class ReceiveQueue {
  readonly #clock: Clock
  readonly #messages = new Deque<Message>()
  readonly #waiters = new Deque<Waiter>()
  #bytes = 0
  #closed: Error | undefined
  /** Called when a message came that nobody waited for. */
  onMessage: () => void = () => undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get length(): number {
    return this.#messages.length
  }

  get bytes(): number {
    return this.#bytes
  }

  push(message: Message): void {
    for (let waiter = this.#waiters.shift(); waiter !== undefined; waiter = this.#waiters.shift()) {
      if (waiter.isDone) continue
      message.source.onTaken(message)
      waiter.deliver(message)
      return
    }
    this.#messages.push(message)
    this.#bytes += message.data.length
    this.onMessage()
  }

  /** The next message, if there is one. */
  take(): Message | undefined {
    const message = this.#messages.shift()
    if (message === undefined) return undefined
    this.#bytes -= message.data.length
    message.source.onTaken(message)
    return message
  }

  /** Waits for a message, at most `timeoutMs` if given. @throws ALREADY_CLOSED; TIMEOUT */
  receive(timeoutMs?: number): Promise<Message> {
    const message = this.take()
    if (message !== undefined) return Promise.resolve(message)
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    return new Promise((resolve, reject) => {
      let cancel = (): void => undefined
      const settle = (run: () => void): void => {
        waiter.isDone = true
        cancel()
        run()
      }
      const waiter: Waiter = {
        isDone: false,
        deliver: found => settle(() => resolve(found)),
        fail: error => settle(() => reject(error))
      }
      this.#waiters.push(waiter)
      if (timeoutMs === undefined) return
      cancel = this.#clock.after(timeoutMs, () => waiter.fail(clientErrors.create('TIMEOUT', { timeoutMs })))
    })
  }

  /** Drops what came from `source`. Returns how many messages that were. */
  clear(source: MessageSource): number {
    const messages = this.#messages.drain()
    let dropped = 0
    for (const message of messages) {
      if (message.source !== source) this.#messages.push(message)
      else {
        dropped++
        this.#bytes -= message.data.length
      }
    }
    return dropped
  }

  close(error: Error): void {
    this.#closed ??= error
    this.#messages.drain()
    this.#bytes = 0
    for (const waiter of this.#waiters.drain()) if (!waiter.isDone) waiter.fail(error)
  }
}
