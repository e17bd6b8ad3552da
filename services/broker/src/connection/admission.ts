import type { BrokerSettings } from '../config/settings.ts'

/** How many sockets there are, in all and from each address, and whether one more may be. Every `enter` has its `leave`. */
export class Admission {
  readonly #settings: Pick<BrokerSettings, 'brokerMaxConnections' | 'brokerMaxConnectionsPerIp'>
  readonly #countByIp = new Map<string, number>()
  #count = 0

  constructor(settings: Pick<BrokerSettings, 'brokerMaxConnections' | 'brokerMaxConnectionsPerIp'>) {
    this.#settings = settings
  }

  get count(): number {
    return this.#count
  }

  /** Undefined: it is in. Else why not, in the words of Apache Pulsar. */
  enter(ip: string): string | undefined {
    const { brokerMaxConnections, brokerMaxConnectionsPerIp } = this.#settings
    if (brokerMaxConnections > 0 && this.#count >= brokerMaxConnections) {
      return 'Reached the maximum number of connections'
    }
    const fromIp = this.#countByIp.get(ip) ?? 0
    if (brokerMaxConnectionsPerIp > 0 && fromIp >= brokerMaxConnectionsPerIp) {
      return `Reached the maximum number of connections on address ${ip}`
    }
    this.#count++
    this.#countByIp.set(ip, fromIp + 1)
    return undefined
  }

  leave(ip: string): void {
    this.#count--
    const left = (this.#countByIp.get(ip) ?? 1) - 1
    if (left > 0) this.#countByIp.set(ip, left)
    else this.#countByIp.delete(ip)
  }
}
