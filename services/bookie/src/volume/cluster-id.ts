import type { MetadataRecord, MetadataStore } from '@strata/metadata'

/** Names the cluster that a metadata store belongs to (UTF-8). The first node of a new cluster writes it. */
export const CLUSTER_ID_KEY = 'cluster-id'

export function clusterIdOf({ value }: MetadataRecord): string {
  return Buffer.from(value).toString()
}

/** undefined: the store names none. @throws MetadataError */
export async function readClusterId(metadata: MetadataStore): Promise<string | undefined> {
  const record = await metadata.get(CLUSTER_ID_KEY)
  return record === undefined ? undefined : clusterIdOf(record)
}
