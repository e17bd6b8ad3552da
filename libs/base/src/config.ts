import { defineErrors } from './errors.ts'

export const configErrors = defineErrors({
  BAD_SETTING: { retryable: false, summary: 'a setting is unknown, malformed or out of bounds' },
  BAD_CONFIG_FILE: { retryable: false, summary: 'the configuration file cannot be read' }
})

interface SettingBase<T> {
  /** One sentence. */
  readonly doc: string
  readonly default: T
  /** May it change while the process runs? */
  readonly dynamic: boolean
  readonly unit?: string
}

export interface NumberSetting extends SettingBase<number> {
  readonly kind: 'number'
  readonly min: number
  readonly max: number
}

export interface BooleanSetting extends SettingBase<boolean> {
  readonly kind: 'boolean'
}

export interface TextSetting extends SettingBase<string> {
  readonly kind: 'text'
  /** The only values allowed, where there is such a list. */
  readonly oneOf?: readonly string[]
}

export type Setting = NumberSetting | BooleanSetting | TextSetting
export type SettingTable = Readonly<Record<string, Setting>>

type Widen<T> = T extends number ? number : T extends boolean ? boolean : string
export type SettingsOf<Table extends SettingTable> = { -readonly [K in keyof Table]: Widen<Table[K]['default']> }

const INT_MAX = 2_147_483_647

export function number(
  spec: Omit<NumberSetting, 'kind' | 'min' | 'max' | 'dynamic'> & { min?: number; max?: number; dynamic?: boolean }
): NumberSetting {
  return { min: 0, max: INT_MAX, dynamic: false, ...spec, kind: 'number' }
}

export function boolean(spec: Omit<BooleanSetting, 'kind' | 'dynamic'> & { dynamic?: boolean }): BooleanSetting {
  return { dynamic: false, ...spec, kind: 'boolean' }
}

export function text(spec: Omit<TextSetting, 'kind' | 'dynamic'> & { dynamic?: boolean }): TextSetting {
  return { dynamic: false, ...spec, kind: 'text' }
}

/** One place where values come from, weakest first: file, environment, flags. */
export interface SettingSource {
  /** Named in messages: `conf/standalone.conf line 12`, `environment`, `--set`. */
  readonly origin: string
  readonly key: string
  readonly value: string
}

export interface ForeignKeys {
  /** What to say of a key that Apache Pulsar has and this table has not; undefined: nobody knows the key. */
  explain(key: string): string | undefined
}

/**
 * Later sources win. Bad values always stop; unknown keys stop unless `lenient`, which turns them into `warnings`.
 * @throws CodedError BAD_SETTING naming every problem, one a line.
 */
export function resolveSettings<Table extends SettingTable>(
  table: Table,
  sources: readonly SettingSource[],
  options: { lenient: boolean; foreign: ForeignKeys }
): { settings: SettingsOf<Table>; explicit: ReadonlySet<string>; warnings: readonly string[] } {
  const settings: Record<string, unknown> = {}
  for (const [key, setting] of Object.entries(table)) settings[key] = setting.default
  const problems: string[] = []
  const warnings: string[] = []
  const explicit = new Set<string>()
  for (const { origin, key, value } of sources) {
    const setting = Object.hasOwn(table, key) ? table[key] : undefined
    if (setting === undefined) {
      const known = options.foreign.explain(key)
      const sentence = `${key} (${origin}): ${known ?? 'there is no such setting; see strata config describe'}`
      if (options.lenient) warnings.push(sentence)
      else problems.push(sentence)
      continue
    }
    const parsed = parseSetting(setting, value)
    if ('problem' in parsed) problems.push(`${key}=${value} (${origin}): ${parsed.problem}`)
    else settings[key] = parsed.value
    explicit.add(key)
  }
  if (problems.length > 0) {
    const error = configErrors.create('BAD_SETTING', { problems })
    error.message = problems.join('\n')
    throw error
  }
  return { settings: settings as SettingsOf<Table>, explicit, warnings }
}

/** Parses one value as its setting demands; an empty value means the default. */
export function parseSetting(setting: Setting, raw: string): { value: unknown } | { problem: string } {
  const value = raw.trim()
  if (value === '') return { value: setting.default }
  switch (setting.kind) {
    case 'boolean':
      if (value === 'true') return { value: true }
      if (value === 'false') return { value: false }
      return { problem: 'must be true or false' }
    case 'number': {
      const parsed = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : NaN
      if (Number.isNaN(parsed)) return { problem: 'must be a number' }
      if (parsed < setting.min) return { problem: `must be at least ${setting.min}` }
      if (parsed > setting.max) return { problem: `must be at most ${setting.max}` }
      return { value: parsed }
    }
    case 'text':
      if (setting.oneOf !== undefined && !setting.oneOf.includes(value)) {
        return { problem: `must be one of ${setting.oneOf.join(', ')}` }
      }
      return { value }
  }
}

/** Reads Pulsar's `.conf` format: `key=value` lines, `#` comments; spaces around both are dropped, the last of a key wins. */
export function parseConfFile(content: string, path: string): SettingSource[] {
  const sources: SettingSource[] = []
  content.split(/\r?\n/).forEach((line, index) => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return
    const at = trimmed.indexOf('=')
    const origin = `${path} line ${index + 1}`
    if (at <= 0) {
      throw configErrors.create('BAD_CONFIG_FILE', { path, line: index + 1, reason: 'not key=value' })
    }
    sources.push({ origin, key: trimmed.slice(0, at).trim(), value: trimmed.slice(at + 1).trim() })
  })
  return sources
}

/** The table as Markdown, for `docs` and `strata config describe`. */
export function describeSettings(table: SettingTable): string {
  const rows = Object.entries(table).map(([key, setting]) => {
    const unit = setting.unit ?? ''
    const shown = setting.default === '' ? '(empty)' : String(setting.default)
    return `| \`${key}\` | ${setting.kind} | ${unit} | ${shown} | ${boundsOf(setting)} | ${setting.dynamic ? 'yes' : 'no'} | ${setting.doc} |`
  })
  const head =
    '| key | type | unit | default | allowed | changes at run time | meaning |\n|---|---|---|---|---|---|---|'
  return [head, ...rows].join('\n') + '\n'
}

function boundsOf(setting: Setting): string {
  if (setting.kind === 'number') return `${setting.min} to ${setting.max === INT_MAX ? '2^31-1' : setting.max}`
  if (setting.kind === 'boolean') return 'true, false'
  return setting.oneOf?.join(', ') ?? 'any'
}
