import { defineErrors } from '@strata/base'

export const ManagedLedgerError = defineErrors({
  LOG_NOT_FOUND: { retryable: false, summary: 'there is no such log' },
  LOG_NOT_YOURS: { retryable: false, summary: 'what gives this process the right to the log does not hold any more' },
  LOG_FENCED: { retryable: false, summary: 'another owner has taken the log over' },
  LOG_TERMINATED: { retryable: false, summary: 'the log is terminated and takes no more entries' },
  LOG_CLOSED: { retryable: false, summary: 'the log is closed here' },
  STORAGE_FAILED: { retryable: true, summary: 'the storage nodes could not do this now' },
  METADATA_UNAVAILABLE: { retryable: true, summary: 'the metadata store gave no definite answer' },
  LOG_CORRUPT: { retryable: false, summary: 'what is stored of the log is not what any version of it wrote' },
  CURSOR_EXISTS: { retryable: false, summary: 'a cursor of this name and of the other durability exists' },
  CURSOR_NOT_FOUND: { retryable: false, summary: 'there is no such cursor' }
})
