export { entryDigest, entryDigestOf, hasValidDigest, type DigestFields } from './entry-digest.ts'
export {
  LedgerWriter,
  WRITER_TIMES,
  type EnsembleChange,
  type LedgerWriterOptions,
  type Replacement,
  type WriterFailure,
  type WriterSink,
  type WriterTimes
} from './ledger-writer.ts'
export { chooseReplacements, type ReplacementRequest } from './replacements.ts'
export { WriterMember, type MemberFailure } from './writer-member.ts'
export { SlowBudget } from './slow-members.ts'
export { LedgerRecovery, type Blocker, type RecoveryRead, type RecoverySink } from './ledger-recovery.ts'
export { nodesWithin, type NodeGroups } from './node-groups.ts'
export { choosePlacement, fillPlaces, readOrder, type PlacementNode, type PlacementRequest } from './placement.ts'
export {
  blockingQuorum,
  checkQuorum,
  ensembleOf,
  everyWriteSetHas,
  membersOf,
  withEnsemble,
  writeSet,
  type AddFailure,
  type Ensemble,
  type EntryAdd,
  type LedgerEnd,
  type QuorumConfig,
  type StoredEntry
} from './quorum.ts'
export { ReadPlan, type ReadMiss, type ReadVerdict } from './read-plan.ts'
export { CopyCursor, type CopyLimits, type CopyStretch } from './copy-cursor.ts'
export {
  planRepair,
  withRepair,
  type EntryRange,
  type LostStripe,
  type EntryStripe,
  type NodeStanding,
  type RepairPlan,
  type RepairTask,
  type RepairView
} from './repair-plan.ts'
export {
  collectDecision,
  dependenceOn,
  orphanDecision,
  repairStance,
  type CollectDecision,
  type Dependence,
  type HeldLedgerFacts,
  type LedgerFacts,
  type NodeAbsence,
  type OwnershipFacts,
  type RepairStance,
  type StoreFacts
} from './care.ts'
