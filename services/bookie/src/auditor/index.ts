export { acceptForAll, reconcileLedgers, type Reconciled } from './accept-store.ts'
export type { AuditStatus, PassProgress } from './audit-status.ts'
export {
  AUDITOR_LEADER_KEY,
  bookieOfDeclaration,
  DECLARATIONS_PREFIX,
  declarationKey,
  decodeDeclaration,
  encodeDeclaration,
  type Declaration,
  type LostEntries
} from './care-records.ts'
export { auditorErrors } from './errors.ts'
export { closeWithLoss, type ClosedLedger } from './close-with-loss.ts'
export { checkCluster, isHarmless, type Difference } from './fsck.ts'
export { rebuildLedger } from './rebuild.ts'
