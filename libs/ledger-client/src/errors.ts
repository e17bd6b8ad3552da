import { defineErrors } from '@strata/base'

export const LedgerError = defineErrors({
  WRITER_CLOSED: { retryable: false, summary: 'the ledger was closed by its writer' },
  WRITER_FAILED: { retryable: false, summary: 'the writer of the ledger ended; the ledger must be recovered' },
  NO_SUCH_LEDGER: { retryable: false, summary: 'there is no ledger with this id' },
  NO_SUCH_ENTRY: {
    retryable: false,
    summary: 'every node of its write set says with authority that it never had the entry'
  },
  UNAVAILABLE: { retryable: true, summary: 'too few nodes answered to know; this is not absence' },
  CORRUPT: { retryable: false, summary: 'no copy of the entry carries the digest of what it holds' },
  NOT_ENOUGH_BOOKIES: { retryable: true, summary: 'fewer nodes take new ledgers than an ensemble needs' },
  RECOVERY_BLOCKED: { retryable: true, summary: 'the ledger cannot be closed before the named nodes answer' },
  METADATA_CORRUPT: { retryable: false, summary: 'the metadata of a ledger is not what any version wrote' },
  FOREIGN_STORE: { retryable: true, summary: 'the metadata store does not say that it is of this cluster' },
  NOT_LEADER: { retryable: false, summary: 'another process was elected to make the change' },
  WRONG_NODE: { retryable: false, summary: 'the address belongs to another node or cluster' },
  MALFORMED_MESSAGE: { retryable: false, summary: 'a peer sent bytes that are no message of the ledger protocol' }
})
