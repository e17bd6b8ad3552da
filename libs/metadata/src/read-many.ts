import type { MetadataRecord, MetadataStore } from './metadata-store.ts'
import { isManyReader, KEYS_AT_ONCE_MAX } from './shared-reads.ts'

/**
 * Many keys in as few round trips as the store can, one after the other; each as of some time after the call, not all as of
 * one revision. Returns them in the order of the keys. @throws MetadataError as `get` does
 */
export async function readMany(store: MetadataStore, keys: readonly string[]): Promise<(MetadataRecord | undefined)[]> {
  if (!isManyReader(store)) return Promise.all(keys.map(key => store.get(key)))
  const records: (MetadataRecord | undefined)[] = []
  for (let from = 0; from < keys.length; from += KEYS_AT_ONCE_MAX) {
    records.push(...(await store.getMany(keys.slice(from, from + KEYS_AT_ONCE_MAX))))
  }
  return records
}
