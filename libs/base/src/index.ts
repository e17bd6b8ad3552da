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
export { appendWordCrc32c, combineCrc32c, crc32cTables } from './crc32c.ts'
export { asError, CodedError, defineErrors, reasonOf, type ErrorFamily, type ErrorSpec } from './errors.ts'
export { every, systemClock, type Clock } from './clock.ts'
export { createLogger, silentLogger, type Logger, type LogLevel } from './log.ts'
export { BytePool } from './byte-budget.ts'
export { strictExposition } from './exposition.ts'
export {
  boolean,
  configErrors,
  describeSettings,
  number,
  parseConfFile,
  parseSetting,
  resolveSettings,
  text,
  type BooleanSetting,
  type ForeignKeys,
  type NumberSetting,
  type Setting,
  type SettingSource,
  type SettingsOf,
  type SettingTable,
  type TextSetting
} from './config.ts'
