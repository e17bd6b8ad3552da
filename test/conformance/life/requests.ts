// Stands before a server and notes which requests an admin library makes of it.
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** `GET /path`, each once, without queries. */
export class RequestLog {
  readonly #server: Server
  readonly #seen = new Set<string>()

  private constructor(webUrl: string) {
    this.#server = createServer((asked, reply) => this.#forward(webUrl, asked, reply))
  }

  /** On a free port of the loopback; what comes to it goes to `webUrl`. */
  static async open(webUrl: string): Promise<RequestLog> {
    const log = new RequestLog(webUrl)
    log.#server.listen(0, '127.0.0.1')
    await once(log.#server, 'listening')
    return log
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Those of `pairs` (`GET @N/retention`) of which no request was made. */
  missing(pairs: readonly string[]): string[] {
    const seen = [...this.#seen]
    return pairs.filter(pair => {
      const pattern = patternOf(pair)
      return !seen.some(line => pattern.test(line))
    })
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  #forward(webUrl: string, asked: IncomingMessage, reply: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = asked
    this.#seen.add(`${method} ${url.split('?')[0] ?? url}`)
    const forwarded = request(webUrl + url, { method, headers }, answer => {
      reply.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(reply)
    })
    forwarded.on('error', () => reply.destroy())
    asked.pipe(forwarded)
  }
}

function patternOf(pair: string): RegExp {
  const whole = pair
    .replace('@T', '/admin/v2/@topic')
    .replace('@N', '/admin/v2/namespaces/{tenant}/{namespace}')
    .replace('@topic', '(persistent|non-persistent)/{tenant}/{namespace}/{topic}')
    .replace('resource-quotas/{namespace}', 'resource-quotas/{tenant}/{namespace}')
  return new RegExp(`^${whole.replaceAll(/\{\w+\}/g, '[^/]+')}$`)
}
