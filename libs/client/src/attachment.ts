import type { Clock, Logger } from '@strata/base'
import { Backoff, type BackoffOptions } from './backoff.ts'
import type { Connection } from './connection.ts'
import type { BrokerAddress, ConnectionPool } from './connection-pool.ts'
import { clientErrors, isRetryable, type ClientErrorCode } from './errors.ts'
import { addressOf, proxyOf, throughProxy, type Lookup } from './lookup.ts'
import type { HostPort } from './service-url.ts'

/** What an attachment keeps attached: a producer or a consumer. */
export interface Attachable {
  readonly topic: string
  /** Registers with the broker; what must happen before the next frame is read happens inside. */
  register(connection: Connection): Promise<void>
  /** Nothing more can be done after having been attached once. */
  onGivenUp(error: Error): void
}

export interface AttachmentOptions {
  readonly target: Attachable
  readonly lookup: Lookup
  readonly pool: ConnectionPool
  readonly clock: Clock
  readonly logger: Logger
  readonly backoff: BackoffOptions
  readonly operationTimeoutMs: number
  /** Errors that end a reconnection; all others are tried again, for ever. */
  readonly fatalCodes: readonly ClientErrorCode[]
}

interface Waiter {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: Error) => void
  readonly cancel: () => void
}

/**
 * Keeps a producer or consumer attached to the broker that owns its topic: looks up, connects, registers, and does so
 * again, with growing waits, whenever the broker sends it away or the connection is lost.
 */
export class Attachment {
  readonly #options: AttachmentOptions
  readonly #backoff: Backoff
  #connection: Connection | undefined
  /** By which the broker was found; a broker that it names is reached by it as well. */
  #proxy: HostPort | undefined
  #isAttaching = false
  #closed = false
  readonly #waiters = new Set<Waiter>()
  #cancelRetry: () => void = () => undefined

  constructor(options: AttachmentOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.backoff)
  }

  /** Undefined while there is none. */
  get connection(): Connection | undefined {
    return this.#connection
  }

  /** For what cannot wait for a new connection by itself. @throws TIMEOUT, ALREADY_CLOSED */
  attached(): Promise<Connection> {
    const { clock, operationTimeoutMs, target } = this.#options
    if (this.#connection !== undefined && !this.#isAttaching) return Promise.resolve(this.#connection)
    if (this.#closed) return Promise.reject(clientErrors.create('ALREADY_CLOSED', { topic: target.topic }))
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject, cancel: (): void => undefined }
      waiter.cancel = clock.after(operationTimeoutMs, () => {
        this.#waiters.delete(waiter)
        reject(clientErrors.create('TIMEOUT', { topic: target.topic, timeoutMs: operationTimeoutMs }))
      })
      this.#waiters.add(waiter)
    })
  }

  #settleWaiters(settle: (waiter: Waiter) => void): void {
    for (const waiter of this.#waiters) {
      waiter.cancel()
      settle(waiter)
    }
    this.#waiters.clear()
  }

  /** The first time: errors that may pass are tried again until the operation timeout. */
  async open(): Promise<void> {
    const { clock, operationTimeoutMs } = this.#options
    const deadlineMs = clock.nowMs() + operationTimeoutMs
    for (;;) {
      try {
        await this.#attach(undefined)
        return
      } catch (error) {
        const waitMs = this.#backoff.nextMs()
        if (this.#closed || !isRetryable(error) || clock.nowMs() + waitMs >= deadlineMs) throw error
        await new Promise<void>(resolve => {
          this.#cancelRetry = clock.after(waitMs, resolve)
        })
      }
    }
  }

  /** The connection is no longer ours. `assignedUrl` is where the broker says the topic has gone. */
  detached(connection: Connection, assignedUrl: string | undefined): void {
    if (this.#closed || this.#connection !== connection) return
    this.#connection = undefined
    if (this.#isAttaching) return // `#attach` notices, and its caller tries again
    this.#options.logger.info(
      { event: 'attachment.lost', topic: this.#options.target.topic, assignedUrl },
      'attaching to the topic again'
    )
    this.#retry(assignedUrl === undefined ? this.#backoff.nextMs() : 0, assignedUrl)
  }

  /** Leaves the present connection, as after an answer that makes no sense. */
  reset(): void {
    this.#connection?.close()
  }

  close(): void {
    this.#closed = true
    this.#connection = undefined
    this.#cancelRetry()
    const { topic } = this.#options.target
    this.#settleWaiters(({ reject }) => reject(clientErrors.create('ALREADY_CLOSED', { topic })))
  }

  /** It may have been closed while something was awaited. */
  #isClosed(): boolean {
    return this.#closed
  }

  #retry(waitMs: number, assignedUrl: string | undefined): void {
    this.#cancelRetry = this.#options.clock.after(waitMs, () => void this.#reattach(assignedUrl))
  }

  async #reattach(assignedUrl: string | undefined): Promise<void> {
    if (this.#closed || this.#isAttaching) return
    try {
      await this.#attach(assignedUrl)
    } catch (error) {
      if (this.#isClosed()) return
      if (clientErrors.is(error) && this.#options.fatalCodes.includes(error.code)) {
        this.#options.target.onGivenUp(error)
        this.#settleWaiters(({ reject }) => reject(error))
        return
      }
      const { topic } = this.#options.target
      this.#options.logger.warn({ event: 'attachment.failed', topic, err: error }, 'could not attach to the topic yet')
      this.#retry(this.#backoff.nextMs(), undefined)
    }
  }

  #assigned(url: string): BrokerAddress {
    const broker = addressOf(url)
    return this.#proxy === undefined ? broker : throughProxy(this.#proxy, broker)
  }

  async #attach(assignedUrl: string | undefined): Promise<void> {
    const { lookup, pool, target } = this.#options
    this.#isAttaching = true
    try {
      const address = assignedUrl === undefined ? await lookup.broker(target.topic) : this.#assigned(assignedUrl)
      if (assignedUrl === undefined) this.#proxy = proxyOf(address)
      const connection = await pool.get(address)
      if (this.#closed) throw clientErrors.create('ALREADY_CLOSED', { topic: target.topic })
      this.#connection = connection
      try {
        await target.register(connection)
      } catch (error) {
        if (this.#connection === connection) this.#connection = undefined
        throw error
      }
      if (this.#connection !== connection) throw clientErrors.create('CONNECTION_LOST', { topic: target.topic })
      this.#backoff.reset()
    } finally {
      this.#isAttaching = false
    }
    const { connection } = this
    if (connection !== undefined) this.#settleWaiters(({ resolve }) => resolve(connection))
  }
}
