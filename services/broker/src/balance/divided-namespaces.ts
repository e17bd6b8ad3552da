import type { MetadataStore } from '@strata/metadata'
import { keys, scanAll } from '../namespace/rows.ts'
import { BUNDLES_DEFAULT } from '../ownership/bundles.ts'
import { decodeBundleCount, ownershipKeys } from '../ownership/rows.ts'

interface Known {
  readonly version: number
  readonly count: number
}

/** Namespaces asked for at one time. */
const READS_AT_ONCE = 32

/** Namespaces that were split or merged, with the number of bundles that they began with: what merging goes by. */
export class DividedNamespaces {
  readonly #store: MetadataStore
  /** By namespace, as of a version of the row that divides it. */
  #known = new Map<string, Known>()

  constructor(store: MetadataStore) {
    this.#store = store
  }

  /** Of those among the given. A namespace is read once for each of its divisions. @throws MetadataError */
  async initialCounts(among: ReadonlySet<string>): Promise<Map<string, number>> {
    const known = new Map<string, Known>()
    const unknown: { namespace: string; version: number }[] = []
    for await (const { key, version } of scanAll(this.#store, ownershipKeys.bundles, { keysOnly: true })) {
      const namespace = key.slice(ownershipKeys.bundles.length)
      if (!among.has(namespace)) continue
      const before = this.#known.get(namespace)
      if (before?.version === version) known.set(namespace, before)
      else unknown.push({ namespace, version })
    }
    const read = async (): Promise<void> => {
      for (let next = unknown.pop(); next !== undefined; next = unknown.pop()) {
        const row = await this.#store.get(keys.namespace(next.namespace))
        if (row === undefined) continue // it has just gone
        known.set(next.namespace, { version: next.version, count: decodeBundleCount(row) ?? BUNDLES_DEFAULT })
      }
    }
    await Promise.all(Array.from({ length: READS_AT_ONCE }, read))
    this.#known = known
    return new Map([...known].map(([namespace, { count }]) => [namespace, count]))
  }
}
