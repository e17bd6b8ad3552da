import type { BytePool, Clock, Logger } from '@strata/base'
import type { BackoffOptions } from './backoff.ts'
import type { ConnectionPool } from './connection-pool.ts'
import type { Lookup } from './lookup.ts'

export interface Closable {
  close(): Promise<void>
}

/** What a client shares with all that it opened. */
export interface ClientContext {
  readonly pool: ConnectionPool
  readonly lookup: Lookup
  readonly clock: Clock
  readonly logger: Logger
  readonly memory: BytePool
  readonly backoff: BackoffOptions
  readonly operationTimeoutMs: number
  /** How often partitions and pattern matches are looked up again. */
  readonly discoveryMs: number
  nextProducerId(): number
  nextConsumerId(): number
  /** It was closed: the client need not do so. */
  forget(closable: Closable): void
}
