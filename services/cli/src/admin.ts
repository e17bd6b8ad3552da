import { credentialsOf, type CredentialFlags } from './credentials.ts'
import { CommandFailure, EXIT, systemCodeOf } from './failure.ts'

export interface AdminFlags extends CredentialFlags {
  readonly adminUrl: string
  readonly json?: boolean
}

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

export interface AdminClient {
  /**
   * The answer's body as JSON; undefined where it has none.
   * @throws AdminRefusal with the server's reason
   */
  call(method: Method, path: string, body?: unknown, contentType?: string): Promise<unknown>
  /** What is there; undefined where nothing is. @throws AdminRefusal */
  find(path: string): Promise<unknown>
}

/** With it a partitioned topic comes with properties; Apache Pulsar takes their body as no other type. */
export const PARTITIONED_TOPIC_TYPE = 'application/vnd.partitioned-topic-metadata+json'

/** The server said no. */
export class AdminRefusal extends CommandFailure {
  readonly status: number

  constructor(status: number, line: string) {
    super(line)
    this.status = status
  }
}

export function isRefusal(error: unknown, ...statuses: readonly number[]): error is AdminRefusal {
  return error instanceof AdminRefusal && statuses.includes(error.status)
}

const TIMEOUT_MS = 60_000
/** A topic may move from broker to broker while it is asked for. */
const REDIRECTS_MAX = 10

/** Runs with the admin API at `--admin-url`. */
export async function withAdmin<T>(flags: AdminFlags, run: (admin: AdminClient) => Promise<T>): Promise<T> {
  const base = baseOf(flags.adminUrl)
  const { token } = await credentialsOf(flags)
  const { Agent, request } = await import('undici')
  const agent = new Agent({ headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
  const call: AdminClient['call'] = async (method, path, body, contentType = 'application/json') => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    const type = body === undefined ? {} : { 'content-type': contentType }
    try {
      let url = `${base}/admin/v2/${path}`
      for (let redirects = 0; ; redirects++) {
        const headers = { ...type, ...authorization(token, { base, url }) }
        const answer = await request(url, { method, dispatcher: agent, headers, ...sent })
        const text = await answer.body.text()
        if (answer.statusCode < 300) return parsed(text)
        const { location } = answer.headers
        const isElsewhere = answer.statusCode === 307 && typeof location === 'string' && redirects < REDIRECTS_MAX
        if (!isElsewhere) throw refusal({ status: answer.statusCode, text, path }, flags.adminUrl)
        url = location
      }
    } catch (error) {
      throw error instanceof CommandFailure ? error : unreachable(error, flags.adminUrl)
    }
  }
  const find = async (path: string): Promise<unknown> => {
    try {
      return await call('GET', path)
    } catch (error) {
      // 405: another server has something else of this path
      if (isRefusal(error, 404, 405)) return undefined
      throw error
    }
  }
  try {
    return await run({ call, find })
  } finally {
    await agent.close()
  }
}

/** Other brokers of the cluster get the token as well, but never in the clear where the first was asked by TLS. */
function authorization(
  token: string | undefined,
  { base, url }: { base: string; url: string }
): Readonly<Record<string, string>> {
  if (token === undefined || (base.startsWith('https:') && !url.startsWith('https:'))) return {}
  return { authorization: `Bearer ${token}` }
}

function baseOf(url: string): string {
  if (/^https?:\/\/[^/]+\/?$/.test(url) && URL.canParse(url)) return url.replace(/\/$/, '')
  throw new CommandFailure(`${url} is no URL of a server: write --admin-url as http://host:port`, {
    exitCode: EXIT.usage
  })
}

function unreachable(error: unknown, url: string): CommandFailure {
  const code = systemCodeOf(error)
  const what =
    code === 'ECONNREFUSED' ? `nothing listens at ${url}` : `${url} cannot be reached (${code ?? 'no answer'})`
  const advice = 'start a server with `strata standalone`, or name another with --admin-url or STRATA_ADMIN_URL'
  return new CommandFailure(`${what}: ${advice}`, { cause: error })
}

function refusal({ status, text, path }: { status: number; text: string; path: string }, url: string): AdminRefusal {
  const body = parsed(text)
  const reason = isRecord(body) && typeof body.reason === 'string' ? body.reason : ''
  const said = reason === '' ? `${url} answered with status ${status}` : (reason.split('\n')[0] ?? '')
  const advice = /connected/i.test(reason) ? 'stop those clients, or add --force' : adviceFor(status, path)
  return new AdminRefusal(status, advice === undefined ? said : `${said.replace(/\.$/, '')}: ${advice}`)
}

function adviceFor(status: number, path: string): string | undefined {
  const listed = LISTS[path.split('/')[0] ?? ''] ?? 'strata topics list; or strata subscriptions list <topic>'
  if (status === 404) return `see what there is with: ${listed}`
  if (status === 409) return `see what there is with: ${listed}; take another name, or delete that one first`
  return ADVICE[status]
}

/** By the first segment of what was asked for. */
const LISTS: Readonly<Record<string, string>> = {
  tenants: 'strata tenants list',
  namespaces: 'strata tenants list; or strata namespaces list <tenant>',
  clusters: 'strata clusters list',
  brokers: 'strata brokers list',
  schemas: 'strata schemas list <topic>'
}

const ADVICE: Readonly<Record<number, string>> = {
  401: 'give valid credentials with --token-file or STRATA_TOKEN',
  403: 'ask with the credentials of a role that may, by --token-file or STRATA_TOKEN; or have it granted',
  500: 'see the log of the server',
  503: 'try again in a moment'
}

function parsed(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

export function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}
