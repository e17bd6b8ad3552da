import { configErrors, type Clock, type Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { ProxySettings } from '../settings.ts'
import { addressesOfUrl, textOf, type HostPort, type Scheme } from './address.ts'
import { RegisteredBrokers } from './registered-brokers.ts'

export interface DirectoryOptions {
  readonly settings: ProxySettings
  /** Where brokers register; undefined: only those that the settings name are known. */
  readonly metadata: MetadataStore | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** A broker that registers anew, as one does whose lease ended while it served, is back before that. */
export const GONE_GRACE_MS = 1000

/**
 * Which brokers there are: the registered ones, and those that the settings name.
 *
 * Invariants
 *   D1  `next` and `nextWeb` take turns; brokers that are about to leave only where there are no others.
 *   D2  Who listens hears of an address once it was in no row for `GONE_GRACE_MS`, and not of addresses in the settings.
 */
export class BrokerDirectory {
  readonly #clock: Clock
  readonly #fixed: readonly HostPort[]
  readonly #fixedWeb: readonly HostPort[]
  readonly #goneListeners = new Set<(address: string) => void>()
  /** Addresses that left, and what keeps their listeners from being told. */
  readonly #leaving = new Map<string, () => void>()
  #registered: RegisteredBrokers | undefined
  #names: ReadonlySet<string> = new Set()
  #webNames: ReadonlySet<string> = new Set()
  #turn = 0
  #isClosed = false

  private constructor({ settings, clock }: DirectoryOptions) {
    this.#clock = clock
    const isTls = settings.tlsEnabledWithBroker
    this.#fixed = isTls
      ? fixedAddresses(settings, 'brokerServiceURLTLS', 'pulsar+ssl')
      : fixedAddresses(settings, 'brokerServiceURL', 'pulsar')
    this.#fixedWeb = isTls
      ? fixedAddresses(settings, 'brokerWebServiceURLTLS', 'https')
      : fixedAddresses(settings, 'brokerWebServiceURL', 'http')
    this.#collect()
  }

  /** @throws CodedError BAD_SETTING with one line; MetadataError */
  static async open(options: DirectoryOptions): Promise<BrokerDirectory> {
    const directory = new BrokerDirectory(options)
    if (options.metadata === undefined) {
      if (directory.#fixed.length === 0 || directory.#fixedWeb.length === 0) {
        const end = options.settings.tlsEnabledWithBroker ? 'TLS' : ''
        refuse(
          `set metadataStoreUrl, or both brokerServiceURL${end} and brokerWebServiceURL${end}: which brokers are there?`
        )
      }
      return directory
    }
    directory.#registered = await RegisteredBrokers.open(options.metadata, {
      logger: options.logger,
      isTls: options.settings.tlsEnabledWithBroker,
      onChange: () => {
        directory.#collect()
      }
    })
    directory.#collect()
    return directory
  }

  /** Is there a broker to ask? */
  get isReady(): boolean {
    return this.#candidates('binary').length > 0
  }

  /** A broker to ask, another one each time. */
  next(): HostPort | undefined {
    return this.#pick(this.#candidates('binary'))
  }

  /** The same for HTTP. */
  nextWeb(): HostPort | undefined {
    return this.#pick(this.#candidates('web'))
  }

  /** Does a broker take clients there, by any of its listeners? */
  isBroker(address: HostPort): boolean {
    return this.#names.has(textOf(address))
  }

  isWebOfBroker(address: HostPort): boolean {
    return this.#webNames.has(textOf(address))
  }

  /** `run` is told each address (`host:port`, of the binary protocol) that left the cluster. Returns what ends it. */
  onGone(run: (address: string) => void): () => void {
    this.#goneListeners.add(run)
    return () => this.#goneListeners.delete(run)
  }

  close(): void {
    this.#isClosed = true
    this.#registered?.close()
    for (const cancel of this.#leaving.values()) cancel()
    this.#leaving.clear()
    this.#goneListeners.clear()
  }

  #candidates(side: 'binary' | 'web'): readonly HostPort[] {
    const fixed = side === 'binary' ? this.#fixed : this.#fixedWeb
    if (fixed.length > 0) return fixed
    const all = [...(this.#registered?.all() ?? [])]
    const staying = all.filter(broker => !broker.isDraining)
    for (const brokers of [staying, all]) {
      const addresses = brokers.flatMap(broker => broker[side] ?? [])
      if (addresses.length > 0) return addresses
    }
    return []
  }

  #pick(addresses: readonly HostPort[]): HostPort | undefined {
    if (addresses.length === 0) return undefined
    this.#turn = (this.#turn + 1) % 0x4000_0000
    return addresses[this.#turn % addresses.length]
  }

  #collect(): void {
    if (this.#isClosed) return
    const names = new Set(this.#fixed.map(textOf))
    const webNames = new Set(this.#fixedWeb.map(textOf))
    for (const broker of this.#registered?.all() ?? []) {
      for (const name of broker.binaryNames) names.add(name)
      for (const name of broker.webNames) webNames.add(name)
    }
    const before = this.#names
    this.#names = names
    this.#webNames = webNames
    for (const name of before) if (!names.has(name)) this.#onLeft(name)
    for (const name of names) this.#onBack(name)
  }

  #onLeft(name: string): void {
    if (this.#leaving.has(name)) return
    const cancel = this.#clock.after(GONE_GRACE_MS, () => {
      this.#leaving.delete(name)
      for (const run of this.#goneListeners) run(name)
    })
    this.#leaving.set(name, cancel)
  }

  #onBack(name: string): void {
    this.#leaving.get(name)?.()
    this.#leaving.delete(name)
  }
}

function fixedAddresses(
  settings: ProxySettings,
  key: 'brokerServiceURL' | 'brokerServiceURLTLS' | 'brokerWebServiceURL' | 'brokerWebServiceURLTLS',
  scheme: Scheme
): readonly HostPort[] {
  const url = settings[key].trim()
  if (url === '') return []
  const addresses = addressesOfUrl(url, scheme)
  if (addresses !== undefined) return addresses
  return refuse(`${key}=${url}: write it as ${scheme}://host:port`)
}

function refuse(line: string): never {
  const error = configErrors.create('BAD_SETTING', {})
  error.message = line
  throw error
}
