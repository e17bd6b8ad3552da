import { strict as assert } from 'node:assert'
import type { Compare } from '@strata/metadata'
import type { BrokerAddress } from './contract.ts'
import type { Source } from './events.ts'
import { ownershipKeys } from './rows.ts'

/** The brokers that are registered, as far as it is known here, and which of them is this one. */
export class Registry {
  readonly #brokers = new Map<string, { readonly address: BrokerAddress; readonly version: number }>()
  #watchedVersion = 0
  #self: BrokerAddress | undefined
  #sorted: readonly BrokerAddress[] | undefined

  /** Empty before the first registration. */
  get instance(): string {
    return this.#self?.instance ?? ''
  }

  get self(): BrokerAddress {
    assert(this.#self !== undefined, 'it is registered')
    return this.#self
  }

  /** Names this broker's present registration; every move compares it. */
  get ownCompare(): Compare {
    const version = this.#brokers.get(this.instance)?.version
    return { key: ownershipKeys.broker(this.instance), version: version ?? -1 }
  }

  isAlive(instance: string): boolean {
    return this.#brokers.has(instance)
  }

  get(instance: string): BrokerAddress | undefined {
    return this.#brokers.get(instance)?.address
  }

  versionOf(instance: string): number {
    return this.#brokers.get(instance)?.version ?? 0
  }

  /** Sorted by id, then by instance. */
  all(): readonly BrokerAddress[] {
    this.#sorted ??= [...this.#brokers.values()]
      .map(({ address }) => address)
      .sort((a, b) => compare(a.id, b.id) || compare(a.instance, b.instance))
    return this.#sorted
  }

  /** Without this one. */
  peers(): readonly BrokerAddress[] {
    return this.all().filter(({ instance }) => instance !== this.instance)
  }

  byId(id: string): BrokerAddress | undefined {
    return this.all().find(broker => broker.id === id)
  }

  /** False: it is no news. */
  apply(change: { instance: string; broker: BrokerAddress | undefined; version: number; source: Source }): boolean {
    const { instance, broker, version, source } = change
    const known = this.#brokers.get(instance)
    if (source === 'answer' && version <= this.#watchedVersion) return false
    if (source === 'watch') this.#watchedVersion = Math.max(this.#watchedVersion, version)
    if (known !== undefined && known.version >= version) return false
    if (broker === undefined) {
      if (known === undefined) return false
      this.#brokers.delete(instance)
    } else this.#brokers.set(instance, { address: broker, version })
    this.#sorted = undefined
    if (instance === this.instance && broker !== undefined) this.#self = broker
    return true
  }

  /** False: that registration is over already. What was registered before is forgotten. */
  register(self: BrokerAddress, version: number): boolean {
    const isKnown = this.#brokers.has(self.instance)
    if (this.#self !== undefined && this.#self.instance !== self.instance) this.#brokers.delete(this.#self.instance)
    this.#self = self
    this.#sorted = undefined
    return isKnown || this.apply({ instance: self.instance, broker: self, version, source: 'answer' })
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
