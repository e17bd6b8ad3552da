import type { ClientTls, OwnCredentials } from '@strata/auth'
import { reasonOf, type Clock } from '@strata/base'
import { brokerError } from '../errors.ts'
import { namespaceError } from '../namespace/errors.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import type { RemoteTopics } from '../topic/remote-topics.ts'
import { PeerHttp } from './peer-http.ts'

export interface PeerRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: Buffer
}

export interface PeerAnswer {
  readonly status: number
  readonly body: Buffer
  readonly contentType: string
}

/** Under it is what brokers ask of each other, of topics. */
export const PEER_PATH = '/internal/v1/topics'

const TIMEOUT_MS = 30_000

/**
 * What this broker asks of the others of its cluster, over HTTP. One that does not serve what it is asked for sends the
 * question on to who does.
 */
export class HttpPeers implements RemoteTopics {
  readonly #clock: Clock
  readonly #own: OwnCredentials | undefined
  readonly #http: PeerHttp
  readonly #isTls: boolean
  readonly #ending = new AbortController()

  /** `own` says who asks. */
  constructor(options: { clock: Clock; own?: OwnCredentials | undefined; tls?: ClientTls | undefined }) {
    this.#clock = options.clock
    this.#own = options.own
    this.#http = new PeerHttp(options.tls)
    this.#isTls = options.tls !== undefined
  }

  /** Whatever the other one answers. @throws BrokerError MetadataError: it does not */
  async call(broker: BrokerAddress, request: PeerRequest): Promise<PeerAnswer> {
    const late = new AbortController()
    const cancel = this.#clock.after(TIMEOUT_MS, () => {
      late.abort(new Error(`no answer within ${TIMEOUT_MS} ms`))
    })
    try {
      const hasBody = request.body !== undefined && request.body.length > 0
      const headers = this.#own?.httpHeaders() ?? {}
      return await this.#http.call(`${httpUrlOf(broker, { isTls: this.#isTls })}${request.path}`, {
        method: request.method,
        headers: hasBody ? { ...headers, 'content-type': 'application/json' } : headers,
        body: hasBody ? request.body : undefined,
        signal: AbortSignal.any([late.signal, this.#ending.signal])
      })
    } catch (error) {
      throw brokerError('MetadataError', `${broker.id} does not answer: ${reasonOf(error)}`, error)
    } finally {
      cancel()
    }
  }

  async block(broker: BrokerAddress, name: TopicName, options: { force: boolean }): Promise<void> {
    await this.#ask(broker, name, `block?force=${String(options.force)}`)
  }

  async unblock(broker: BrokerAddress, name: TopicName): Promise<void> {
    await this.#ask(broker, name, 'unblock')
  }

  async erase(broker: BrokerAddress, name: TopicName): Promise<void> {
    await this.#ask(broker, name, 'erase')
  }

  close(): void {
    this.#ending.abort(new Error('the broker shuts down'))
    this.#http.close()
  }

  async #ask(broker: BrokerAddress, name: TopicName, what: string): Promise<void> {
    const path = `${PEER_PATH}/${pathOf(name)}/${what}`
    const { status, body } = await this.call(broker, { method: 'POST', path })
    if (status < 300) return
    const reason = `${broker.id}: ${reasonIn(body)}`
    if (status === 412) throw namespaceError('NOT_EMPTY', reason)
    if (status === 409) throw namespaceError('BEING_DELETED', reason)
    throw brokerError('MetadataError', reason)
  }
}

/** Where its HTTP is; with `isTls` never one without. */
export function httpUrlOf({ urls, id }: BrokerAddress, { isTls = false } = {}): string {
  const plain = isTls ? undefined : urls.httpUrl
  return plain ?? urls.httpUrlTls ?? `${isTls ? 'https' : 'http'}://${id}`
}

/** `domain/tenant/namespace/topic`, as it stands in a path. */
export function pathOf(name: TopicName): string {
  return `${name.domain}/${name.namespace}/${name.encodedLocalName}`
}

/** What an answer that refuses says why. */
export function reasonIn(body: Buffer): string {
  const text = body.toString('utf8')
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown }
    return typeof reason === 'string' ? reason : text
  } catch {
    return text
  }
}
