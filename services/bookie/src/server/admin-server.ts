import { strict as assert } from 'node:assert'
import type { AddressInfo } from 'node:net'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { reasonOf, strictExposition, type Logger } from '@strata/base'
import type { HeldLedger } from '@strata/ledger-client'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { nodeMetrics, PROMETHEUS_TYPE } from './metrics.ts'
import { diskSpaceOf, roomOf, type NodeView } from './node-view.ts'

const BODY_BYTES_MAX = 64 * 1024
const PAGE_LEDGERS = 1_000
const PAGE_LEDGERS_MAX = 10_000

/** Routes declare no schemas. Without these, fastify loads compilers for them: most of the time that it takes to start. */
const NO_COMPILERS = {
  buildValidator: () => () => assert.fail('no route declares a schema'),
  buildSerializer: () => () => assert.fail('no route declares a schema')
}

/** HTTP of a node: BookKeeper's own paths, for health, state, ledgers and metrics. Holds no state of its own. */
export class NodeAdminServer {
  readonly #view: NodeView
  readonly #log: Logger
  readonly #app: FastifyInstance
  readonly #processMetrics = new Registry()

  constructor(view: NodeView, logger: Logger) {
    this.#view = view
    this.#log = logger
    collectDefaultMetrics({ register: this.#processMetrics })
    this.#app = fastify({
      bodyLimit: BODY_BYTES_MAX,
      forceCloseConnections: true,
      exposeHeadRoutes: false,
      routerOptions: { ignoreTrailingSlash: true },
      schemaController: { compilersFactory: NO_COMPILERS }
    })
    this.#acceptAnyBody()
    this.#addHealth()
    this.#addState()
    this.#addStorage()
    this.#addCare()
    this.#app.setErrorHandler((error, _request, reply) => this.#refuse(error, reply))
  }

