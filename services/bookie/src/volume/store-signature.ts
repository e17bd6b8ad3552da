import type { BookieId } from '@strata/base'
import { encodeSegment, STORE_HOLD_KEY, type MetadataStore } from '@strata/metadata'
import { CLUSTER_ID_KEY, clusterIdOf } from './cluster-id.ts'

/** Whether what the metadata store says may be acted on. */
export type StoreStanding =
  | { readonly kind: 'trusted' }
  /** It names another cluster, or none. */
  | { readonly kind: 'foreign' }
  /** It lacks what the node wrote there: an older copy, or emptied. `signedCount`: how often the node had signed it. */
  | { readonly kind: 'set back'; readonly signedCount: number }
  /** It changed just now: to be asked again. */
  | { readonly kind: 'unclear' }

export const TRUSTED: StoreStanding = { kind: 'trusted' }

/** What a node knows of the store, on its own disk. */
export interface Signer {
  readonly bookieId: BookieId
  readonly clusterId: string
  readonly volumeId: string
  readonly signedCount: number
  /** The highest that it ever saw. */
  readonly revision: number
}

/** `revision` and `signedCount` are to be kept on disk. */
export interface Signed {
  readonly standing: StoreStanding
  readonly revision: number
  readonly signedCount: number
}

const keyOf = (id: BookieId, name: string): string => `bookies/${encodeSegment(id)}/${name}`

/**
 * Only the node writes its signature, and counts upward, first in the store and then on its disk: a store with a lower count
 * than the disk's is not the one that was signed last, whatever its revision. A revision below one that was seen says the same.
 *
 * A crash between the two leaves the store ahead, which is no harm. An acceptance names the count that it is for, so that it
 * is good once, and not again for a store that is set back later.
 * @throws MetadataError
 */
export async function signStore(metadata: MetadataStore, signer: Signer): Promise<Signed> {
  const { bookieId, clusterId, volumeId, signedCount, revision } = signer
  const unsigned = (standing: StoreStanding): Signed => ({ standing, revision, signedCount })
  const cluster = await metadata.get(CLUSTER_ID_KEY)
  if (cluster === undefined || clusterIdOf(cluster) !== clusterId) return unsigned({ kind: 'foreign' })
  const key = keyOf(bookieId, 'revision')
  const record = await metadata.get(key)
  const count = countOf(record?.value)
  const isAccepted = (await acceptedCount(metadata, bookieId)) === signedCount
  // what was restored may be older although the node had signed nothing since
  const isHeld = (await metadata.get(STORE_HOLD_KEY)) !== undefined
  if ((count < signedCount || isHeld) && !isAccepted) return unsigned({ kind: 'set back', signedCount })
  const next = Math.max(count, signedCount) + 1
  const result = await metadata.transact({
    compares: [
      { key: CLUSTER_ID_KEY, version: cluster.version },
      { key, version: record?.version ?? 0 }
    ],
    changes: [{ kind: 'put', key, value: Buffer.from(`${volumeId} ${next}`) }]
  })
  if (!result.committed) return unsigned({ kind: 'unclear' })
  if (result.revision < revision && !isAccepted) {
    // revisions grow: from now on the count says it
    const later = next + 1
    return { standing: { kind: 'set back', signedCount: later }, revision, signedCount: later }
  }
  return { standing: TRUSTED, revision: result.revision, signedCount: next }
}

/** A row of the first version names the volume alone. */
function countOf(value: Uint8Array | undefined): number {
  const [, count = '0'] = Buffer.from(value ?? [])
    .toString()
    .split(' ')
  return /^\d{1,16}$/.test(count) ? Number(count) : 0
}

async function acceptedCount(metadata: MetadataStore, id: BookieId): Promise<number | undefined> {
  const record = await metadata.get(keyOf(id, 'accepted'))
  return record === undefined ? undefined : Number(Buffer.from(record.value).toString())
}

/** An operator's word that a node is to take the store as it is. @throws MetadataError */
export async function acceptStore(
  metadata: MetadataStore,
  { bookieId, signedCount }: { bookieId: BookieId; signedCount: number }
): Promise<void> {
  const change = { kind: 'put', key: keyOf(bookieId, 'accepted'), value: Buffer.from(String(signedCount)) } as const
  await metadata.transact({ compares: [], changes: [change] })
}
