import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { certificateOf, type Permission, type ServerTls } from '@strata/auth'
import { reasonOf, type Clock, type Logger } from '@strata/base'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { SERVER_VERSION, type Broker } from '../broker.ts'
import { credentialsOf, requireRoute, rolesOfRequest } from '../auth/http-gate.ts'
import type { AdminBackend } from './backend.ts'
import { json, noSuchPath, PlainAnswer, type AdminReply, type AdminRequest, type Operation } from './operation.ts'
import { answerOf } from './rest-error.ts'
import type { Method, Route } from './route.ts'
import { routes } from './routes/index.ts'
import { elsewhere, redirect, type Scope } from './scope.ts'

/** A schema of the largest size, as text inside JSON. */
const BODY_BYTES_MAX = 16 * 1024 * 1024
const PATH_SEGMENT_CHARS_MAX = 8192
const DOMAINS = ['persistent', 'non-persistent']

/** Routes declare no schemas. Without these, fastify loads compilers for them: most of the time that it takes to start. */
const NO_COMPILERS = {
  buildValidator: () => () => assert.fail('no route declares a schema'),
  buildSerializer: () => () => assert.fail('no route declares a schema')
}

export interface AdminServerOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly logger: Logger
  /** Of storage in this process: why it refuses to take messages now, one line each; empty while it takes them. */
  readonly storageTroubles?: () => readonly string[]
  /** Storage nodes that take new ledgers now, by name. */
  readonly bookies?: () => readonly string[]
}

/** The HTTP side of a broker, not yet listening. It is closed after its broker. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { broker, clock, logger, storageTroubles = () => [], bookies = () => [] } = options
  const processMetrics = new Registry()
  collectDefaultMetrics({ register: processMetrics })
  processMetrics.setDefaultLabels({ cluster: broker.settings.clusterName })
  return new AdminServer({
    settings: broker.settings,
    clock,
    logger,
    version: SERVER_VERSION.replace(/^\D*/, ''),
    startedAtMs: clock.wallMs(),
    namespaces: broker.namespaces,
    topics: broker.topics,
    schemas: broker.schemas,
    dynamicSettings: broker.dynamicSettings,
    guard: broker.guard,
    tls: broker.tls,
    grants: broker.grants,
    ports: broker.ports,
    listeners: broker.listeners,
    get connections() {
      return broker.connectionCounts
    },
    homes: broker.homes,
    peers: broker.peers,
    blocks: broker.blocks,
    balance: broker.balance,
    bookies,
    isSuspended: () => broker.isSuspended,
    hasLease: () => broker.hasLease,
    reachesStore: () => broker.reachesStore(),
    lookups: broker.lookups,
    isAlone: broker.isAlone,
    ownTopic: () => broker.ownTopic,
    troubles: () => broker.troubles,
    storageTroubles,
    processMetrics,
    pools: [broker.ingestPool, broker.dispatchPool]
  })
}

/** HTTP of a broker: the admin API, lookup, metrics and a page for people. Holds no state of its own. */
export class AdminServer {
  readonly #backend: AdminBackend
  readonly #app: FastifyInstance
  #tlsServer: TlsServer | undefined
  readonly #paths: { readonly pattern: RegExp; readonly method: Method }[] = []

