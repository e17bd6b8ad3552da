import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import type { ServerOptions } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { TLSSocket } from 'node:tls'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { certificateOf, type Permission, type ServerTls } from '@strata/auth'
import { reasonOf, type Clock, type Logger } from '@strata/base'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { SERVER_VERSION, type Broker } from '../broker.ts'
import { credentialsOf, requireRoute, rolesOfRequest } from '../auth/http-gate.ts'
import type { BrokerSettings } from '../config/settings.ts'
import { BrokerMetrics } from '../metrics/broker-metrics.ts'
import { OtlpExporter } from '../metrics/otlp-exporter.ts'
import { AuditTrail } from './audit/audit-trail.ts'
import type { AdminBackend } from './backend.ts'
import { FairTurns } from './fair-turns.ts'
import { json, noSuchPath, PlainAnswer, type AdminReply, type AdminRequest } from './operation.ts'
import { addBackendSeries, familiesOf, resourceOf } from './operations/metrics.ts'
import { answerOf } from './rest-error.ts'
import type { Method, Route } from './route.ts'
import { absenceOf } from './routes/absences.ts'
import { routes } from './routes/index.ts'
import { elsewhere, redirect } from './scope.ts'

/** A schema of the largest size, as text inside JSON. */
const MIB = 1024 * 1024
const BODY_BYTES_MAX = 16 * MIB
const PATH_SEGMENT_CHARS_MAX = 8192
/** How often slow requests are looked for. */
const CHECK_INTERVAL_MS = 1000
const DOMAINS = ['persistent', 'non-persistent']
/** Who asks for what is no tenant's. */
const CLUSTER = ''

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
  /** Of each entry, on storage nodes; one where nothing is said. */
  readonly copies?: number
  /** Asked for over HTTP; absent: the process is told to end, as by SIGTERM. */
  readonly shutDown?: () => void
}

/** The HTTP side of a broker, not yet listening. It is closed after its broker. */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const {
    broker,
    clock,
    logger,
    storageTroubles = () => [],
    bookies = () => [],
    copies = 1,
    shutDown = endProcess
  } = options
  const processMetrics = new Registry()
  collectDefaultMetrics({ register: processMetrics })
  processMetrics.setDefaultLabels({ cluster: broker.settings.clusterName })
  const backend: AdminBackend = {
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
    sweeper: broker.sweeper,
    balance: broker.balance,
    resourceGroups: broker.resourceGroups,
    filters: broker.filters,
    bookies,
    isSuspended: () => broker.isSuspended,
    hasLease: () => broker.hasLease,
    reachesStore: () => broker.reachesStore(),
    reachesStorage: () => broker.reachesStorage(),
    lookups: broker.meters.lookups,
    traffic: broker.meters.traffic,
    metrics: new BrokerMetrics({
      ...{ settings: broker.settings, meters: broker.meters, copies },
      topics: () => broker.topics.values(),
      propertiesOf: async ({ name }) => (await broker.namespaces.topics.find(name))?.properties ?? {},
      addOthers: (families, cluster) => addBackendSeries(backend, families, cluster)
    }),
    isAlone: broker.isAlone,
    ownTopic: () => broker.ownTopic,
    troubles: () => broker.troubles,
    storageTroubles,
    shutDown,
    processMetrics,
    pools: [broker.ingestPool, broker.dispatchPool]
  }
  return new AdminServer(backend, pushOf(backend))
}

/** Whoever runs the broker stops it in order. */
function endProcess(): void {
  process.kill(process.pid, 'SIGTERM')
}

/** Undefined: nobody wants what is measured pushed. @throws CodedError BAD_SETTING */
function pushOf(backend: AdminBackend): OtlpExporter | undefined {
  const { clock, logger, settings, startedAtMs } = backend
  if (settings.strataOtlpMetricsUrl === '') return undefined
  return new OtlpExporter({
    ...{ clock, logger, startedAtMs, url: settings.strataOtlpMetricsUrl, headers: settings.strataOtlpMetricsHeaders },
    intervalMs: settings.strataOtlpMetricsIntervalSeconds * 1000,
    resource: () => resourceOf(backend),
    collect: () => familiesOf(backend)
  })
}

