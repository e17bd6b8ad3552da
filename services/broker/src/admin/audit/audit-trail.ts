import type { Logger } from '@strata/base'
import { PlainAnswer, type AdminReply, type AdminRequest, type Operation } from '../operation.ts'
import { answerOf } from '../rest-error.ts'
import type { Route } from '../route.ts'
import { AuditLog, type AuditRecord } from './audit-log.ts'
import { shownBody, shownQuery, sizeOnly } from './shown.ts'

/** Bodies of these are messages. */
const WITH_MESSAGES = /^\/topics\//
/** Brokers among themselves: what made them ask is recorded where it was asked. */
const OF_BROKERS = /^\/internal\//
/** POST is also how some questions are asked. */
const QUESTIONS: ReadonlySet<string> = new Set([
  'testCompatibility',
  'getVersionBySchema',
  'analyzeSubscriptionBacklog'
])

interface AuditTrailOptions {
  readonly path: string
  readonly fileBytesMax: number
  readonly filesMax: number
  readonly logger: Logger
  readonly routes: readonly Route[]
}

/** Records each change that is asked over HTTP: who, from where, what, what was before and is after, and what came of it. */
export class AuditTrail {
  readonly #log: AuditLog
  /** What shows the state that a path changes. */
  readonly #readers: ReadonlyMap<string, Operation>

  constructor({ routes, ...log }: AuditTrailOptions) {
    this.#log = new AuditLog(log)
    this.#readers = new Map(
      routes.filter(({ method }) => method === 'GET').map(({ path, operation }) => [path, operation])
    )
  }

  covers({ method, path, name }: Route): boolean {
    return method !== 'GET' && !OF_BROKERS.test(path) && !QUESTIONS.has(name)
  }

  /** Runs a change, and has recorded it when it resolves or rejects. */
  async around(request: AdminRequest, route: Route, run: () => Promise<AdminReply>): Promise<AdminReply> {
    const before = await this.#stateOf(request, route)
    try {
      const reply = await run()
      // who is sent on asks there
      if (reply.status === 307) return reply
      const after = await this.#stateOf(request, route)
      await this.#log.append(recordOf(request, route, { status: reply.status, before, after }))
      return reply
    } catch (error) {
      await this.#log.append(recordOf(request, route, { ...outcomeOf(error), before }))
      throw error
    }
  }

  /** It was not allowed, or not believed. */
  async refused(request: AdminRequest, route: Route, error: unknown): Promise<void> {
    await this.#log.append(recordOf(request, route, outcomeOf(error)))
  }

  async close(): Promise<void> {
    await this.#log.close()
  }

  /** What a GET of the same path shows; undefined where there is none, or it shows nothing. */
  async #stateOf(request: AdminRequest, { path }: Route): Promise<unknown> {
    const read = this.#readers.get(path)
    if (read === undefined) return undefined
    try {
      const { status, body } = await read({ ...request, method: 'GET', query: {}, body: Buffer.alloc(0) })
      return status === 200 ? shownBody(Buffer.from(body)) : undefined
    } catch {
      return undefined // it is not there, or cannot be read now: the change itself says why
    }
  }
}

type Outcome = Pick<AuditRecord, 'status' | 'reason' | 'before' | 'after'>

function outcomeOf(error: unknown): Pick<AuditRecord, 'status' | 'reason'> {
  if (error instanceof PlainAnswer) return { status: error.reply.status }
  const { status, reason } = answerOf(error)
  return { status, reason }
}

function recordOf(request: AdminRequest, { name, path }: Route, outcome: Outcome): AuditRecord {
  const { backend, method, url, query, roles = [], remoteAddress: address, body } = request
  const { ownership } = backend.homes
  return {
    time: new Date(backend.clock.wallMs()).toISOString(),
    broker: backend.homes.isOpen ? ownership.self.id : '',
    roles,
    address,
    operation: name,
    method,
    path: url.split('?', 1)[0] ?? '',
    ...defined({
      query: shownQuery(query),
      request: WITH_MESSAGES.test(path) ? sizeOnly(body) : shownBody(body)
    }),
    ...defined(outcome)
  } as AuditRecord
}

/** Without what is undefined. */
function defined<Fields extends object>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Fields>
}
