/** Where something listens. `host` is in lower case and without brackets. */
export interface HostPort {
  readonly host: string
  readonly port: number
  /** That the certificate there must be of, where `host` is what a name was resolved to. */
  readonly name?: string
}

/** A name of DNS has no more. */
const HOST_CHARS_MAX = 253

/** `host:port` or `[::1]:port`, nothing around it; undefined for anything else. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text)
  const host = match?.[1]?.replace(/^\[|\]$/g, '').toLowerCase()
  const port = Number(match?.[2])
  if (host === undefined || host.length > HOST_CHARS_MAX || port < 1 || port > 65_535) return undefined
  return { host, port }
}

/** The same, as a key and for people. */
export function textOf({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

const DEFAULT_PORTS = { pulsar: 6650, 'pulsar+ssl': 6651, http: 8080, https: 8443 } as const

export type Scheme = keyof typeof DEFAULT_PORTS

/** Of `scheme://host[:port]`; undefined for another scheme, or what is no address. */
export function addressOfUrl(url: string, scheme: Scheme): HostPort | undefined {
  return addressesOfUrl(url, scheme)?.[0]
}

/** Of `scheme://host[:port][,host[:port]…]`; undefined for another scheme, or what is no address. */
export function addressesOfUrl(url: string, scheme: Scheme): readonly HostPort[] | undefined {
  if (!url.startsWith(`${scheme}://`)) return undefined
  const hosts = url.slice(scheme.length + '://'.length).replace(/\/$/, '')
  const addresses: HostPort[] = []
  for (const host of hosts.split(',')) {
    const address = parseHostPort(host) ?? parseHostPort(`${host}:${DEFAULT_PORTS[scheme]}`)
    if (address === undefined) return undefined
    addresses.push(address)
  }
  return addresses
}
