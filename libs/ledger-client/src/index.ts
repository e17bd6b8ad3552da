export { AddStretch, ENTRY_ALIGNMENT, ENTRY_GAP_BYTES, STRETCH_STRIDE } from './add-stretch.ts'
export type * from './contract.ts'
export { addRunTo, goodPartOf, readRunOf } from './entry-run.ts'
export { LedgerError } from './errors.ts'
export { LAC_WAIT_MS_MAX, LacWaiters } from './lac-waiters.ts'
export { createLedgerClient, type LedgerClientOptions } from './ledger-client.ts'
export { passOverLedgerIds, raiseLedgerIds, retireLedgerIds } from './ledger-ids.ts'
export { LedgerMetadata, type VersionedLedger } from './ledger-metadata.ts'
export {
  CLUSTER_ID_KEY,
  decodeDeletion,
  decodeLedger,
  encodeLedger,
  LEDGER_DELETIONS_PREFIX,
  ledgerDeletionKey,
  ledgerIdOfKey,
  ledgerKey,
  LEDGERS_PREFIX,
  type LedgerDeletion,
  type LedgerRecord
} from './ledger-records.ts'
export {
  AVAILABLE_BOOKIES_PREFIX,
  availableBookieKey,
  bookieIdOfKey,
  decodeAvailableBookie,
  encodeAvailableBookie,
  type AvailableBookie
} from './registry/bookie-records.ts'
export {
  bookieRackKey,
  BookieRacks,
  BOOKIE_RACKS_PREFIX,
  decodeBookieRack,
  encodeBookieRack,
  placedAs,
  type BookieRack
} from './registry/bookie-racks.ts'
export type { NodeConnection } from './registry/registered-node.ts'
export { RegistryBookieDirectory, type RegistryOptions } from './registry/registry-bookie-directory.ts'
export { WatchedRows } from './registry/watched-rows.ts'
