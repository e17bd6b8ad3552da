import type { CommandBody } from '@strata/wire'
import type { Authentication } from './authentication.ts'
import type { Connection } from './connection.ts'
import type { BrokerAddress, ConnectionPool } from './connection-pool.ts'
import { clientErrors, isRetryable, serverRefusal } from './errors.ts'
import { HttpLookup } from './http-lookup.ts'
import type { TopicMode } from './topic-name.ts'
import { parseServiceUrl, type HostPort, type ServiceUrl } from './service-url.ts'

export interface LookupOptions {
  readonly serviceUrl: string
  readonly pool: ConnectionPool
  readonly authentication: Authentication | undefined
  readonly listenerName: string | undefined
  readonly operationTimeoutMs: number
  readonly redirectsMax: number
}

export interface TopicListing {
  readonly topics: readonly string[]
  /** The broker applied the pattern already. */
  readonly isFiltered: boolean
}

/** Where topics are, how many partitions they have, and which there are. Tries the hosts of the service URL in turn. */
export class Lookup {
  readonly #options: LookupOptions
  readonly #service: ServiceUrl
  readonly #http: HttpLookup | undefined
  #nextHost = 0

  constructor(options: LookupOptions) {
    this.#options = options
    this.#service = parseServiceUrl(options.serviceUrl)
    if (this.#service.scheme === 'http' || this.#service.scheme === 'https') {
      this.#http = new HttpLookup(this.#service, options)
    }
  }

  get isTls(): boolean {
    return this.#service.scheme === 'pulsar+ssl' || this.#service.scheme === 'https'
  }

  /** @throws LOOKUP_FAILED, CONNECT_FAILED, or what the broker refused with */
  async broker(topic: string): Promise<BrokerAddress> {
    if (this.#http !== undefined) return addressOf(await this.#http.broker(topic))
    return await this.#onSomeHost((host, connection) => this.#follow(topic, host, connection))
  }

  /** 0 for a topic without partitions. */
  async partitions(topic: string): Promise<number> {
    if (this.#http !== undefined) return await this.#http.partitions(topic)
    return await this.#onSomeHost(async (_host, connection) => {
      const answer = await connection.request('partitionMetadata', { topic, metadataAutoCreationEnabled: true })
      if (answer.case !== 'partitionMetadataResponse') throw unexpected(answer.case)
      const { response, error, message, partitions } = answer.value
      if (response !== 0) throw serverRefusal(error, message)
      return partitions
    })
  }

  async topics(namespace: string, mode: TopicMode, pattern?: string): Promise<TopicListing> {
    if (this.#http !== undefined) return { topics: await this.#http.topics(namespace, mode), isFiltered: false }
    const number = { persistent: 0, 'non-persistent': 1, all: 2 }[mode] as 0 | 1 | 2
    return await this.#onSomeHost(async (_host, connection) => {
      const filter = pattern === undefined ? {} : { topicsPattern: pattern }
      const answer = await connection.request('getTopicsOfNamespace', { namespace, mode: number, ...filter })
      if (answer.case !== 'getTopicsOfNamespaceResponse') throw unexpected(answer.case)
      return { topics: answer.value.topics, isFiltered: answer.value.filtered }
    })
  }

  /**
   * Runs `ask` on a connection to one of the hosts; only a host that cannot be reached makes it try the next one. Many may find
   * at once that a host cannot be reached, and move on from it once.
   */
  async #onSomeHost<Answer>(ask: (host: HostPort, connection: Connection) => Promise<Answer>): Promise<Answer> {
    const { hosts } = this.#service
    const first = this.#nextHost
    let failure: unknown
    for (let tries = 0; tries < hosts.length; tries++) {
      const next = (first + tries) % hosts.length
      const host = hosts[next] as HostPort
      let connection: Connection
      try {
        connection = await this.#options.pool.get(host)
      } catch (error) {
        if (!isRetryable(error)) throw error
        failure = error
        if (this.#nextHost === next) this.#nextHost = (next + 1) % hosts.length
        continue
      }
      return await ask(host, connection)
    }
    throw failure
  }

  async #follow(topic: string, serviceHost: HostPort, first: Connection): Promise<BrokerAddress> {
    let connection = first
    let authoritative = false
    for (let redirects = 0; redirects <= this.#options.redirectsMax; redirects++) {
      const found = await this.#ask(connection, topic, authoritative)
      const url = this.isTls ? found.brokerServiceUrlTls : found.brokerServiceUrl
      if (url === '') throw clientErrors.create('LOOKUP_FAILED', { topic, reason: 'the broker gave no address' })
      const direct = addressOf(url)
      const address = found.proxyThroughServiceUrl ? throughProxy(serviceHost, direct) : direct
      if (found.response === 1) return address
      authoritative = found.authoritative
      connection = await this.#options.pool.get(address)
    }
    throw clientErrors.create('LOOKUP_FAILED', { topic, reason: 'too many redirects' })
  }

  async #ask(
    connection: Connection,
    topic: string,
    authoritative: boolean
  ): Promise<CommandBody<'lookupTopicResponse'>> {
    const { listenerName } = this.#options
    const listener = listenerName === undefined ? {} : { advertisedListenerName: listenerName }
    const answer = await connection.request('lookupTopic', { topic, authoritative, ...listener })
    if (answer.case !== 'lookupTopicResponse') throw unexpected(answer.case)
    if (answer.value.response === 2) throw serverRefusal(answer.value.error, answer.value.message)
    return answer.value
  }
}

/** A broker that is reached by way of another address. */
export function throughProxy({ host, port }: HostPort, broker: HostPort): BrokerAddress {
  return { host, port, proxyToBroker: textOf(broker) }
}

/** What it is reached by, where that is not the broker itself. */
export function proxyOf({ host, port, proxyToBroker }: BrokerAddress): HostPort | undefined {
  return proxyToBroker === undefined || proxyToBroker === textOf({ host, port }) ? undefined : { host, port }
}

function textOf({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Of a URL that a broker gave. */
export function addressOf(url: string): BrokerAddress {
  const host = parseServiceUrl(url).hosts[0]
  if (host === undefined) throw clientErrors.create('INVALID_SERVICE_URL', { url })
  return host
}

function unexpected(command: string): Error {
  return clientErrors.create('PROTOCOL_VIOLATION', { reason: 'unexpected answer', command })
}
