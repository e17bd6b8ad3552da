import { clientErrors } from './errors.ts'

export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface ServiceUrl {
  readonly scheme: 'pulsar' | 'pulsar+ssl' | 'http' | 'https'
  readonly hosts: readonly HostPort[]
}

const DEFAULT_PORTS = { pulsar: 6650, 'pulsar+ssl': 6651, http: 8080, https: 8443 } as const

/** `scheme://host[:port][,host[:port]…]` @throws INVALID_SERVICE_URL */
export function parseServiceUrl(url: string): ServiceUrl {
  const match = /^(pulsar|pulsar\+ssl|http|https):\/\/([^/]+)\/?$/.exec(url)
  if (match === null) throw clientErrors.create('INVALID_SERVICE_URL', { url })
  const scheme = match[1] as ServiceUrl['scheme']
  const hosts = (match[2] as string).split(',').map(text => parseHost(text, DEFAULT_PORTS[scheme], url))
  return { scheme, hosts }
}

function parseHost(text: string, defaultPort: number, url: string): HostPort {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text)
  const port = match?.[2] === undefined ? defaultPort : Number(match[2])
  if (match === null || port > 65_535) throw clientErrors.create('INVALID_SERVICE_URL', { url })
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port }
}
