import type { IncomingMessage } from 'node:http'

/** Of one connection, not of what goes through it (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade'
])

/** Said by the proxy itself; of these, brokers believe the principal, so that only a proxy may tell it. */
const REPLACED = new Set(['x-original-principal', 'x-forwarded-for', 'content-length'])
/** The proxy says who it is itself, in place of what the client said to it. */
const CREDENTIALS = new Set(['authorization', 'x-pulsar-auth-method-name'])

const BODILESS: readonly string[] = ['GET', 'HEAD']

type Headers = Record<string, string | string[]>

/**
 * For the broker: the client's, and who it is as far as the proxy knows.
 * @param from.principal empty: not known. @param from.own what the proxy says of itself; undefined: the client's word passes
 */
export function requestHeaders(
  request: IncomingMessage,
  body: Buffer,
  from: { principal: string; own: Readonly<Record<string, string>> | undefined }
): Headers {
  const { principal, own } = from
  const isDropped = (name: string): boolean => REPLACED.has(name) || (own !== undefined && CREDENTIALS.has(name))
  const headers = { ...passedOn(request, isDropped), ...own }
  if (body.length > 0 || !BODILESS.includes(request.method ?? '')) headers['Content-Length'] = String(body.length)
  const before = request.headers['x-forwarded-for'] ?? []
  headers['X-Forwarded-For'] = [...[before].flat(), request.socket.remoteAddress ?? ''].join(', ')
  if (principal !== '') headers['X-Original-Principal'] = principal
  return headers
}

/** For the client: the broker's, in the case that it wrote them in. */
export function answerHeaders(answer: IncomingMessage): Headers {
  return passedOn(answer, () => false)
}

function passedOn({ rawHeaders, headers }: IncomingMessage, isDropped: (name: string) => boolean): Headers {
  const named = (headers.connection ?? '').split(',').map(name => name.trim().toLowerCase())
  const passed: Headers = {}
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = [rawHeaders[i], rawHeaders[i + 1]]
    const lower = name.toLowerCase()
    if (HOP_BY_HOP.has(lower) || named.includes(lower) || isDropped(lower)) continue
    const key = lowerIn(passed, name) ?? name
    const before = passed[key]
    passed[key] = before === undefined ? value : [...[before].flat(), value]
  }
  return passed
}

/** The name under which a header is there already, in whatever case. */
function lowerIn(headers: Headers, name: string): string | undefined {
  const lower = name.toLowerCase()
  return Object.keys(headers).find(each => each.toLowerCase() === lower)
}
