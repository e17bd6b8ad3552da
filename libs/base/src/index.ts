export {
  assertNever,
  bookieId,
  entryId,
  ledgerId,
  NO_ENTRY,
  type BookieId,
  type EntryId,
  type LedgerId
} from './ids.ts'
export { CodedError, defineErrors, type ErrorFamily, type ErrorSpec } from './errors.ts'
export { every, systemClock, type Clock } from './clock.ts'
export { createLogger, silentLogger, type Logger, type LogLevel } from './log.ts'
export { BytePool } from './byte-budget.ts'
export {
  boolean,
  configErrors,
  describeSettings,
  number,
  parseConfFile,
  parseSetting,
  resolveSettings,
  text,
  type ForeignKeys,
  type Setting,
  type SettingSource,
  type SettingsOf,
  type SettingTable
} from './config.ts'
