import { number } from '@strata/base'

/** What policies may ask of storage, and how often acknowledgements are written. */
export const persistenceSettings = {
  managedLedgerMaxEnsembleSize: number({
    default: 5,
    min: 1,
    max: 64,
    doc: 'Most storage nodes that a policy may spread the entries of a ledger over.'
  }),
  managedLedgerMaxWriteQuorum: number({
    default: 5,
    min: 1,
    max: 64,
    doc: 'Most storage nodes that a policy may want each entry on.'
  }),
  managedLedgerMaxAckQuorum: number({
    default: 5,
    min: 1,
    max: 64,
    doc: 'Most storage nodes that a policy may want to have an entry before it is acknowledged.'
  }),
  managedLedgerDefaultMarkDeleteRateLimit: number({
    default: 2,
    dynamic: true,
    doc: 'How often in a second acknowledgements of a topic that nobody waits for are written; 0: as with 2, which makes them durable within a second.'
  })
} as const
