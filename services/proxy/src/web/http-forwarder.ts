import {
  Agent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse
} from 'node:http'
import { Agent as TlsAgent, request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { TLSSocket } from 'node:tls'
import { certificateOf, isAuthError } from '@strata/auth'
import { reasonOf } from '@strata/base'
import { textOf, type HostPort } from '../brokers/address.ts'
import type { ProxyServices } from '../connection/services.ts'
import { proxyErrors } from '../errors.ts'
import { readBody } from './body.ts'
import { answerHeaders, requestHeaders } from './headers.ts'
import { answerJson } from './reply.ts'

const REDIRECTS_MAX = 8
/** Brokers that are tried before a request that reached none fails. */
const TRIES_MAX = 3
const SOCKETS_PER_BROKER_MAX = 256
const REDIRECTS: readonly number[] = [307, 308]

/**
 * Passes requests on to brokers and answers on to clients, both as they are. A redirect of a broker is followed here, since
 * the client may not reach where it leads; only to brokers, with the body once more.
 */
export class HttpForwarder {
  readonly #services: ProxyServices
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_PER_BROKER_MAX })
  readonly #tlsAgent = new TlsAgent({ keepAlive: true, maxSockets: SOCKETS_PER_BROKER_MAX })
  #pending = 0

  constructor(services: ProxyServices) {
    this.#services = services
  }

  get pendingCount(): number {
    return this.#pending
  }

  /** Never rejects: what goes wrong is the client's answer, or, once that has begun, its end. */
  async forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { settings, metrics, logger } = this.#services
    if (this.#pending >= settings.maxConcurrentHttpRequests) {
      answerJson(response, 503, 'Too many requests at once')
      return
    }
    this.#pending++
    metrics.counts.httpRequests++
    try {
      const principal = await this.#principalOf(request)
      const body = await readBody(request, settings.httpInputMaxReplayBufferSize)
      if (body === undefined) answerJson(response, 413, 'The body is larger than httpInputMaxReplayBufferSize')
      else await this.#pass({ request, response, body, principal })
    } catch (error) {
      metrics.counts.httpFailures++
      logger.warn(
        { event: 'http.failed', method: request.method, reason: reasonOf(error) },
        'a request was not answered'
      )
      if (response.headersSent) response.destroy()
      else answerJson(response, ...refusalOf(error))
    } finally {
      this.#pending--
    }
  }

  /** Of connections to brokers that nobody uses. */
  close(): void {
    this.#agent.destroy()
    this.#tlsAgent.destroy()
  }

  /** Empty: nobody, and the proxy does not ask. @throws LOGINS_FAILED; AuthError CREDENTIALS_MISSING, CREDENTIALS_REFUSED, ISSUER_UNREACHABLE */
  async #principalOf({ headers, socket }: IncomingMessage): Promise<string> {
    const { authenticator, settings, logins } = this.#services
    if (authenticator === undefined) return settings.anonymousUserRole
    const ip = socket.remoteAddress ?? ''
    if (logins.waitMs(ip) > 0) throw proxyErrors.create('LOGINS_FAILED')
    const named = headers['x-pulsar-auth-method-name']
    const identity = await authenticator
      .authenticateHttp({
        authorization: headers.authorization,
        method: typeof named === 'string' ? named : undefined,
        certificate: socket instanceof TLSSocket ? certificateOf(socket) : undefined
      })
      .catch((error: unknown) => {
        if (isAuthError(error, 'CREDENTIALS_REFUSED')) logins.failed(ip)
        throw error
      })
    return identity.role
  }

  async #pass(asking: Asking): Promise<void> {
    const { request, response } = asking
    let path = request.url ?? '/'
    let answer = await this.#askSome(asking, path)
    for (let redirects = 0; REDIRECTS.includes(answer.statusCode ?? 0); redirects++) {
      const { location } = answer.headers
      answer.resume()
      if (location === undefined || redirects === REDIRECTS_MAX) {
        throw proxyErrors.create('BROKER_UNREACHABLE', { reason: 'redirects without end' })
      }
      const next = await this.#follow(location)
      path = next.path
      answer = await this.#ask(asking, next)
    }
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answerHeaders(answer))
    await pipeline(answer, response)
  }

  /** @throws TARGET_DENIED */
  async #follow(location: string): Promise<{ address: HostPort; path: string }> {
    const [pattern, port] =
      this.#services.brokerTls === undefined
        ? [/^http:\/\/([^/?#]+)([^#]*)$/, 80]
        : [/^https:\/\/([^/?#]+)([^#]*)$/, 443]
    const match = pattern.exec(location)
    const [, authority = '', rest = ''] = match ?? []
    const target = authority.includes(':') || authority === '' ? authority : `${authority}:${port}`
    const address = await this.#services.targets.resolveWeb(target)
    return { address, path: rest.startsWith('/') ? rest : `/${rest}` }
  }

  /** Asks another broker while none was reached. @throws NO_BROKER, BROKER_UNREACHABLE */
  async #askSome(asking: Asking, path: string): Promise<IncomingMessage> {
    for (let tries = 1; ; tries++) {
      const address = this.#services.directory.nextWeb()
      if (address === undefined) throw proxyErrors.create('NO_BROKER')
      try {
        return await this.#ask(asking, { address, path })
      } catch (error) {
        if (tries === TRIES_MAX || !wasNotReached(error)) throw error
      }
    }
  }

  #requestTo({ host, port, name = host }: HostPort, options: RequestOptions): ClientRequest {
    const { brokerTls } = this.#services
    if (brokerTls === undefined) return httpRequest({ ...options, host, port, agent: this.#agent })
    const servername = isIP(name) === 0 ? { servername: name } : {}
    return httpsRequest({ ...options, ...brokerTls.options, ...servername, host, port, agent: this.#tlsAgent })
  }

  #ask(asking: Asking, to: { address: HostPort; path: string }): Promise<IncomingMessage> {
    const { settings, clock, own } = this.#services
    const { request, response, body, principal } = asking
    const { address, path } = to
    return new Promise((resolve, reject) => {
      const headers = requestHeaders(request, body, { principal, own: own?.httpHeaders() })
      const asked = this.#requestTo(address, { path, method: request.method ?? 'GET', headers })
      const onGone = (): void => {
        asked.destroy(new Error('the client is gone'))
      }
      const cancel = clock.after(settings.httpProxyTimeout, () => {
        asked.destroy(
          proxyErrors.create('BROKER_UNREACHABLE', { address: textOf(address), reason: 'no answer in time' })
        )
      })
      response.once('close', onGone)
      asked.once('close', () => {
        cancel()
        response.off('close', onGone)
      })
      asked.once('response', resolve)
      asked.on('error', (error: NodeJS.ErrnoException) => {
        // a connection that the broker closed while it was idle: nothing of the request was looked at
        if (asked.reusedSocket && error.code === 'ECONNRESET') resolve(this.#ask(asking, to))
        else reject(error)
      })
      asked.end(body)
    })
  }
}

/** A client's request on its way to brokers. */
interface Asking {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
  /** Who the client is; empty: not known. */
  readonly principal: string
}

/** No byte of the request got to a broker. */
function wasNotReached(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH' || code === 'ENOTFOUND'
}

/** Status and reason; nothing of it tells who brokers are. */
function refusalOf(error: unknown): [number, string] {
  if (isAuthError(error, 'CREDENTIALS_MISSING') || isAuthError(error, 'CREDENTIALS_REFUSED')) {
    return [401, 'Authentication required']
  }
  if (isAuthError(error)) return [503, 'Credentials cannot be checked at this moment']
  if (proxyErrors.is(error, 'LOGINS_FAILED'))
    return [429, 'Failed logins from this address are too many: try again later']
  if (proxyErrors.is(error, 'NO_BROKER')) return [503, 'No active broker is available']
  if (proxyErrors.is(error, 'TARGET_DENIED')) return [502, 'A broker redirected to what is no broker']
  if (proxyErrors.is(error, 'BROKER_UNREACHABLE')) return [504, 'The broker did not answer in time']
  return [wasNotReached(error) ? 503 : 502, 'The broker could not be reached']
}
