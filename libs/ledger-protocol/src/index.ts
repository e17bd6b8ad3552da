export { entryDigest, entryDigestOf, hasValidDigest, type DigestFields } from './entry-digest.ts'
export {
  LedgerWriter,
  WriterMember,
  type EnsembleChange,
  type WriterFailure,
  type WriterSink
} from './ledger-writer.ts'
export { LedgerRecovery, type Blocker, type RecoveryRead, type RecoverySink } from './ledger-recovery.ts'
export { choosePlacement, readOrder } from './placement.ts'
export {
  blockingQuorum,
  checkQuorum,
  ensembleOf,
  membersOf,
  writeSet,
  type AddFailure,
  type Ensemble,
  type EntryAdd,
  type LedgerEnd,
  type QuorumConfig,
  type StoredEntry
} from './quorum.ts'