  constructor(backend: AdminBackend) {
    this.#backend = backend
    this.#app = fastify({
      bodyLimit: BODY_BYTES_MAX,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: PATH_SEGMENT_CHARS_MAX, ignoreTrailingSlash: true },
      exposeHeadRoutes: false,
      schemaController: { compilersFactory: NO_COMPILERS }
    })
    this.#acceptAnyBody()
    for (const route of routes) this.#add(route)
    this.#app.setNotFoundHandler((request, reply) => this.#notFound(request, reply))
    this.#app.setErrorHandler((error, request, reply) => this.#refuse(error, request, reply))
  }

  /** As it was bound; 0 before. */
  get port(): number {
    return this.#backend.ports.web
  }

  /** @throws the error of the system call: EADDRINUSE, EACCES, EADDRNOTAVAIL */
  async start(): Promise<void> {
    const { settings, ports, logger, tls } = this.#backend
    const { bindAddress: host, webServicePort: port, webServicePortTls: tlsPort } = settings
    if (port < 0) await this.#app.ready()
    else {
      await this.#app.listen({ host, port })
      ports.web = (this.#app.server.address() as AddressInfo).port
    }
    if (tlsPort >= 0 && tls !== undefined) ports.webTls = await this.#listenTls(tls, { host, port: tlsPort })
    logger.info({ event: 'http.started', port: ports.web, portTls: ports.webTls }, 'the broker serves HTTP')
  }

  /** The same routes behind a second server. */
  async #listenTls(tls: ServerTls, at: { host: string; port: number }): Promise<number> {
    const server = createTlsServer(tls.options, (request, response) => this.#app.routing(request, response))
    server.on('secureConnection', socket => {
      if (!tls.admits(socket)) socket.destroy()
    })
    tls.keep(server)
    this.#tlsServer = server
    server.listen(at)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  /** A request without a socket, for tests. */
  inject(request: {
    method: Method
    url: string
    payload?: string | Buffer
    headers?: Record<string, string>
  }): Promise<{
    statusCode: number
    body: string
    headers: Record<string, unknown>
    rawPayload: Buffer
  }> {
    return this.#app.inject(request)
  }

  /** Cuts what is open. */
  async close(): Promise<void> {
    this.#tlsServer?.close()
    this.#tlsServer?.closeAllConnections()
    await this.#app.close()
    this.#backend.processMetrics.clear()
  }

  /** Clients name their bodies in many ways, or not at all: what it is, the operation knows. */
  #acceptAnyBody(): void {
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
      done(null, body)
    })
  }

  #add({ method, path, operation, permission, scope = 'local' }: Route): void {
    // an own route for each domain keeps others from standing for one
    const paths = path.includes(':domain')
      ? DOMAINS.map(domain => [path.replace(':domain', domain), domain])
      : [[path, '']]
    for (const [url = '', domain = ''] of paths) {
      this.#paths.push({ method, pattern: patternOf(url) })
      const handler = (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
        this.#run({ request, reply, method, domain }, operation, { scope, permission })
      this.#app.route({ method, url, handler })
    }
  }

  async #run(
    {
      request,
      reply,
      method,
      domain
    }: { request: FastifyRequest; reply: FastifyReply; method: Method; domain: string },
    operation: Operation,
    { scope, permission }: { scope: Scope; permission: Permission }
  ): Promise<FastifyReply> {
    const params = { ...(request.params as Record<string, string>), ...(domain === '' ? {} : { domain }) }
    const adminRequest: AdminRequest = {
      backend: this.#backend,
      method,
      url: request.raw.url ?? '/',
      host: request.host,
      params,
      query: flattened(request.query),
      body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      localAddress: request.socket.localAddress ?? '127.0.0.1',
      remoteAddress: request.socket.remoteAddress ?? '127.0.0.1',
      isTls: request.socket instanceof TLSSocket
    }
    const known = await admitted(adminRequest, request, permission)
    const other = await elsewhere(known, scope)
    return send(reply, other === undefined ? await operation(known) : redirect(known, other))
  }

  /** A path that exists under another method is told from one that does not exist. */
  #notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const path = request.url.split('?', 1)[0] ?? ''
    const others = this.#paths.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)
    if (others.length > 0) {
      return reply
        .code(405)
        .header('allow', [...new Set(others)].join(', '))
        .send()
    }
    return noSuchPath({ host: request.host, url: request.raw.url ?? '/' })
  }

  #refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const status = frameworkStatus(error)
    if (status !== undefined) return send(reply, json({ reason: error instanceof Error ? error.message : '' }, status))
    if (error instanceof PlainAnswer) return send(reply, error.reply)
    const answer = answerOf(error)
    if (!answer.isOurs) {
      const reason = reasonOf(error)
      const fields = { event: 'http.failed', method: request.method, path: request.routeOptions.url, reason }
      this.#backend.logger.warn(fields, 'a request over HTTP failed')
    }
    return send(reply, json({ reason: answer.reason }, answer.status))
  }
}

/** Before anything else is looked at: who may not ask learns nothing, not even what exists. @throws RestError 401, 403 */
async function admitted(request: AdminRequest, http: FastifyRequest, declared: Permission): Promise<AdminRequest> {
  const { guard, settings } = request.backend
  const isMetrics = http.routeOptions.url === '/metrics'
  const permission = isMetrics && settings.authenticateMetricsEndpoint ? 'authenticated' : declared
  if (guard === undefined || permission === 'open') return request
  const certificate = http.socket instanceof TLSSocket ? certificateOf(http.socket) : undefined
  const known = { ...request, roles: await rolesOfRequest(guard, credentialsOf(http.headers, certificate), request) }
  await requireRoute(known, permission)
  return known
}

/** Parameters as they match: `:name` is any segment, `:name(^…$)` what it says. */
function patternOf(url: string): RegExp {
  const path = url.replace(/:\w+(?:\(\^([^)]*)\$\))?/g, (_all, allowed?: string) => allowed ?? '[^/]+')
  return new RegExp(`^${path}/?$`)
}

/** What fastify itself refuses: bodies too large, paths that cannot be decoded. */
function frameworkStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || !String(error.code).startsWith('FST_')) return undefined
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
}

function send(reply: FastifyReply, answer: AdminReply): FastifyReply {
  // past fastify, which writes names in lower case: Java looks for some in the case that Pulsar writes
  for (const [name, value] of Object.entries(answer.headers ?? {})) reply.raw.setHeader(name, value)
  if (answer.contentType !== '') void reply.type(answer.contentType)
  // as bytes: to text, fastify adds a charset that Pulsar does not name
  const isText = typeof answer.body === 'string' && answer.body !== ''
  return reply.code(answer.status).send(isText ? Buffer.from(answer.body) : answer.body)
}

function flattened(query: unknown): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [key, value] of Object.entries(query as Record<string, unknown>)) {
    const last: unknown = Array.isArray(value) ? value.at(-1) : value
    if (typeof last === 'string') flat[key] = last
  }
  return flat
}