/** HTTP of a broker: the admin API, lookup, metrics and a page for people. Holds no state of its own. */
export class AdminServer {
  readonly #backend: AdminBackend
  readonly #app: FastifyInstance
  readonly #audit: AuditTrail | undefined
  readonly #roles = new WeakMap<FastifyRequest, readonly string[]>()
  readonly #turns = new FairTurns()
  #tlsServer: TlsServer | undefined
  readonly #push: OtlpExporter | undefined
  readonly #paths: { readonly pattern: RegExp; readonly method: Method }[] = []

  constructor(backend: AdminBackend, push?: OtlpExporter) {
    this.#backend = backend
    const { settings } = backend
    this.#audit = auditOf(backend)
    this.#push = push
    this.#app = fastify({
      bodyLimit: BODY_BYTES_MAX,
      http: httpLimits(settings),
      requestTimeout: settings.strataHttpRequestTimeoutMs,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: PATH_SEGMENT_CHARS_MAX, ignoreTrailingSlash: true },
      exposeHeadRoutes: false,
      schemaController: { compilersFactory: NO_COMPILERS }
    })
    limitConnections(this.#app.server, settings)
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
    this.#push?.start()
    logger.info({ event: 'http.started', port: ports.web, portTls: ports.webTls }, 'the broker serves HTTP')
  }

  /** The same routes behind a second server. */
  async #listenTls(tls: ServerTls, at: { host: string; port: number }): Promise<number> {
    const { settings } = this.#backend
    const limits = { ...httpLimits(settings), requestTimeout: settings.strataHttpRequestTimeoutMs }
    const server = createTlsServer({ ...tls.options, ...limits }, (request, response) =>
      this.#app.routing(request, response)
    )
    limitConnections(server, settings)
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

  /** What is measured goes where it is pushed to, now. Never rejects. */
  async pushMetrics(): Promise<void> {
    await this.#push?.push()
  }

  /** Cuts what is open. */
  async close(): Promise<void> {
    this.#tlsServer?.close()
    this.#tlsServer?.closeAllConnections()
    this.#push?.close()
    await this.#app.close()
    await this.#audit?.close()
    this.#backend.processMetrics.clear()
  }

  /** Clients name their bodies in many ways, or not at all: what it is, the operation knows. */
  #acceptAnyBody(): void {
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
      done(null, body)
    })
  }

  #add(route: Route): void {
    const { method, path } = route
    // an own route for each domain keeps others from standing for one
    const paths = path.includes(':domain')
      ? DOMAINS.map(domain => [path.replace(':domain', domain), domain])
      : [[path, '']]
    for (const [url = '', domain = ''] of paths) {
      this.#paths.push({ method, pattern: patternOf(url) })
      const onRequest = (request: FastifyRequest): Promise<void> => this.#admit(request, route, domain)
      const handler = (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
        this.#run({ request, reply }, route, domain)
      this.#app.route({ method, url, handler, ...(this.#backend.guard === undefined ? {} : { onRequest }) })
    }
  }

  /** Before its body is read: who may not ask makes us hold none. */
  async #admit(http: FastifyRequest, route: Route, domain: string): Promise<void> {
    const request = this.#requestOf(http, route, domain)
    const note = (roles: readonly string[]): void => void this.#roles.set(http, roles)
    try {
      await requireAdmitted(request, { http, declared: route.permission, note })
    } catch (error) {
      const roles = this.#roles.get(http)
      if (this.#audit?.covers(route) === true) await this.#audit.refused(withRoles(request, roles), route, error)
      throw error
    }
  }

  async #run(
    { request, reply }: { request: FastifyRequest; reply: FastifyReply },
    route: Route,
    domain: string
  ): Promise<FastifyReply> {
    const known = withRoles(this.#requestOf(request, route, domain), this.#roles.get(request))
    const answer = async (): Promise<AdminReply> => {
      const other = await elsewhere(known, route.scope ?? 'local')
      return other === undefined ? await route.operation(known) : redirect(known, other)
    }
    const { tenant } = known.params
    if (tenant !== undefined) this.#backend.traffic.onRequest(tenant)
    await this.#turns.next(tenant ?? CLUSTER)
    const isAudited = this.#audit?.covers(route) === true
    return send(reply, isAudited ? await this.#audit.around(known, route, answer) : await answer())
  }

  #requestOf(request: FastifyRequest, route: Route, domain: string): AdminRequest {
    return {
      backend: this.#backend,
      method: route.method,
      url: request.raw.url ?? '/',
      host: request.host,
      params: { ...(request.params as Record<string, string>), ...(domain === '' ? {} : { domain }) },
      query: flattened(request.query),
      body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      localAddress: request.socket.localAddress ?? '127.0.0.1',
      remoteAddress: request.socket.remoteAddress ?? '127.0.0.1',
      isTls: request.socket instanceof TLSSocket,
      absence: absenceOf(route)
    }
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

/** Who sends slowly, or never ends, is cut off (408). Heads have less time than bodies. */
function httpLimits(settings: BrokerSettings): ServerOptions {
  const { strataHttpRequestTimeoutMs: timeoutMs, httpMaxRequestHeaderSize: maxHeaderSize } = settings
  return {
    maxHeaderSize,
    headersTimeout: Math.ceil(timeoutMs / 4),
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, Math.ceil(timeoutMs / 4))
  }
}

function limitConnections(server: Server, { maxHttpServerConnections }: BrokerSettings): void {
  if (maxHttpServerConnections > 0) server.maxConnections = maxHttpServerConnections
}

function withRoles(request: AdminRequest, roles: readonly string[] | undefined): AdminRequest {
  return roles === undefined ? request : { ...request, roles }
}

/**
 * Before anything else is looked at: who may not ask learns nothing, not even what exists. `note` is told the roles of who asks,
 * also where they may not. @throws RestError 401, 403; BrokerError TooManyRequests
 */
async function requireAdmitted(
  request: AdminRequest,
  { http, declared, note }: { http: FastifyRequest; declared: Permission; note: (roles: readonly string[]) => void }
): Promise<void> {
  const { guard, settings } = request.backend
  const isMetrics = http.routeOptions.url === '/metrics'
  const permission = isMetrics && settings.authenticateMetricsEndpoint ? 'authenticated' : declared
  if (guard === undefined || permission === 'open') return
  const certificate = http.socket instanceof TLSSocket ? certificateOf(http.socket) : undefined
  const roles = await rolesOfRequest(guard, credentialsOf(http.headers, certificate), request)
  note(roles)
  await requireRoute({ ...request, roles }, permission)
}

/** Undefined: nothing is written down. */
function auditOf({ settings, logger }: AdminBackend): AuditTrail | undefined {
  const { strataAuditLogPath: path, strataAuditLogFileMB, strataAuditLogFiles: filesMax } = settings
  if (path === '') return undefined
  return new AuditTrail({ path, fileBytesMax: strataAuditLogFileMB * MIB, filesMax, logger, routes })
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
  return reply.code(answer.status).send(bytesOf(answer.body))
}

/**
 * As bytes, since to text fastify adds a charset that Pulsar does not name. Undefined where there is no body: to an empty one it adds a type,
 * and Pulsar's Java admin client waits until its time is up on what it cannot read as that type.
 */
function bytesOf(body: string | Buffer): Buffer | undefined {
  if (body === '') return undefined
  return typeof body === 'string' ? Buffer.from(body) : body
}

function flattened(query: unknown): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [key, value] of Object.entries(query as Record<string, unknown>)) {
    const last: unknown = Array.isArray(value) ? value.at(-1) : value
    if (typeof last === 'string') flat[key] = last
  }
  return flat
}
