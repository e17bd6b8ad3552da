import type { Authentication } from './authentication.ts'
import { clientErrors, type ClientErrorCode } from './errors.ts'
import type { HostPort, ServiceUrl } from './service-url.ts'
import { parseTopic, type TopicMode } from './topic-name.ts'

export interface HttpLookupOptions {
  readonly authentication: Authentication | undefined
  readonly listenerName: string | undefined
  readonly operationTimeoutMs: number
}

const codesByStatus: ReadonlyMap<number, ClientErrorCode> = new Map<number, ClientErrorCode>([
  [401, 'AUTHENTICATION_FAILED'],
  [403, 'NOT_AUTHORIZED'],
  [404, 'TOPIC_NOT_FOUND'],
  [412, 'INVALID_TOPIC']
])

/** Lookup over the brokers' HTTP port, for service URLs that are `http://` or `https://`. */
export class HttpLookup {
  readonly #service: ServiceUrl
  readonly #options: HttpLookupOptions
  #nextHost = 0

  constructor(service: ServiceUrl, options: HttpLookupOptions) {
    this.#service = service
    this.#options = options
  }

  /** The URL of the topic's broker. */
  async broker(topic: string): Promise<string> {
    const { listenerName } = this.#options
    const query = listenerName === undefined ? '' : `?listenerName=${encodeURIComponent(listenerName)}`
    const found = (await this.#get(`/lookup/v2/topic/${pathOf(topic)}${query}`)) as Record<string, string | undefined>
    const url = this.#service.scheme === 'https' ? (found['brokerUrlTls'] ?? found['brokerUrlSsl']) : found['brokerUrl']
    if (url === undefined || url === '') throw clientErrors.create('LOOKUP_FAILED', { topic })
    return url
  }

  async partitions(topic: string): Promise<number> {
    const path = `/admin/v2/${pathOf(topic)}/partitions?checkAllowAutoCreation=true`
    const found = (await this.#get(path)) as { partitions?: number }
    return found.partitions ?? 0
  }

  async topics(namespace: string, mode: TopicMode): Promise<readonly string[]> {
    const modeName = { persistent: 'PERSISTENT', 'non-persistent': 'NON_PERSISTENT', all: 'ALL' }[mode]
    return (await this.#get(`/admin/v2/namespaces/${namespace}/topics?mode=${modeName}`)) as string[]
  }

  async #get(path: string): Promise<unknown> {
    const { hosts, scheme } = this.#service
    const headers = (await this.#options.authentication?.httpHeaders?.()) ?? {}
    let failure: unknown
    for (let tries = 0; tries < hosts.length; tries++) {
      const { host, port } = hosts[this.#nextHost % hosts.length] as HostPort
      const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
      try {
        const signal = AbortSignal.timeout(this.#options.operationTimeoutMs)
        return await read(await fetch(url, { headers, signal }))
      } catch (error) {
        if (clientErrors.is(error)) throw error
        failure = clientErrors.create('CONNECT_FAILED', { host, port }, error)
        this.#nextHost++
      }
    }
    throw failure
  }
}

async function read(response: Response): Promise<unknown> {
  if (response.ok) return await response.json()
  const message = (await response.text()).slice(0, 1000)
  throw clientErrors.create(codesByStatus.get(response.status) ?? 'LOOKUP_FAILED', { status: response.status, message })
}

function pathOf(topic: string): string {
  const name = parseTopic(topic)
  return [name.domain, name.tenant, name.namespace, name.localName].map(encodeURIComponent).join('/')
}
