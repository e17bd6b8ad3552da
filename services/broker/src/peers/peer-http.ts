import { strict as assert } from 'node:assert'
import { Agent, request as requestPlain, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import type { ClientTls } from '@strata/auth'

export interface PeerCall {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
  readonly signal: AbortSignal
}

export interface PeerReply {
  readonly status: number
  readonly body: Buffer
  readonly contentType: string
}

/** A broker that does not have what it is asked for says who has; that one may have given it away meanwhile. */
const REDIRECTS_MAX = 5
const SOCKETS_IDLE_MAX = 16

/** Connections to the other brokers of a cluster, kept for the next question. With `tls`, none is made without it. */
export class PeerHttp {
  readonly #tls: ClientTls | undefined
  readonly #plainAgent = new Agent({ keepAlive: true, maxFreeSockets: SOCKETS_IDLE_MAX })
  readonly #tlsAgent = new TlsAgent({ keepAlive: true, maxFreeSockets: SOCKETS_IDLE_MAX })

  constructor(tls: ClientTls | undefined) {
    this.#tls = tls
  }

  /** Redirects are followed, with the same credentials: only brokers are asked. @throws the error of the connection */
  async call(url: string, call: PeerCall): Promise<PeerReply> {
    let target = new URL(url)
    for (let redirects = 0; ; redirects++) {
      const response = await this.#send(target, call)
      const body = await bodyOf(response)
      const { statusCode: status = 0, headers } = response
      if (status !== 307 || headers.location === undefined || redirects === REDIRECTS_MAX) {
        return { status, body, contentType: headers['content-type'] ?? '' }
      }
      target = new URL(headers.location, target)
    }
  }

  close(): void {
    this.#plainAgent.destroy()
    this.#tlsAgent.destroy()
  }

  #send(target: URL, { method, headers, body, signal }: PeerCall): Promise<IncomingMessage> {
    const isTls = target.protocol === 'https:'
    if (this.#tls !== undefined && !isTls) return Promise.reject(new Error('it is not to be asked without TLS'))
    return new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': String(body.length) }
      const options = { method, headers: { ...headers, ...length }, signal }
      const request = isTls
        ? requestTls(target, { ...options, ...this.#tls?.options, agent: this.#tlsAgent })
        : requestPlain(target, { ...options, agent: this.#plainAgent })
      request.on('response', resolve)
      request.on('error', reject)
      request.end(body)
    })
  }
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of response) {
    assert(Buffer.isBuffer(part))
    parts.push(part)
  }
  return Buffer.concat(parts)
}
