// The administrator's side of a row: plain HTTP, as pulsar-admin and curl would send it.
import { strict as assert } from 'node:assert'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly bytes: Buffer
  /** The body as JSON. @throws if it is not. */
  readonly json: unknown
}

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** Subscriptions as `stats` shows them, as far as rows look at them. */
export interface TopicStats {
  readonly msgInCounter: number
  readonly publishers: readonly {
    readonly producerName: string
    readonly accessMode: string
    readonly metadata: object
  }[]
  readonly subscriptions: Readonly<Record<string, SubscriptionStats | undefined>>
  readonly storageSize: number
  readonly averageMsgSize: number
}

export interface SubscriptionStats {
  readonly type?: string
  readonly msgBacklog: number
  /** Of non-persistent topics: a second. */
  readonly msgDropRate?: number
  readonly unackedMessages: number
  readonly activeConsumerName?: string
  readonly isDurable: boolean
  readonly subscriptionProperties: Readonly<Record<string, string>>
  readonly consumers: readonly {
    readonly consumerName: string
    readonly availablePermits: number
    readonly unackedMessages: number
    readonly msgOutCounter: number
    readonly metadata: Readonly<Record<string, string>>
  }[]
}

export class Admin {
  readonly #webUrl: string

  constructor(webUrl: string) {
    this.#webUrl = webUrl
  }

  /** @param path Under the web service's root, or under `/admin/v2/` when it does not start with a slash. */
  async request(
    method: Method,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {}
  ): Promise<Answer> {
    const url = this.#webUrl + (path.startsWith('/') ? path : `/admin/v2/${path}`)
    const init: RequestInit = { method, redirect: 'manual', signal: AbortSignal.timeout(45_000) }
    const response = await fetch(
      url,
      body === undefined
        ? { ...init, headers }
        : { ...init, body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }
    )
    const bytes = Buffer.from(await response.arrayBuffer())
    const text = bytes.toString('utf8')
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      text,
      get json(): unknown {
        return JSON.parse(text) as unknown
      }
    }
  }

  /** Asks, and holds the answer to a status. @returns The answer. */
  async expect(status: number, method: Method, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.request(method, path, body)
    assert.equal(answer.status, status, `${method} ${path} answered ${answer.status} ${answer.text.slice(0, 300)}`)
    return answer
  }

  /** Asks for something that must be refused with a status and a reason. */
  async refused(status: number, reason: RegExp, method: Method, path: string, body?: unknown): Promise<void> {
    const answer = await this.expect(status, method, path, body)
    const { reason: said } = answer.json as { reason?: unknown }
    assert(typeof said === 'string', `${method} ${path} answered ${status} without a reason: ${answer.text}`)
    assert.match(said, reason)
  }

  async get<Shape = unknown>(path: string): Promise<Shape> {
    return (await this.expect(200, 'GET', path)).json as Shape
  }

  async stats(topic: string): Promise<TopicStats> {
    return await this.get<TopicStats>(`${topicPath(topic)}/stats`)
  }

  /** @throws if the topic has no such subscription. */
  async subscription(topic: string, name: string): Promise<SubscriptionStats> {
    const found = (await this.stats(topic)).subscriptions[name]
    assert(found !== undefined, `${topic} has no subscription ${name}`)
    return found
  }
}

/** `persistent://tenant/namespace/name` as a path of the admin API. */
export function topicPath(topic: string): string {
  const [, domain = '', tenant = '', namespace = '', name = ''] = /^(.*?):\/\/(.*?)\/(.*?)\/(.*)$/.exec(topic) ?? []
  return `${domain}/${tenant}/${namespace}/${encodeURIComponent(name)}`
}
