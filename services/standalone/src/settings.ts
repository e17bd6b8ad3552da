import { journalSettings } from '@strata/bookie'
import { number, text, type SettingsOf } from '@strata/base'
import { brokerSettings } from '@strata/broker'

/** Settings of the storage node inside a standalone. */
const storageSettings = {
  ...journalSettings,
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
