import type { AdminBackend } from './backend.ts'
import { refuse } from './rest-error.ts'
import type { Absence } from './routes/absences.ts'

/** One HTTP request, its path decoded segment by segment. */
export interface AdminRequest {
  readonly backend: AdminBackend
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Path and query, as they came. */
  readonly url: string
  /** What the client calls this server. */
  readonly host: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  /** As it came; clients name its type in any way or not at all. */
  readonly body: Buffer
  /** IP addresses of both ends. */
  readonly localAddress: string
  readonly remoteAddress: string
  readonly isTls: boolean
  /** What to say of a tenant or namespace that is not there, where it is not what most say. */
  readonly absence: Absence
  /** Who asks, and for whom; all of them must be allowed. Undefined while authentication is off. */
  readonly roles?: readonly string[]
}

export interface AdminReply {
  readonly status: number
  /** Already serialised; empty: no body. */
  readonly body: string | Buffer
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Operation = (request: AdminRequest) => AdminReply | Promise<AdminReply>

const JSON_TYPE = 'application/json'

export function json(value: unknown, status = 200): AdminReply {
  return { status, body: JSON.stringify(value), contentType: JSON_TYPE }
}

/** Pulsar answers plain words under the type of JSON. */
export function words(text: string): AdminReply {
  return { status: 200, body: text, contentType: JSON_TYPE }
}

export function done(status = 204): AdminReply {
  return { status, body: '', contentType: '' }
}

/** A value, or nothing where there is none: 5.0 says 200 where it said 204 before, and clients of both take it. */
export function jsonOrEmpty(value: unknown): AdminReply {
  return value === undefined ? done(200) : json(value)
}

/** A value, or 204 where there is none. */
export function jsonOrNothing(value: unknown): AdminReply {
  return value === undefined ? done() : json(value)
}

export function param(request: AdminRequest, name: string): string {
  return request.params[name] ?? refuse(400, `The path lacks its ${name}`)
}

/** @throws RestError 400 for what is no boolean */
export function flag(request: AdminRequest, name: string, whenAbsent = false): boolean {
  const value = request.query[name]
  if (value === undefined || value === '') return whenAbsent
  return value.toLowerCase() === 'true'
}

/** A refusal that is not told as a `reason`. */
export class PlainAnswer extends Error {
  override readonly name = 'PlainAnswer'
  readonly reply: AdminReply

  constructor(reply: AdminReply) {
    super(`answered ${reply.status}`)
    this.reply = reply
  }
}

/**
 * A body that is no JSON, or not of the shape that is needed: Pulsar's parser answers in words of its own.
 * @throws PlainAnswer 400
 */
export function unreadable(text: string): never {
  throw new PlainAnswer({ status: 400, body: text, contentType: 'text/plain' })
}

/** Nothing, `null` and `""` are undefined: clients send all of them where they mean nothing. @throws PlainAnswer 400 */
export function bodyOf(request: AdminRequest): unknown {
  const text = request.body.toString('utf8').trim()
  if (text === '') return undefined
  try {
    const value: unknown = JSON.parse(text)
    return value === null || value === '' ? undefined : value
  } catch {
    return unreadable('The body is not JSON')
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object, empty where there is no body. @throws PlainAnswer 400 */
export function objectBody(request: AdminRequest): Record<string, unknown> {
  const value = bodyOf(request) ?? {}
  return isObject(value) ? value : unreadable('The body is not an object')
}

/** A map of texts, empty where there is no body. @throws PlainAnswer 400 */
export function propertiesBody(request: AdminRequest): Record<string, string> {
  return propertiesOf(objectBody(request))
}

/** Of all keys and values together. */
const PROPERTIES_CHARS_MAX = 64 * 1024

/** @throws RestError 412 */
export function requireBounded(properties: Readonly<Record<string, string>>): void {
  let chars = 0
  for (const [key, value] of Object.entries(properties)) chars += key.length + value.length
  if (chars > PROPERTIES_CHARS_MAX) {
    refuse(412, `Properties are ${chars} characters long, the limit is ${PROPERTIES_CHARS_MAX}`)
  }
}

/** @throws PlainAnswer 400; RestError 412 */
export function propertiesOf(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) return unreadable('Properties must be a map of texts')
  const properties: Record<string, string> = {}
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') unreadable('Properties must be a map of texts')
    properties[key] = text
  }
  requireBounded(properties)
  return properties
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** @throws RestError 400 */
export function textsOf(value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || !value.every(item => typeof item === 'string')) unreadable('A list of texts is needed')
  return value
}

/** A whole number in a path. @throws PlainAnswer 404: where it is none, the path is another */
export function numberParam(request: AdminRequest, name: string): number {
  const text = param(request, name)
  return /^-?\d{1,19}$/.test(text) ? Number(text) : noSuchPath(request)
}

/** @throws PlainAnswer 404, as the HTTP server that Pulsar uses answers without asking anybody */
export function noSuchPath({ host, url }: Pick<AdminRequest, 'host' | 'url'>): never {
  throw new PlainAnswer(json(pathAnswer(404, 'Not Found', { host, url }), 404))
}

/** @throws PlainAnswer 400 */
export function missingBody(): never {
  throw new PlainAnswer({ ...words('The request entity cannot be empty.'), status: 400 })
}

function pathAnswer(status: number, message: string, { host, url }: Pick<AdminRequest, 'host' | 'url'>): object {
  const shown = `http://${host}${url}`
  // written for a page of HTML
  return { url: shown.replaceAll('&', '&amp;'), status: String(status), message }
}
