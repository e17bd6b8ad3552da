import { defineErrors } from '@strata/base'

export const bookieErrors = defineErrors({
  DIRECTORY_IN_USE: { retryable: false, summary: 'another process uses the directory' },
  DIRECTORY_UNWRITABLE: { retryable: false, summary: 'the directory cannot be written' },
  DISK_TOO_SMALL: { retryable: false, summary: 'the disk has less free space than the node needs to start' },
  JOURNAL_DAMAGED: {
    retryable: false,
    summary: 'a journal file is damaged before a position that was proven synced; nothing was changed'
  },
  ENTRY_LOG_DAMAGED: { retryable: false, summary: 'an entry log is damaged' },
  UNKNOWN_FORMAT: { retryable: false, summary: 'the file was written by a version this one cannot read' },
  WRONG_CLUSTER: { retryable: false, summary: 'the directory and the metadata store belong to different clusters' },
  WRONG_VOLUME: { retryable: false, summary: 'the directories belong to different volumes or to another node' },
  IDENTITY_CONFLICT: {
    retryable: true,
    summary: 'another process raised the incarnation of this node at the same time'
  },
  STORAGE_FAILED: { retryable: true, summary: 'the disk refused a write or a sync' }
})

/** `code` of a Node system error, for details and health. */
export function systemCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'UNKNOWN'
}
