import type { ConnectionOptions as TlsOptions } from 'node:tls'
import type { Clock, Logger } from '@strata/base'
import type { Authentication } from './authentication.ts'
import { Connection } from './connection.ts'
import { clientErrors } from './errors.ts'

export interface PoolOptions {
  readonly authentication: Authentication | undefined
  readonly tls: TlsOptions | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly connectTimeoutMs: number
  readonly operationTimeoutMs: number
  readonly keepAliveMs: number
}

/** Where a broker is reached; `proxyToBroker` is the broker's own `host:port` behind a proxy. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
  readonly proxyToBroker?: string
}

/** One connection for each address, shared by all that use it; a lost one is made anew when it is asked for. */
export class ConnectionPool {
  readonly #options: PoolOptions
  readonly #connections = new Map<string, Promise<Connection>>()
  readonly #open = new Set<Connection>()
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get(address: BrokerAddress): Promise<Connection> {
    if (this.#closed) return Promise.reject(clientErrors.create('ALREADY_CLOSED', { what: 'client' }))
    const key = `${address.host}:${address.port}/${address.proxyToBroker ?? ''}`
    const known = this.#connections.get(key)
    if (known !== undefined) return known
    const opening = this.#connect(address, () => {
      if (this.#connections.get(key) === opening) this.#connections.delete(key)
    })
    this.#connections.set(key, opening)
    return opening
  }

  async #connect(address: BrokerAddress, forget: () => void): Promise<Connection> {
    try {
      const { host, port, proxyToBroker } = address
      const connection = await Connection.open({ ...this.#options, host, port, proxyToBroker })
      if (this.#closed) connection.close()
      else this.#open.add(connection)
      connection.onClose = () => {
        this.#open.delete(connection)
        forget()
      }
      if (connection.isClosed) forget()
      return connection
    } catch (error) {
      forget()
      throw error
    }
  }

  close(): void {
    this.#closed = true
    for (const connection of this.#open) connection.close(clientErrors.create('ALREADY_CLOSED', { what: 'client' }))
    this.#open.clear()
  }
}
