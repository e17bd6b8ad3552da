import { configErrors, createLogger, systemClock, type LogLevel } from '@strata/base'
import {
  openProxy,
  proxyKeys,
  proxySettings,
  unavailableProxySwitches,
  type Proxy,
  type ProxySettings
} from '@strata/proxy'
import { collectWhenIdle } from './idle-collection.ts'
import { openMetadataStore } from './metadata-door.ts'
import { loadSettings } from './settings.ts'
import { stopRequest } from './stop-request.ts'
import { VERSION } from './version.ts'

export interface ProxyFlags {
  readonly conf?: string
  readonly set: readonly string[]
  readonly lenient?: boolean
  readonly json?: boolean
}

/** One proxy, until Ctrl-C. */
export async function runProxy(flags: ProxyFlags): Promise<void> {
  const { settings, explicit, warnings } = loadSettings(proxySettings, {
    conf: flags.conf,
    env: process.env,
    set: flags.set,
    lenient: flags.lenient ?? false,
    foreign: proxyKeys
  })
  refuseUnavailable(settings)
  const json = flags.json ?? false
  const logger = createLogger({ level: settings.strataLogLevel as LogLevel, ...(json ? { pretty: false } : {}) })
  for (const warning of warnings) logger.warn({ event: 'config.key_ignored', warning }, 'a setting was ignored')
  // listened for before it is told ready: who reads that line may stop it at once
  const stopped = stopRequest()
  const { metadataStoreUrl: url, metadataStoreConfigPath: configPath } = settings
  const metadata =
    url === ''
      ? undefined
      : await openMetadataStore(url, { configPath, logger, mustExist: true }).catch((error: unknown) =>
          failWith(error, url)
        )
  try {
    const options = { settings, metadata, clock: systemClock, logger, version: VERSION }
    const proxy = await openProxy(options).catch((error: unknown) => failWith(error, url))
    collectWhenIdle()
    print(proxy, { json, loopbackByDefault: !explicit.has('bindAddress') })
    await stopped
    await proxy.close()
  } finally {
    await metadata?.close()
  }
}

/** Storage nodes, which come with this, are loaded only where there is something to say. */
async function failWith(error: unknown, url: string): Promise<never> {
  const { metadataFailure } = await import('./bookie-run.ts')
  throw metadataFailure(error, url)
}

function refuseUnavailable(settings: ProxySettings): void {
  const unavailable = unavailableProxySwitches(settings)
  if (unavailable.length === 0) return
  const error = configErrors.create('BAD_SETTING', { unavailable })
  error.message = unavailable.join('\n')
  throw error
}

function print(
  { serviceUrl, webUrl, serviceUrlTls, webUrlTls }: Proxy,
  { json, loopbackByDefault }: { json: boolean; loopbackByDefault: boolean }
): void {
  if (json) {
    const urls = { brokerUrl: serviceUrl, webUrl, brokerUrlTls: serviceUrlTls, webUrlTls }
    const ready = { event: 'ready', pid: process.pid, ...urls }
    process.stdout.write(`${JSON.stringify(ready)}\n`)
    return
  }
  const lines = [
    'The proxy is ready.',
    `  clients     ${serviceUrl}`,
    `  admin       ${webUrl}   (for load balancers: ${webUrl}/status.html, metrics: ${webUrl}/metrics)`,
    ...(serviceUrlTls === undefined ? [] : [`  with TLS    ${serviceUrlTls}`]),
    ...(webUrlTls === undefined ? [] : [`              ${webUrlTls}`]),
    ...(loopbackByDefault ? ['  reachable   from this machine only; set bindAddress=0.0.0.0 to change it'] : []),
    '  stop        Ctrl-C (twice: at once)'
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
