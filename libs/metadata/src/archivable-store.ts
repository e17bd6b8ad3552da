import type { MetadataRecord, MetadataStore } from './metadata-store.ts'

/** What a whole store is copied with: backups, restoring, and moving from one driver to another. */
export interface ArchivableStore extends MetadataStore {
  /** Everything as of one revision, while others go on changing the store. @throws MetadataError */
  snapshot(): Promise<StoreSnapshot>
  /**
   * Every revision from now on is above `floor`. For a store that stands in for another one, whose revisions were higher.
   * No version that was read before may be compared afterwards, and (etcd) other processes find that the store was replaced.
   * @throws MetadataError
   */
  raiseRevision(floor: number): Promise<void>
}

export interface StoreSnapshot {
  readonly revision: number
  /** Once. In the order of keys. @throws MetadataError, also UNAVAILABLE where the store has thrown the revision away meanwhile */
  records(): AsyncIterable<ArchivedRecord>
}

export interface ArchivedRecord extends MetadataRecord {
  /** It goes with a process. */
  readonly isLeased: boolean
}

export function isArchivable(store: MetadataStore): store is ArchivableStore {
  return 'snapshot' in store && 'raiseRevision' in store
}
