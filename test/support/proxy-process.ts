import { settingFlags, startServerProcess, type ServerOptions } from './server-process.ts'
import type { Settings } from './cluster-process.ts'

export interface ProxyProcess {
  readonly pid: number
  /** For clients, of the binary protocol. */
  readonly serviceUrl: string
  readonly webUrl: string
  /** What it wrote to standard error so far. */
  log(): string
  /** Ctrl-C, and wait. Resolves with the exit code. */
  stop(): Promise<number | null>
}

export interface ProxyOptions extends ServerOptions {
  /** Which brokers: `metadataStoreUrl`, or `brokerServiceURL` and `brokerWebServiceURL`. */
  readonly set: Settings
}

interface Ready {
  readonly pid: number
  readonly brokerUrl: string
  readonly webUrl: string
}

/** A real `strata proxy` on free ports of the loopback, ready when this resolves. */
export async function startProxy(options: ProxyOptions): Promise<ProxyProcess> {
  const flags = settingFlags({ servicePort: 0, webServicePort: 0, ...options.set })
  const server = await startServerProcess<Ready>(['proxy', '--json', ...flags], options)
  const { brokerUrl: serviceUrl, webUrl } = server.ready
  return { ...server, serviceUrl, webUrl }
}
