import type { LedgerClient, LedgerDescription } from '@strata/ledger-client'

/** How a log is kept. Read at each use: whoever gave the object may change what it says. */
export interface LogPersistence {
  /** Of ledgers made from now on, of entries and of cursors; undefined: as everywhere. */
  readonly quorum: LedgerDescription['quorum'] | undefined
  /** How long an acknowledgement that nobody waits for may wait for others before it is written; undefined: as everywhere. */
  readonly cursorFlushMs: number | undefined
}

/** The client, but for how many nodes hold a new ledger. */
export function keptAs(client: LedgerClient, persistence: LogPersistence | undefined): LedgerClient {
  if (persistence === undefined) return client
  return {
    create: request => {
      const { quorum } = persistence
      return client.create(quorum === undefined ? request : { quorum, ...request })
    },
    open: ledgerId => client.open(ledgerId),
    recover: ledgerId => client.recover(ledgerId),
    delete: ledgerId => client.delete(ledgerId),
    describe: ledgerId => client.describe(ledgerId),
    among: choice => keptAs(client.among(choice), persistence)
  }
}
