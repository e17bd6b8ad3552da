import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { configErrors } from '@strata/base'
import { proxyErrors } from '../errors.ts'
import type { ProxySettings } from '../settings.ts'
import { parseHostPort, type HostPort } from './address.ts'
import type { BrokerDirectory } from './broker-directory.ts'

export type Resolve = (host: string) => Promise<string>

const ANY = '*'

/** The system's own answer, as a connection to the name would take it. */
const resolveByDns: Resolve = async host => (await lookup(host)).address

/**
 * Where clients may be connected to. Registered brokers, always; other addresses only where the settings allow their host,
 * port and IP address. What was checked is what is connected to: a name is resolved once.
 */
export class TargetCheck {
  readonly #directory: BrokerDirectory
  readonly #resolve: Resolve
  readonly #onlyRegistered: boolean
  readonly #hosts: readonly string[]
  /** Undefined: any. */
  readonly #ports: ReadonlySet<number> | undefined
  readonly #networks: BlockList | undefined

  /** @throws CodedError BAD_SETTING with one line */
  constructor(settings: ProxySettings, directory: BrokerDirectory, resolve: Resolve = resolveByDns) {
    this.#directory = directory
    this.#resolve = resolve
    this.#onlyRegistered = settings.checkActiveBrokers
    this.#hosts = listOf(settings.brokerProxyAllowedHostNames).map(host => host.toLowerCase())
    this.#ports = portsOf(settings.brokerProxyAllowedTargetPorts)
    this.#networks = networksOf(settings.brokerProxyAllowedIPAddresses)
  }

  /** @param target `host:port`, as a client names it. @throws TARGET_DENIED, BROKER_UNREACHABLE */
  async resolve(target: string): Promise<HostPort> {
    const address = parseHostPort(target)
    if (address === undefined) return deny(target, 'it is not host:port')
    if (this.#directory.isBroker(address)) return address
    if (this.#onlyRegistered || this.#hosts.length === 0) return deny(target, 'no broker is registered there')
    if (this.#ports?.has(address.port) === false) deny(target, 'brokerProxyAllowedTargetPorts')
    return await this.#resolveAllowed(address, target)
  }

  /** The same for a redirect over HTTP, where hosts decide and ports do not. @throws TARGET_DENIED, BROKER_UNREACHABLE */
  async resolveWeb(target: string): Promise<HostPort> {
    const address = parseHostPort(target)
    if (address === undefined) return deny(target, 'it is not host:port')
    if (this.#directory.isWebOfBroker(address)) return address
    if (this.#onlyRegistered || this.#hosts.length === 0) return deny(target, 'no broker is registered there')
    return await this.#resolveAllowed(address, target)
  }

  async #resolveAllowed({ host, port }: HostPort, target: string): Promise<HostPort> {
    if (!this.#hosts.some(pattern => matchesWildcard(pattern, host))) deny(target, 'brokerProxyAllowedHostNames')
    const ip = await this.#resolve(host).catch((cause: unknown) => {
      throw proxyErrors.create('BROKER_UNREACHABLE', { address: target, reason: 'the name is not known' }, cause)
    })
    if (this.#networks?.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4') === false) {
      deny(target, 'brokerProxyAllowedIPAddresses')
    }
    return isIP(host) === 0 ? { host: ip, port, name: host } : { host: ip, port }
  }
}

/** `*` stands for any part, also for none. Linear in the length of the text for each part: it comes from clients. */
export function matchesWildcard(pattern: string, text: string): boolean {
  const parts = pattern.split(ANY)
  const first = parts.shift() ?? ''
  const last = parts.pop()
  if (last === undefined) return text === first
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of parts) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

function portsOf(text: string): ReadonlySet<number> | undefined {
  const items = listOf(text)
  if (items.includes(ANY)) return undefined
  return new Set(
    items.map(item => {
      const port = /^\d{1,5}$/.test(item) ? Number(item) : 0
      return port > 0 && port <= 65_535 ? port : refuse(`brokerProxyAllowedTargetPorts: ${item} is no port`)
    })
  )
}

function networksOf(text: string): BlockList | undefined {
  const items = listOf(text)
  if (items.includes(ANY)) return undefined
  const networks = new BlockList()
  for (const item of items) {
    const [address = '', prefix] = item.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const bits = family === 'ipv6' ? 128 : 32
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN
    if (isIP(address) === 0 || !(length <= bits)) {
      refuse(`brokerProxyAllowedIPAddresses: ${item} is no address and no network`)
    }
    networks.addSubnet(address, length, family)
  }
  return networks
}

function deny(target: string, reason: string): never {
  throw proxyErrors.create('TARGET_DENIED', { target: target.slice(0, 300), reason })
}

function refuse(line: string): never {
  const error = configErrors.create('BAD_SETTING', {})
  error.message = line
  throw error
}
