export type * from './contract.ts'
export { LedgerError } from './errors.ts'
export { LAC_WAIT_MS_MAX, LacWaiters } from './lac-waiters.ts'
export { createLedgerClient, type LedgerClientOptions } from './ledger-client.ts'
export {
  decodeDeletion,
  LEDGER_DELETIONS_PREFIX,
  ledgerDeletionKey,
  ledgerIdOfKey,
  type LedgerDeletion
} from './ledger-records.ts'
