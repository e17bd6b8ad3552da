export type {
  AppendListener,
  Cursor,
  Entry,
  LedgerStats,
  LogGuards,
  CacheCounts,
  ManagedLedger,
  ManagedLedgerFactory,
  ManagedLedgerOptions,
  ManagedLedgerStats,
  ReadLimits,
  RetentionPolicy,
  RolloverPolicy,
  SeenLog,
  SweptLog
} from './contract.ts'
export { ManagedLedgerError } from './errors.ts'
export { createManagedLedgerFactory, type ManagedLedgerFactoryOptions } from './factory.ts'
export { listingOf, type Listing } from './listing.ts'
export { type LogPersistence } from './persistence.ts'
export { logBirth } from './records.ts'
export { parseOwner, whyKept, type LedgerReasons } from './why-kept.ts'
