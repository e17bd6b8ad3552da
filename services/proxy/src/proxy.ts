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
  /** `pulsar://host:port` */
  readonly serviceUrl: string
  readonly webUrl: string
  readonly metrics: ProxyMetrics
  /** Takes no more, lets what waits for an answer have it for up to `STOP_MS`, closes every connection. Idempotent. */
  close(): Promise<void>
}

export const STOP_MS = 2000
const POLL_MS = 20

/** @throws CodedError BAD_SETTING, PROXY_PORT_TAKEN, PROXY_ADDRESS_REFUSED with one line; MetadataError */
export async function openProxy(options: ProxyOptions): Promise<Proxy> {
  const { settings, metadata, clock, logger, version } = options
  const directory = await BrokerDirectory.open({ settings, metadata, clock, logger })
  const metrics = new ProxyMetrics(settings.clusterName)
  try {
    const targets = new TargetCheck(settings, directory)
    const services: ProxyServices = {
      settings,
      clock,
      logger,
      directory,
      targets,
      metrics,
      version: `Strata ${version}`
    }
    return await serve(services)
  } catch (error) {
    directory.close()
    metrics.close()
    throw error
  }
}

async function serve(services: ProxyServices): Promise<Proxy> {
  const { settings, directory, metrics, clock, logger } = services
  const { bindAddress: address, servicePort, webServicePort } = settings
  const clients = new ClientServer(services)
  const web = new WebServer(services)
  const port = await clients.listen({ host: address, port: servicePort }).catch((error: unknown) => {
    throw listenError(error, { key: 'servicePort', port: servicePort, address })
  })
  const webPort = await web.listen({ host: address, port: webServicePort }).catch((error: unknown) => {
    clients.stopListening()
    clients.closeAll('the proxy did not start')
    throw listenError(error, { key: 'webServicePort', port: webServicePort, address })
  })
  const close = async (): Promise<void> => {
    web.announceStop()
    clients.stopListening()
    const isIdle = (): boolean => metrics.counts.pendingLookups === 0 && web.pendingCount === 0
    await whenTrue(isIdle, clock)
    clients.closeAll('the proxy stops')
    await web.close()
    directory.close()
    metrics.close()
  }
  let closing: Promise<void> | undefined
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '[::1]' : address
  logger.info({ event: 'proxy.started', port, webPort }, 'the proxy serves')
  return {
    serviceUrl: `pulsar://${host}:${port}`,
    webUrl: `http://${host}:${webPort}`,
    metrics,
    close() {
      closing ??= close()
      return closing
    }
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
