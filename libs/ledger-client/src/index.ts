export type * from './contract.ts'
export { LedgerError } from './errors.ts'
export { createLedgerClient, type LedgerClientOptions } from './ledger-client.ts'
export {
  decodeDeletion,
  LEDGER_DELETIONS_PREFIX,
  ledgerDeletionKey,
  ledgerIdOfKey,
  type LedgerDeletion
} from './ledger-records.ts'
