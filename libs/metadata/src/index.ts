export type * from './metadata-store.ts'
export { isArchivable, type ArchivableStore, type ArchivedRecord, type StoreSnapshot } from './archivable-store.ts'
export { BatchingMetadataStore } from './batching-metadata-store.ts'
export { campaign, type Candidacy, type Leadership } from './election.ts'
export { MetadataError } from './errors.ts'
export { decodeSegment, encodeSegment } from './keys.ts'
export { LevelMetadataStore, type LevelMetadataOptions } from './level-metadata-store.ts'
export {
  featureLevels,
  FeatureGate,
  finalizeLevel,
  levelCapability,
  levelsOf,
  readFeatureLevel,
  type FeatureLevels
} from './feature-level.ts'
export { MemoryMetadataStore } from './memory-metadata-store.ts'
export { readMany } from './read-many.ts'
export { rowCodec, type RowCodec, type RowProblem } from './row-codec.ts'
export { transactUntilAnswered, updateRecord, type AnswerOptions, type Update } from './update-record.ts'
export {
  decodeStoreHold,
  holdStore,
  liftStoreHold,
  readStoreHold,
  revisionPast,
  STORE_HOLD_KEY,
  type StoreHold
} from './store-hold.ts'
