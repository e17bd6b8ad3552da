import { isDeepStrictEqual } from 'node:util'
import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** By Pulsar's names of its settings; those that nobody gave and that have no default are left out. */
export type OffloadSettings = Readonly<Record<string, unknown>>

/** Where old data would go. Nothing is offloaded yet. */
export interface OffloadPolicies {
  offloadPolicies: OffloadSettings
}

export const offloadPolicies: PolicySpecs<OffloadPolicies> = {
  offloadPolicies: {
    field: 'offload_policies',
    onNamespace: { path: 'offloadPolicies', isKept: true },
    onTopic: { path: 'offloadPolicies' },
    parse: parseOffloadSettings,
    within: settingsWithin,
    isStoredOnly: true
  }
}

const DRIVERS: readonly string[] = ['S3', 'aws-s3', 'google-cloud-storage', 'filesystem', 'azureblob', 'aliyun-oss']

const DEFAULTS: OffloadSettings = {
  offloadersDirectory: './offloaders',
  managedLedgerOffloadMaxThreads: 2,
  managedLedgerOffloadReadThreads: 2,
  managedLedgerOffloadPrefetchRounds: 1,
  s3ManagedLedgerOffloadMaxBlockSizeInBytes: 67_108_864,
  s3ManagedLedgerOffloadReadBufferSizeInBytes: 1_048_576,
  s3ManagedLedgerOffloadRoleSessionName: 'pulsar-s3-offload',
  gcsManagedLedgerOffloadMaxBlockSizeInBytes: 134_217_728,
  gcsManagedLedgerOffloadReadBufferSizeInBytes: 1_048_576,
  managedLedgerExtraConfigurations: {}
}

const NUMBERS: readonly string[] = [
  'managedLedgerOffloadMaxThreads',
  'managedLedgerOffloadReadThreads',
  'managedLedgerOffloadPrefetchRounds',
  'managedLedgerOffloadThresholdInSeconds',
  'managedLedgerOffloadThresholdInBytes',
  'managedLedgerOffloadDeletionLagInMillis',
  's3ManagedLedgerOffloadMaxBlockSizeInBytes',
  's3ManagedLedgerOffloadReadBufferSizeInBytes',
  'gcsManagedLedgerOffloadMaxBlockSizeInBytes',
  'gcsManagedLedgerOffloadReadBufferSizeInBytes',
  'managedLedgerOffloadMaxBlockSizeInBytes',
  'managedLedgerOffloadReadBufferSizeInBytes'
]

const TEXTS: readonly string[] = [
  'offloadersDirectory',
  'managedLedgerOffloadDriver',
  'managedLedgerOffloadedReadPriority',
  's3ManagedLedgerOffloadRegion',
  's3ManagedLedgerOffloadBucket',
  's3ManagedLedgerOffloadServiceEndpoint',
  's3ManagedLedgerOffloadCredentialId',
  's3ManagedLedgerOffloadCredentialSecret',
  's3ManagedLedgerOffloadRole',
  's3ManagedLedgerOffloadRoleSessionName',
  'gcsManagedLedgerOffloadRegion',
  'gcsManagedLedgerOffloadBucket',
  'gcsManagedLedgerOffloadServiceAccountKeyFile',
  'fileSystemProfilePath',
  'fileSystemURI',
  'managedLedgerOffloadBucket',
  'managedLedgerOffloadRegion',
  'managedLedgerOffloadServiceEndpoint'
]

/** What is set where somebody set one number and nothing else. */
export function offloadSettingsWith(
  current: OffloadSettings | undefined,
  name: string,
  value: number | undefined
): OffloadSettings {
  const { [name]: _, ...others } = current ?? { ...DEFAULTS, ...driverFlags('') }
  return value === undefined ? others : { ...others, [name]: value }
}

/** As Pulsar merges them: what is at its default here is as it is above. */
function settingsWithin(settings: OffloadSettings, above: OffloadSettings): OffloadSettings {
  const { s3Driver: _s3, gcsDriver: _gcs, fileSystemDriver: _files, ...own } = settings
  const given = Object.entries(own).filter(([name, value]) => !isDeepStrictEqual(value, DEFAULTS[name]))
  const merged = { ...above, ...Object.fromEntries(given) }
  return { ...merged, ...driverFlags(textOf(merged.managedLedgerOffloadDriver)) }
}

/** Takes settings without a driver too: those of a namespace that has only a threshold. */
function parseOffloadSettings(value: unknown): OffloadSettings | Problem {
  const given = fields(value)
  const settings: Record<string, unknown> = { ...DEFAULTS }
  for (const name of NUMBERS) {
    const number = given[name]
    if (number === undefined || number === null) continue
    if (!Number.isSafeInteger(number)) return { problem: `${name} must be a whole number` }
    settings[name] = number
  }
  for (const name of TEXTS) {
    const text = given[name]
    if (text === undefined || text === null) continue
    if (typeof text !== 'string') return { problem: `${name} must be a text` }
    settings[name] = text
  }
  const extra = given.managedLedgerExtraConfigurations
  if (extra !== undefined && extra !== null) settings.managedLedgerExtraConfigurations = extra
  return { ...settings, ...driverFlags(textOf(settings.managedLedgerOffloadDriver)) }
}

/** Why Pulsar does not take the settings that a client sent; undefined: it does. */
export function offloadProblem(value: unknown): string | undefined {
  const given = fields(value)
  const driver = textOf(given.managedLedgerOffloadDriver)
  if (!DRIVERS.some(known => known.toLowerCase() === driver.toLowerCase())) {
    return `The driver is not supported, support value: ${DRIVERS.join(',')}`
  }
  const { s3Driver, gcsDriver, fileSystemDriver } = driverFlags(driver)
  const bucket =
    given.managedLedgerOffloadBucket ??
    (s3Driver ? given.s3ManagedLedgerOffloadBucket : gcsDriver ? given.gcsManagedLedgerOffloadBucket : undefined)
  const hasBucket = typeof bucket === 'string' && bucket !== ''
  return fileSystemDriver || hasBucket ? undefined : 'The bucket must be specified for namespace offload.'
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function driverFlags(driver: string): { s3Driver: boolean; gcsDriver: boolean; fileSystemDriver: boolean } {
  const name = driver.toLowerCase()
  return {
    s3Driver: name === 's3' || name === 'aws-s3',
    gcsDriver: name === 'google-cloud-storage',
    fileSystemDriver: name === 'filesystem'
  }
}
