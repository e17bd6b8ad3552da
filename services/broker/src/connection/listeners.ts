import { brokerError } from '../errors.ts'

/** Where clients of one listener are sent. */
export interface ListenerUrls {
  readonly brokerUrl: string | undefined
  readonly brokerUrlTls: string | undefined
  readonly httpUrl: string | undefined
  readonly httpUrlTls: string | undefined
}

export interface BindAddress {
  /** Empty: the listener that counts when a client names none. */
  readonly listenerName: string
  readonly host: string
  readonly port: number
  readonly isTls: boolean
}

/** Ports as they were bound; 0 while not listening, -1: never. */
export interface Ports {
  broker: number
  brokerTls: number
  web: number
  webTls: number
}

export interface ListenerSettings {
  readonly bindAddress: string
  readonly bindAddresses: string
  readonly brokerServicePort: number
  readonly brokerServicePortTls: number
  readonly advertisedAddress: string
  readonly advertisedListeners: string
  readonly internalListenerName: string
}

interface WebPorts {
  readonly webServicePort: number
  readonly webServicePortTls: number
}

/** A client's way to this broker. `isProxied`: whatever address it used to get here goes on working. */
export interface Route extends ListenerUrls {
  readonly isProxied: boolean
}

const ADDRESS = /^(?:([^:,]+):)?(pulsar|pulsar\+ssl|http|https):\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5})\/?$/

/** Before anything listens. */
export function portsOf(
  settings: Pick<ListenerSettings, 'brokerServicePort' | 'brokerServicePortTls'> & WebPorts
): Ports {
  const of = (port: number): number => (port < 0 ? -1 : 0)
  return {
    broker: of(settings.brokerServicePort),
    brokerTls: of(settings.brokerServicePortTls),
    web: of(settings.webServicePort),
    webTls: of(settings.webServicePortTls)
  }
}

export function listensWithTls(settings: ListenerSettings & WebPorts): boolean {
  const { brokerServicePortTls, webServicePortTls, bindAddresses } = settings
  return brokerServicePortTls >= 0 || webServicePortTls >= 0 || bindAddresses.includes('pulsar+ssl:')
}

/** What the settings say about addresses. @throws BrokerError NotAllowedError naming the key that is wrong */
export class Listeners {
  readonly #settings: ListenerSettings
  readonly #byName = new Map<string, ListenerUrls>()
  readonly #internal: string | undefined

  constructor(settings: ListenerSettings) {
    this.#settings = settings
    for (const item of splitList(settings.advertisedListeners)) this.#add(item)
    const named = settings.internalListenerName.trim()
    if (named !== '' && this.#byName.size > 0 && !this.#byName.has(named)) {
      throw brokerError('NotAllowedError', `internalListenerName: advertisedListeners has no listener called ${named}`)
    }
    this.#internal = named === '' ? this.#byName.keys().next().value : named
  }

  /** Everywhere the binary protocol is listened on. */
  bindAddresses(): BindAddress[] {
    const { bindAddress: host, brokerServicePort, brokerServicePortTls, bindAddresses } = this.#settings
    const all: BindAddress[] = [
      { listenerName: '', host, port: brokerServicePort, isTls: false },
      { listenerName: '', host, port: brokerServicePortTls, isTls: true }
    ].filter(({ port }) => port >= 0)
    for (const item of splitList(bindAddresses)) {
      const match = ADDRESS.exec(item)
      const [, listenerName, scheme, host, port] = match ?? []
      if (listenerName === undefined || host === undefined || port === undefined) {
        throw brokerError('NotAllowedError', `bindAddresses: '${item}' is not name:pulsar://host:port`)
      }
      if (scheme !== 'pulsar' && scheme !== 'pulsar+ssl')
        throw brokerError('NotAllowedError', `bindAddresses: scheme ${scheme} is not available`)
      all.push({ listenerName, host: withoutBrackets(host), port: Number(port), isTls: scheme !== 'pulsar' })
    }
    return all
  }

  /**
   * @param listenerName what the client asked for, else what its connection came in by; empty: neither
   * @throws BrokerError ServiceNotReady for a listener that does not exist, in words that clients look for
   */
  route(options: { listenerName: string; localAddress: string; remoteAddress: string; ports: Ports }): Route {
    const { listenerName } = options
    const name = listenerName !== '' ? listenerName : this.#internal
    if (name !== undefined) {
      const urls = this.#byName.get(name)
      if (urls !== undefined) return { ...urls, isProxied: false }
      if (listenerName !== '') unknownListener(listenerName)
    }
    const configured = this.#settings.advertisedAddress.trim()
    const host = configured === '' ? hostOf(options.localAddress) : configured
    // Nobody told us the address this client can reach, but it has reached us: it may come the same way again.
    const isProxied = configured === '' || (isLoopback(configured) && !isLoopback(options.remoteAddress))
    return { ...urlsOn(host, options.ports), isProxied }
  }

  /** What other brokers are told: `host` and ports where no listener is configured. */
  advertised(own: { host: string; ports: Ports }): {
    urls: ListenerUrls
    listeners: ReadonlyMap<string, ListenerUrls>
  } {
    const internal = this.#internal === undefined ? undefined : this.#byName.get(this.#internal)
    const configured = this.#settings.advertisedAddress.trim()
    const bound = urlsOn(configured === '' ? own.host : configured, own.ports)
    const urls = internal ?? bound
    return {
      urls: { ...urls, httpUrl: urls.httpUrl ?? bound.httpUrl, httpUrlTls: urls.httpUrlTls ?? bound.httpUrlTls },
      listeners: this.#byName
    }
  }

  #add(item: string): void {
    const match = ADDRESS.exec(item)
    const [, name, scheme, host, port] = match ?? []
    if (name === undefined || scheme === undefined || host === undefined) {
      throw brokerError('NotAllowedError', `advertisedListeners: '${item}' is not name:pulsar://host:port`)
    }
    const url = `${scheme}://${host}:${port}`
    const urls = this.#byName.get(name) ?? {
      brokerUrl: undefined,
      brokerUrlTls: undefined,
      httpUrl: undefined,
      httpUrlTls: undefined
    }
    const key = ({ pulsar: 'brokerUrl', 'pulsar+ssl': 'brokerUrlTls', http: 'httpUrl', https: 'httpUrlTls' } as const)[
      scheme as 'pulsar'
    ]
    if (urls[key] !== undefined) {
      throw brokerError('NotAllowedError', `advertisedListeners: ${name} has two ${scheme} addresses`)
    }
    this.#byName.set(name, { ...urls, [key]: url })
  }
}

function urlsOn(host: string, ports: Ports): ListenerUrls {
  const at = (scheme: string, port: number): string | undefined =>
    port < 0 ? undefined : `${scheme}://${host}:${port}`
  return {
    brokerUrl: at('pulsar', ports.broker),
    brokerUrlTls: at('pulsar+ssl', ports.brokerTls),
    httpUrl: at('http', ports.web),
    httpUrlTls: at('https', ports.webTls)
  }
}

/** In words that clients look for. */
export function unknownListener(listenerName: string): never {
  throw brokerError('ServiceNotReady', `the broker do not have ${listenerName} listener`)
}

export function isLoopback(host: string): boolean {
  const plain = withoutMapping(withoutBrackets(host))
  return plain === 'localhost' || plain === '::1' || plain.startsWith('127.')
}

/** An address as it stands in a URL. */
function hostOf(address: string): string {
  const plain = withoutMapping(address)
  return plain.includes(':') ? `[${plain}]` : plain
}

/** IPv4 that came through a socket of IPv6. */
export function withoutMapping(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

function withoutBrackets(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}
