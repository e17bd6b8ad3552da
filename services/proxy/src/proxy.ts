import { Authenticator, ClientTls, LoginLimit, ownCredentials, ServerTls } from '@strata/auth'
import { every, type Clock, type Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import { BrokerDirectory } from './brokers/broker-directory.ts'
import { TargetCheck } from './brokers/target-check.ts'
import { ClientServer } from './connection/client-server.ts'
import type { ProxyServices } from './connection/services.ts'
import { listenError } from './errors.ts'
import { ProxyMetrics } from './metrics.ts'
import type { ProxySettings } from './settings.ts'
import { WebServer } from './web/web-server.ts'

export interface ProxyOptions {
  readonly settings: ProxySettings
  /** Where brokers register; it stays the caller's. Undefined: only brokers that the settings name. */
  readonly metadata: MetadataStore | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Of this program, such as `0.1.0`. */
  readonly version: string
}

/** A proxy that serves. It keeps nothing: any number of them may stand side by side. */
export interface Proxy {
  /** `pulsar://host:port`; with TLS where there is no other way. */
  readonly serviceUrl: string
  readonly webUrl: string
  /** Undefined: not listened on. */
  readonly serviceUrlTls: string | undefined
  readonly webUrlTls: string | undefined
  readonly metrics: ProxyMetrics
  /** Takes no more, lets what waits for an answer have it for up to `STOP_MS`, closes every connection. Idempotent. */
  close(): Promise<void>
}

export const STOP_MS = 2000
const POLL_MS = 20

/** @throws CodedError BAD_SETTING, PROXY_PORT_TAKEN, PROXY_ADDRESS_REFUSED with one line; AuthError AUTH_SETTING_INVALID; MetadataError */
export async function openProxy(options: ProxyOptions): Promise<Proxy> {
  const opened: (() => void)[] = []
  try {
    return await serve(await openServices(options, opened), opened)
  } catch (error) {
    for (const close of opened.reverse()) close()
    throw error
  }
}

/** What was opened is put into `opened`, also where it fails. */
async function openServices(options: ProxyOptions, opened: (() => void)[]): Promise<ProxyServices> {
  const { settings, metadata, clock, logger, version } = options
  const doors = { clock, logger }
  const listensWithTls = settings.servicePortTls >= 0 || settings.webServicePortTls >= 0
  const tls = listensWithTls ? await ServerTls.open(settings, doors) : undefined
  opened.push(() => tls?.close())
  const brokerTls = settings.tlsEnabledWithBroker ? await ClientTls.open(settings, doors) : undefined
  opened.push(() => brokerTls?.close())
  const authenticator = settings.authenticationEnabled ? await Authenticator.open(settings, clock) : undefined
  const logins = new LoginLimit({ clock, perMinute: () => settings.strataLoginFailuresPerMinute })
  const own = ownCredentials(settings)
  const directory = await BrokerDirectory.open({ settings, metadata, clock, logger })
  opened.push(() => directory.close())
  const targets = new TargetCheck(settings, directory)
  const metrics = new ProxyMetrics(settings.clusterName)
  opened.push(() => metrics.close())
  const parts = { settings, ...doors, directory, targets, metrics }
  return { ...parts, authenticator, logins, own, tls, brokerTls, version: `Strata ${version}` }
}

async function serve(services: ProxyServices, opened: readonly (() => void)[]): Promise<Proxy> {
  const { settings, metrics, clock, logger } = services
  const clients = new ClientServer(services)
  const web = new WebServer(services)
  const ports = await listen(services, clients, web).catch(async (error: unknown) => {
    clients.stopListening()
    clients.closeAll('the proxy did not start')
    await web.close()
    throw error
  })
  clients.start()
  const close = async (): Promise<void> => {
    web.announceStop()
    clients.stopListening()
    const isIdle = (): boolean => metrics.counts.pendingLookups === 0 && web.pendingCount === 0
    await whenTrue(isIdle, clock)
    clients.closeAll('the proxy stops')
    await web.close()
    for (const closeOne of [...opened].reverse()) closeOne()
  }
  let closing: Promise<void> | undefined
  logger.info({ event: 'proxy.started', ...ports }, 'the proxy serves')
  return {
    ...urlsOf(settings.bindAddress, ports),
    metrics,
    close() {
      closing ??= close()
      return closing
    }
  }
}

interface Ports {
  readonly port: number
  readonly portTls: number
  readonly webPort: number
  readonly webPortTls: number
}

/** -1 where it is not listened on. @throws CodedError PROXY_PORT_TAKEN, PROXY_ADDRESS_REFUSED */
async function listen({ settings, tls }: ProxyServices, clients: ClientServer, web: WebServer): Promise<Ports> {
  const { bindAddress: host } = settings
  const on = async (
    key: keyof ProxySettings & `${string}Port${string}`,
    server: ClientServer | WebServer
  ): Promise<number> => {
    const port = settings[key]
    if (typeof port !== 'number' || port < 0) return -1
    return await server.listen({ host, port }, key.endsWith('Tls') ? tls : undefined).catch((error: unknown) => {
      throw listenError(error, { key, port, address: host })
    })
  }
  return {
    port: await on('servicePort', clients),
    portTls: await on('servicePortTls', clients),
    webPort: await on('webServicePort', web),
    webPortTls: await on('webServicePortTls', web)
  }
}

function urlsOf(
  address: string,
  { port, portTls, webPort, webPortTls }: Ports
): Pick<Proxy, 'serviceUrl' | 'webUrl' | 'serviceUrlTls' | 'webUrlTls'> {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '[::1]' : address
  const at = (scheme: string, number: number): string | undefined =>
    number < 0 ? undefined : `${scheme}://${host}:${number}`
  const serviceUrlTls = at('pulsar+ssl', portTls)
  const webUrlTls = at('https', webPortTls)
  return {
    serviceUrl: at('pulsar', port) ?? serviceUrlTls ?? '',
    webUrl: at('http', webPort) ?? webUrlTls ?? '',
    serviceUrlTls,
    webUrlTls
  }
}

/** Resolves when it is true, or after `STOP_MS`. */
function whenTrue(isTrue: () => boolean, clock: Clock): Promise<void> {
  if (isTrue()) return Promise.resolve()
  return new Promise(resolve => {
    const end = (): void => {
      stop()
      cancel()
      resolve()
    }
    const cancel = clock.after(STOP_MS, end)
    const stop = every(clock, POLL_MS, () => {
      if (isTrue()) end()
    })
  })
}
