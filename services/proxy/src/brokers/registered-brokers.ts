import { defineErrors, reasonOf, type Logger } from '@strata/base'
import { rowCodec, type MetadataStore, type Watch } from '@strata/metadata'
import { BrokerRowSchema, type ListenerRow } from '../generated/broker_pb.ts'
import { addressOfUrl, textOf, type HostPort, type Scheme } from './address.ts'

/** What a broker says of itself, as far as a proxy needs it. */
export interface RegisteredBroker {
  /** For lookups; undefined: it has no address without TLS. */
  readonly binary: HostPort | undefined
  readonly web: HostPort | undefined
  /** Of every listener, as `host:port`. */
  readonly binaryNames: readonly string[]
  readonly webNames: readonly string[]
  readonly isDraining: boolean
}

const PREFIX = 'brokers/'

const rowErrors = defineErrors({
  BROKER_ROW_UNREADABLE: {
    retryable: false,
    summary: 'the row of a broker is of a format that this release does not know'
  }
})

const codec = rowCodec({
  version: 1,
  unreadable: ({ reason, cause }, key) => rowErrors.create('BROKER_ROW_UNREADABLE', { key, reason }, cause)
})

/**
 * Brokers that are registered in the metadata store, as of when it was opened and from then on. While the store does not
 * answer, those that were known last are.
 */
export class RegisteredBrokers {
  readonly #logger: Logger
  readonly #onChange: () => void
  readonly #brokers = new Map<string, RegisteredBroker>()
  /** While the rows are read, also of those that were deleted: an older row must not undo a change. */
  #versions: Map<string, number> | undefined = new Map()
  #watch: Watch | undefined

  private constructor(logger: Logger, onChange: () => void) {
    this.#logger = logger
    this.#onChange = onChange
  }

  /** `onChange` is called after `all` has changed. @throws MetadataError */
  static async open(store: MetadataStore, logger: Logger, onChange: () => void): Promise<RegisteredBrokers> {
    const brokers = new RegisteredBrokers(logger, onChange)
    try {
      brokers.#watch = await store.watch(PREFIX, events => {
        for (const event of events) brokers.#note(event)
        onChange()
      })
      let after: string | undefined
      do {
        const page = await store.scan({ prefix: PREFIX, ...(after === undefined ? {} : { after }) })
        for (const record of page.records) brokers.#note(record)
        after = page.next
      } while (after !== undefined)
    } catch (error) {
      brokers.close()
      throw error
    }
    brokers.#versions = undefined
    brokers.#onChange()
    return brokers
  }

  all(): Iterable<RegisteredBroker> {
    return this.#brokers.values()
  }

  close(): void {
    this.#watch?.close()
  }

  #note({ key, value, version }: { key: string; value: Uint8Array | undefined; version: number }): void {
    if (this.#versions !== undefined) {
      if ((this.#versions.get(key) ?? 0) >= version) return
      this.#versions.set(key, version)
    }
    const broker = value === undefined ? undefined : this.#decoded(key, value)
    if (broker === undefined) this.#brokers.delete(key)
    else this.#brokers.set(key, broker)
  }

  #decoded(key: string, value: Uint8Array): RegisteredBroker | undefined {
    try {
      const row = codec.decode(BrokerRowSchema, value, key)
      const listeners = [...(row.urls === undefined ? [] : [row.urls]), ...row.listeners]
      return {
        binary: firstOf(listeners, 'brokerUrl', 'pulsar'),
        web: firstOf(listeners, 'httpUrl', 'http'),
        binaryNames: namesOf(listeners, 'brokerUrl', 'pulsar'),
        webNames: namesOf(listeners, 'httpUrl', 'http'),
        isDraining: row.draining
      }
    } catch (error) {
      const fields = { event: 'broker.row_unreadable', key, reason: reasonOf(error) }
      this.#logger.warn(fields, 'what a broker says of itself cannot be read; the broker is not used')
      return undefined
    }
  }
}

type UrlField = 'brokerUrl' | 'httpUrl'

function firstOf(listeners: readonly ListenerRow[], field: UrlField, scheme: Scheme): HostPort | undefined {
  return listeners.map(listener => addressOfUrl(listener[field], scheme)).find(address => address !== undefined)
}

function namesOf(listeners: readonly ListenerRow[], field: UrlField, scheme: Scheme): string[] {
  const addresses = listeners.map(listener => addressOfUrl(listener[field], scheme))
  return [...new Set(addresses.flatMap(address => (address === undefined ? [] : [textOf(address)])))]
}
