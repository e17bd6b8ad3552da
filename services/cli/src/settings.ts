import { readFileSync } from 'node:fs'
import {
  configErrors,
  parseConfFile,
  resolveSettings,
  type ForeignKeys,
  type SettingSource,
  type SettingsOf,
  type SettingTable
} from '@strata/base'

/** Variables that are no settings of a server: of the command line's own flags, and of other programs of this project. */
const FOREIGN_VARIABLES = /^STRATA_((PEERS|ETCD|TEST)_|(URL|ADMIN_URL|TOKEN|DATA|ETCD)$)/

/** Where settings come from, weakest first: a file in Pulsar's format, environment variables, `--set` flags. */
export interface SettingInputs {
  readonly conf: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly set: readonly string[]
  readonly lenient: boolean
  /** What to say of keys that the table has not. A parameter: who runs one server does not load another one's keys. */
  readonly foreign: ForeignKeys
}

/**
 * Environment: `STRATA_BROKER_SERVICE_PORT=6651`, or `PULSAR_PREFIX_brokerServicePort=6651` as Pulsar's images have it.
 * @throws CodedError BAD_SETTING, BAD_CONFIG_FILE
 */
export function loadSettings<Table extends SettingTable>(
  table: Table,
  inputs: SettingInputs
): { settings: SettingsOf<Table>; explicit: ReadonlySet<string>; warnings: readonly string[] } {
  const sources = [
    ...(inputs.conf === undefined ? [] : readConf(inputs.conf)),
    ...fromEnvironment(table, inputs.env),
    ...inputs.set.map(fromFlag)
  ]
  return resolveSettings(table, sources, { lenient: inputs.lenient, foreign: inputs.foreign })
}

function readConf(path: string): SettingSource[] {
  let content: string
  try {
    content = readFileSync(path, 'utf8')
  } catch (cause) {
    const error = configErrors.create('BAD_CONFIG_FILE', { path }, cause)
    error.message = `--conf ${path}: cannot be read (${cause instanceof Error ? cause.message : String(cause)})`
    throw error
  }
  return parseConfFile(content, path)
}

function fromEnvironment(table: SettingTable, env: SettingInputs['env']): SettingSource[] {
  const byVariable = new Map(Object.keys(table).map(key => [variableName(key), key]))
  return Object.entries(env).flatMap(([variable, value]) => {
    if (value === undefined) return []
    if (variable.startsWith('PULSAR_PREFIX_')) {
      return [{ origin: `environment variable ${variable}`, key: variable.slice('PULSAR_PREFIX_'.length), value }]
    }
    if (!variable.startsWith('STRATA_') || FOREIGN_VARIABLES.test(variable)) return []
    return [{ origin: 'environment', key: byVariable.get(variable) ?? variable, value }]
  })
}

/** `brokerServicePort` is `STRATA_BROKER_SERVICE_PORT`; `strataMemoryBudgetMB` does not say the prefix twice. */
export function variableName(key: string): string {
  const words = key.replace(/^strata/, '').replace(/([a-z0-9])([A-Z])/g, '$1_$2')
  return `STRATA_${words.replace(/^_/, '').toUpperCase()}`
}

function fromFlag(flag: string): SettingSource {
  const at = flag.indexOf('=')
  if (at > 0) return { origin: '--set', key: flag.slice(0, at), value: flag.slice(at + 1) }
  const error = configErrors.create('BAD_SETTING', { flag })
  error.message = `--set ${flag}: write it as --set key=value`
  throw error
}
