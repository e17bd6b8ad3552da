import { defineErrors } from '@strata/base'

export const MetadataError = defineErrors({
  UNAVAILABLE: {
    retryable: true,
    summary: 'the metadata store gave no definite answer; a change may or may not have been made'
  },
  NO_SPACE: {
    retryable: true,
    summary: 'the metadata store is full; a change may or may not have been made'
  },
  DENIED: { retryable: false, summary: 'the metadata store refuses the name, the password or the certificate' },
  STORE_REPLACED: {
    retryable: false,
    summary: 'the metadata store was set back to an earlier state, or is another one, since this process began'
  },
  STORE_LOCKED: { retryable: false, summary: 'another process has the metadata directory open' },
  STORE_CORRUPT: { retryable: false, summary: 'the metadata store holds what no version of it wrote' },
  STORE_SEALED: { retryable: false, summary: 'the content of the metadata directory was moved to another store' },
  STORE_NOT_EMPTY: { retryable: false, summary: 'a metadata store that is to be filled is not empty' },
  BACKUP_UNREADABLE: { retryable: false, summary: 'a file is no whole backup of metadata' },
  LEVEL_UNKNOWN: {
    retryable: false,
    summary: 'the cluster writes formats that this release does not know, or no longer knows'
  },
  TOO_LARGE: { retryable: false, summary: 'a key, a value or a transaction is over its limit' },
  BAD_KEY: { retryable: false, summary: 'a key is empty or not well-formed text' },
  LEASE_LOST: { retryable: false, summary: 'the lease that a record was to live under is gone' },
  CLOSED: { retryable: false, summary: 'the metadata store is closed' }
})
