import { number, text, type SettingsOf } from '@strata/base'
import { brokerSettings } from '@strata/broker'

/** Settings of the storage node inside a standalone. */
const storageSettings = {
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
  }),
  strataDiskReserveMB: number({
    default: 512,
    min: 16,
    max: 1_048_576,
    unit: 'MB',
    doc: 'Free disk space below which publishing is refused until there is more; reads and deletes go on.'
  }),
  strataLogLevel: text({
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'What is written to standard error.'
  })
} as const

/** Everything a standalone can be told; the documentation is made from it. */
export const standaloneSettings = { ...brokerSettings, ...storageSettings }

export type StandaloneSettings = SettingsOf<typeof standaloneSettings>
