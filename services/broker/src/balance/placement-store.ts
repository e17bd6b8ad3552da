import {
  bookieRackKey,
  BOOKIE_RACKS_PREFIX,
  decodeBookieRack,
  encodeBookieRack,
  type BookieRack
} from '@strata/ledger-client'
import { transactUntilAnswered, type MetadataRecord, type MetadataStore } from '@strata/metadata'
import { scanAll } from '../namespace/rows.ts'
import {
  balanceKeys,
  decodeDomain,
  decodeIsolation,
  decodeQuota,
  encodeDomain,
  encodeIsolation,
  encodeQuota,
  lastSegment,
  type IsolationData
} from './rows.ts'
import type { ResourceQuota } from './quotas.ts'

/** What operators say about places, as the admin API reads and writes it: straight from the store. */
export class PlacementStore {
  readonly #store: MetadataStore

  constructor(store: MetadataStore) {
    this.#store = store
  }

  isolationPolicies(cluster: string): Promise<Map<string, IsolationData>> {
    return this.#all(balanceKeys.isolationOf(cluster), decodeIsolation)
  }

  async setIsolationPolicy(cluster: string, name: string, data: IsolationData): Promise<void> {
    await this.#put(balanceKeys.isolationPolicy(cluster, name), encodeIsolation(data))
  }

  async removeIsolationPolicy(cluster: string, name: string): Promise<void> {
    await this.#remove(balanceKeys.isolationPolicy(cluster, name))
  }

  /** Broker ids by domain. */
  domains(cluster: string): Promise<Map<string, readonly string[]>> {
    return this.#all(balanceKeys.domainsOf(cluster), decodeDomain)
  }

  async setDomain(cluster: string, name: string, brokers: readonly string[]): Promise<void> {
    await this.#put(balanceKeys.domain(cluster, name), encodeDomain(brokers))
  }

  async removeDomain(cluster: string, name: string): Promise<void> {
    await this.#remove(balanceKeys.domain(cluster, name))
  }

  /** By bookie. */
  racks(): Promise<Map<string, BookieRack>> {
    return this.#all(BOOKIE_RACKS_PREFIX, ({ value }) => decodeBookieRack(value))
  }

  async setRack(bookie: string, rack: BookieRack): Promise<void> {
    await this.#put(bookieRackKey(bookie), encodeBookieRack(rack))
  }

  async removeRack(bookie: string): Promise<void> {
    await this.#remove(bookieRackKey(bookie))
  }

  /** For bundles that have none of their own; undefined: nobody set it. */
  usualQuota(): Promise<ResourceQuota | undefined> {
    return this.#quotaAt(balanceKeys.usualQuota)
  }

  async setUsualQuota(quota: ResourceQuota): Promise<void> {
    await this.#put(balanceKeys.usualQuota, encodeQuota(quota))
  }

  async removeUsualQuota(): Promise<void> {
    await this.#remove(balanceKeys.usualQuota)
  }

  /** Of a bundle, `tenant/namespace/range`, by itself. */
  quotaOf(bundle: string): Promise<ResourceQuota | undefined> {
    return this.#quotaAt(balanceKeys.quota(bundle))
  }

  async setQuota(bundle: string, quota: ResourceQuota): Promise<void> {
    await this.#put(balanceKeys.quota(bundle), encodeQuota(quota))
  }

  async removeQuota(bundle: string): Promise<void> {
    await this.#remove(balanceKeys.quota(bundle))
  }

  /** Of all bundles of a namespace, also of those that it was divided into before. */
  async removeQuotasOf(namespace: string): Promise<void> {
    for await (const { key } of scanAll(this.#store, balanceKeys.quotasOf(namespace), { keysOnly: true })) {
      await this.#remove(key)
    }
  }

  async #quotaAt(key: string): Promise<ResourceQuota | undefined> {
    const record = await this.#store.get(key)
    return record === undefined ? undefined : decodeQuota(record)
  }

  async #all<Row>(prefix: string, decode: (record: MetadataRecord) => Row): Promise<Map<string, Row>> {
    const rows = new Map<string, Row>()
    for await (const record of scanAll(this.#store, prefix)) rows.set(lastSegment(record.key) ?? '', decode(record))
    return rows
  }

  async #put(key: string, value: Uint8Array): Promise<void> {
    await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'put', key, value }] })
  }

  async #remove(key: string): Promise<void> {
    await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'delete', key }] })
  }
}