  /** Returns the port. @throws the error of the system call: EADDRINUSE, EACCES, EADDRNOTAVAIL */
  async start({ host, port }: { host: string; port: number }): Promise<number> {
    await this.#app.listen({ host, port })
    return (this.#app.server.address() as AddressInfo).port
  }

  /** A request without a socket, for tests. */
  async inject(request: { method: 'GET' | 'PUT' | 'POST'; url: string; payload?: string }): Promise<{
    statusCode: number
    body: string
  }> {
    return this.#app.inject(request)
  }

  /** Cuts what is open. */
  async close(): Promise<void> {
    await this.#app.close()
    this.#processMetrics.clear()
  }

  #acceptAnyBody(): void {
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
      done(null, body)
    })
  }

  #addHealth(): void {
    const { bookie } = this.#view
    this.#app.get('/heartbeat', (_request, reply) => reply.type('text/plain').send('OK\n'))
    // Ready: it answers. A node that is read-only still has to be read from.
    this.#app.get('/api/v1/bookie/is_ready', (_request, reply) => {
      const { state, reasons } = bookie.health()
      return reply.code(state === 'failed' ? 503 : 200).send({ ready: state !== 'failed', state, reasons })
    })
    this.#app.get('/metrics', async (_request, reply) => {
      const text = `${await nodeMetrics(this.#view)}${strictExposition(await this.#processMetrics.metrics())}`
      return reply.type(PROMETHEUS_TYPE).send(text)
    })
  }

  #addState(): void {
    const { bookie, bookieId, clusterId, address, softwareVersion, startedAtMs } = this.#view
    this.#app.get('/api/v1/bookie/state', async () => {
      const { state, reasons } = bookie.health()
      const disks = await diskSpaceOf(this.#view.directories)
      return {
        ...{ running: true, readOnly: state !== 'writable', shuttingDown: state === 'closed', state, reasons },
        ...{ bookieId, clusterId, address, softwareVersion, startedAtMs },
        ...{ disks, storage: bookie.stats(), serving: this.#view.served.stats() }
      }
    })
    this.#app.get('/api/v1/bookie/info', async () => {
      const { freeBytes, totalBytes } = await roomOf(this.#view)
      return { freeSpace: freeBytes, totalSpace: totalBytes }
    })
    this.#app.get('/api/v1/bookie/state/readonly', () => ({ readOnly: bookie.health().state !== 'writable' }))
    this.#app.put('/api/v1/bookie/state/readonly', (request, reply) => {
      const wanted = readOnlyOf(request.body)
      if (wanted === undefined)
        return reply.code(400).send({ reason: 'send {"readOnly": true} or {"readOnly": false}' })
      bookie.setReadOnly(wanted)
      this.#log.info({ event: 'bookie.read_only_set', readOnly: wanted }, 'an operator changed whether adds are taken')
      return reply.send({ readOnly: bookie.health().state !== 'writable' })
    })
  }

  #addStorage(): void {
    const { bookie } = this.#view
    this.#app.get('/api/v1/ledger/list', async (request, reply) => {
      const page = pageOf(request)
      if (page === undefined) {
        return reply.code(400).send({ reason: `after is a ledger id, limit is 1 to ${PAGE_LEDGERS_MAX}` })
      }
      const ledgers = await bookie.heldLedgers(page)
      const last = ledgers.length === page.limit ? ledgers.at(-1)?.ledgerId : undefined
      return reply.send({ ledgers: ledgers.map(viewOf), ...(last === undefined ? {} : { next: last }) })
    })
    this.#app.get('/api/v1/bookie/damaged', async () => ({ damaged: await bookie.damaged() }))
    // A round may take hours: it is begun, and `state` says what it found.
    const scrub = (_request: FastifyRequest, reply: FastifyReply): FastifyReply => {
      void bookie.scrub()
      return reply.code(202).send({ started: true, storage: bookie.stats() })
    }
    this.#app.put('/api/v1/bookie/scrub', scrub)
    this.#app.post('/api/v1/bookie/scrub', scrub)
    const housekeep = async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      await bookie.housekeep()
      return reply.send({ done: true, storage: bookie.stats(), reasons: bookie.health().reasons })
    }
    // One round does what is due of each: deletions, moves, compaction.
    for (const url of ['/api/v1/bookie/gc', '/api/v1/bookie/entry_location_compact']) {
      this.#app.put(url, housekeep)
      this.#app.post(url, housekeep)
    }
  }

  /** What the one node does that leads the care for copies; the others say who that is. */
  #addCare(): void {
    const { care } = this.#view
    this.#app.get('/api/v1/autorecovery/status', async () => {
      const status = care.auditor?.auditor.status()
      const leader = (await care.auditor?.leader()) ?? null
      return { enabled: care.auditor !== undefined, leads: status !== undefined, leader, ...status }
    })
    this.#app.get('/api/v1/autorecovery/who_is_auditor', async (_request, reply) => {
      const leader = await care.auditor?.leader()
      if (leader === undefined) return reply.code(404).send({ reason: 'nobody leads now' })
      return reply.send({ Auditor: leader })
    })
    this.#app.put('/api/v1/autorecovery/trigger_audit', (request, reply) => {
      const { verify = 'false' } = request.query as { verify?: string }
      if (care.auditor?.auditor.trigger(verify === 'true' ? 'verify' : 'check') === true) {
        return reply.send({ triggered: true })
      }
      return reply.code(409).send({ reason: 'another node leads: see /api/v1/autorecovery/who_is_auditor' })
    })
  }

  #refuse(error: unknown, reply: FastifyReply): FastifyReply {
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
    if (status >= 500) this.#log.warn({ event: 'http.request_failed', err: error }, 'a request of an operator failed')
    return reply.code(status).send({ reason: reasonOf(error) })
  }
}

function viewOf({ ledgerId, lastEntryId, lac, isFenced }: HeldLedger): object {
  return { ledgerId, lastEntryId, lastAddConfirmed: lac, fenced: isFenced }
}

function readOnlyOf(body: unknown): boolean | undefined {
  try {
    const parsed = JSON.parse(String(body)) as unknown
    if (typeof parsed !== 'object' || parsed === null || !('readOnly' in parsed)) return undefined
    return typeof parsed.readOnly === 'boolean' ? parsed.readOnly : undefined
  } catch {
    return undefined
  }
}

function pageOf(request: FastifyRequest): { after: number; limit: number } | undefined {
  const { after = '-1', limit = String(PAGE_LEDGERS) } = request.query as { after?: string; limit?: string }
  const page = { after: Number(after), limit: Number(limit) }
  const isRight = Number.isSafeInteger(page.after) && Number.isSafeInteger(page.limit) && page.limit >= 1
  return isRight && page.limit <= PAGE_LEDGERS_MAX ? page : undefined
}
