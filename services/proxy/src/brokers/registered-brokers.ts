import { defineErrors, reasonOf, type Logger } from '@strata/base'
import { rowCodec, type MetadataStore, type Watch } from '@strata/metadata'
import { BrokerRowSchema, type ListenerRow } from '../generated/broker_pb.ts'
import { addressOfUrl, textOf, type HostPort, type Scheme } from './address.ts'

/** What a broker says of itself, as far as a proxy needs it. */
export interface RegisteredBroker {
  /** For lookups; undefined: it has no address of the kind that is wanted, with TLS or without. */
  readonly binary: HostPort | undefined
  readonly web: HostPort | undefined
  /** Of every listener, as `host:port`. */
  readonly binaryNames: readonly string[]
  readonly webNames: readonly string[]
  readonly isDraining: boolean
}

const PREFIX = 'brokers/'

/** A way to a broker: where its row says it, and how. */
interface Way {
  readonly field: 'brokerUrl' | 'brokerUrlTls' | 'httpUrl' | 'httpUrlTls'
  readonly scheme: Scheme
}

const PLAIN: readonly [Way, Way] = [
  { field: 'brokerUrl', scheme: 'pulsar' },
  { field: 'httpUrl', scheme: 'http' }
]
const WITH_TLS: readonly [Way, Way] = [
  { field: 'brokerUrlTls', scheme: 'pulsar+ssl' },
  { field: 'httpUrlTls', scheme: 'https' }
]

interface RegisteredBrokersOptions {
  readonly logger: Logger
  /** The addresses with TLS count, and no others. */
  readonly isTls: boolean
  /** Called after `all` has changed. */
  readonly onChange: () => void
}

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
  readonly #isTls: boolean
  readonly #brokers = new Map<string, RegisteredBroker>()
  /** While the rows are read, also of those that were deleted: an older row must not undo a change. */
  #versions: Map<string, number> | undefined = new Map()
  #watch: Watch | undefined

  private constructor({ logger, isTls, onChange }: RegisteredBrokersOptions) {
    this.#logger = logger
    this.#isTls = isTls
    this.#onChange = onChange
  }

  /** @throws MetadataError */
  static async open(store: MetadataStore, options: RegisteredBrokersOptions): Promise<RegisteredBrokers> {
    const brokers = new RegisteredBrokers(options)
    try {
      brokers.#watch = await store.watch(PREFIX, events => {
        for (const event of events) brokers.#note(event)
        options.onChange()
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
      const [binary, web] = this.#isTls ? WITH_TLS : PLAIN
      const listeners = [...(row.urls === undefined ? [] : [row.urls]), ...row.listeners]
      return {
        binary: firstOf(listeners, binary),
        web: firstOf(listeners, web),
        binaryNames: namesOf(listeners, binary),
        webNames: namesOf(listeners, web),
        isDraining: row.draining
      }
    } catch (error) {
      const fields = { event: 'broker.row_unreadable', key, reason: reasonOf(error) }
      this.#logger.warn(fields, 'what a broker says of itself cannot be read; the broker is not used')
      return undefined
    }
  }
}

function firstOf(listeners: readonly ListenerRow[], { field, scheme }: Way): HostPort | undefined {
  return listeners.map(listener => addressOfUrl(listener[field], scheme)).find(address => address !== undefined)
}

function namesOf(listeners: readonly ListenerRow[], { field, scheme }: Way): string[] {
  const addresses = listeners.map(listener => addressOfUrl(listener[field], scheme))
  return [...new Set(addresses.flatMap(address => (address === undefined ? [] : [textOf(address)])))]
}
