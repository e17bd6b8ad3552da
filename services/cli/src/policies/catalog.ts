import { policyPaths, type PolicyPath, type PolicyPaths } from '@strata/broker'
import { usageFailure } from '../failure.ts'
import { keptLevel, plainLevel, type PolicyAccess, type PolicyLevelAccess } from './access.ts'
import { ODD_NAMES, ODD_POLICIES } from './extras.ts'

/** What those that cannot be removed are where nobody set them; as Apache Pulsar shows them. */
const UNSET: Readonly<Record<string, unknown>> = {
  schemaCompatibilityStrategy: 'UNDEFINED',
  isAllowAutoUpdateSchema: true,
  schemaValidationEnforced: false,
  encryptionRequired: false,
  subscriptionAuthMode: 'None',
  subscriptionTypesEnabled: [],
  maxTopicsPerNamespace: 0,
  offloadThreshold: -1,
  offloadThresholdInSeconds: -1
}

/** Every policy by name: those of Strata's own table, and the others that a server may have. */
export function policyCatalog(): readonly PolicyAccess[] {
  const own = policyPaths()
    .filter(({ name, onNamespace, onTopic }) => !ODD_NAMES.has(name) && (onNamespace ?? onTopic) !== undefined)
    .map(accessOf)
  const names = new Set(own.map(({ name }) => name))
  const paths = new Set(own.map(({ onNamespace }) => onNamespace?.path))
  const others = ODD_POLICIES.filter(
    ({ name, onNamespace }) => !names.has(name) && (onNamespace === undefined || !paths.has(onNamespace.path))
  )
  return [...own, ...others].sort((a, b) => (a.name < b.name ? -1 : 1))
}

function accessOf({ name, field, isByCluster, isStoredOnly, onNamespace, onTopic }: PolicyPaths): PolicyAccess {
  const unset = UNSET[name] ?? (isByCluster ? {} : undefined)
  const level = ({ path, method, isRemovable }: PolicyPath): PolicyLevelAccess =>
    isRemovable ? plainLevel(path, method) : keptLevel(path, method, unset ?? null)
  return {
    name,
    ...(field === undefined ? {} : { field }),
    ...(isByCluster ? { isByCluster } : {}),
    ...(isStoredOnly ? { isStoredOnly } : {}),
    ...(unset === undefined ? {} : { unset }),
    ...(onNamespace === undefined ? {} : { onNamespace: level(onNamespace) }),
    ...(onTopic === undefined ? {} : { onTopic: level(onTopic) })
  }
}

/** @throws CommandFailure that says which there are, where there is none of this name at this level */
export function accessAt(name: string, level: 'onNamespace' | 'onTopic'): PolicyLevelAccess {
  const catalog = policyCatalog()
  const found = catalog.find(policy => policy.name === name)
  const access = found?.[level]
  if (access !== undefined) return access
  const where = level === 'onTopic' ? 'a topic' : 'a namespace'
  const what = found === undefined ? `${name} is no policy` : `${name} is no policy of ${where}`
  throw usageFailure(`${what}: see those there are with: strata policies names`)
}
