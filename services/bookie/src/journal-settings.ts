import { number } from '@strata/base'

/** Of a storage node's journal, whatever process it is in. */
export const journalSettings = {
  journalMaxSizeMB: number({
    default: 128,
    min: 8,
    max: 2048,
    unit: 'MB',
    doc: 'A journal file is closed at about this size.'
  }),
  journalMaxGroupWaitMSec: number({
    default: 2,
    min: 0,
    max: 100,
    unit: 'ms',
    doc: 'How long a lone entry of 8 KB or more, so a batch, waits for another to be synced with, where others follow so soon; smaller ones never wait. 0: no entry does.'
  }),
  strataJournalTotalMB: number({
    default: 4096,
    min: 64,
    max: 1_048_576,
    unit: 'MB',
    doc: 'When all journal files together are larger, what is still live in the oldest is moved into entry logs.'
  })
} as const
