import { CommandFailure, EXIT, systemCodeOf } from './failure.ts'

export interface AdminFlags {
  readonly adminUrl: string
  readonly json?: boolean
}

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

export interface AdminClient {
  /**
   * The answer's body as JSON; undefined where it has none.
   * @throws CommandFailure with the server's reason
   */
  call(method: Method, path: string, body?: unknown): Promise<unknown>
}

const TIMEOUT_MS = 60_000
/** A topic may move from broker to broker while it is asked for. */
const REDIRECTS_MAX = 10

/** Runs with the admin API at `--admin-url`. */
export async function withAdmin<T>(flags: AdminFlags, run: (admin: AdminClient) => Promise<T>): Promise<T> {
  const base = baseOf(flags.adminUrl)
  const { Agent, request } = await import('undici')
  const agent = new Agent({ headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS })
  const call = async (method: Method, path: string, body?: unknown): Promise<unknown> => {
    const sent =
      body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    try {
      let url = `${base}/admin/v2/${path}`
      for (let redirects = 0; ; redirects++) {
        const answer = await request(url, { method, dispatcher: agent, ...sent })
        const text = await answer.body.text()
        if (answer.statusCode < 300) return parsed(text)
        const { location } = answer.headers
        const isElsewhere = answer.statusCode === 307 && typeof location === 'string' && redirects < REDIRECTS_MAX
        if (!isElsewhere) throw refusal({ status: answer.statusCode, text }, flags.adminUrl)
        url = location
      }
    } catch (error) {
      throw error instanceof CommandFailure ? error : unreachable(error, flags.adminUrl)
    }
  }
  try {
    return await run({ call })
  } finally {
    await agent.close()
  }
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

function refusal({ status, text }: { status: number; text: string }, url: string): CommandFailure {
  const body = parsed(text)
  const reason = isRecord(body) && typeof body.reason === 'string' ? body.reason : ''
  const said = reason === '' ? `${url} answered with status ${status}` : (reason.split('\n')[0] ?? '')
  const advice = /connected/i.test(reason) ? 'stop those clients, or add --force' : ADVICE[status]
  return new CommandFailure(advice === undefined ? said : `${said.replace(/\.$/, '')}: ${advice}`)
}

const ADVICE: Readonly<Record<number, string>> = {
  401: 'the server wants credentials, which this command cannot send yet',
  404: 'see what there is with: strata topics list; or strata subscriptions list <topic>',
  409: 'see what there is with: strata topics list; take another name, or delete that one first',
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
