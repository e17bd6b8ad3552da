import { CLUSTER_ID_KEY } from '@strata/ledger-client'
import type { MetadataRecord, MetadataStore } from '@strata/metadata'

export { CLUSTER_ID_KEY }

export function clusterIdOf({ value }: MetadataRecord): string {
  return Buffer.from(value).toString()
}

/** undefined: the store names none. @throws MetadataError */
export async function readClusterId(metadata: MetadataStore): Promise<string | undefined> {
  const record = await metadata.get(CLUSTER_ID_KEY)
  return record === undefined ? undefined : clusterIdOf(record)
}
