import { COMPATIBILITY_STRATEGIES } from '@strata/schema'
import { flag, type PolicySpecs, type Problem } from './policy-spec.ts'

/** What messages may look like, and whether they must be encrypted. */
export interface SchemaPolicies {
  schemaCompatibilityStrategy: string
  /** The older name of the same, in words of its own: holds where the newer one says nothing. */
  schemaAutoUpdateCompatibilityStrategy: string
  isAllowAutoUpdateSchema: boolean
  schemaValidationEnforced: boolean
  encryptionRequired: boolean
}

const STRATEGIES: readonly string[] = ['UNDEFINED', ...COMPATIBILITY_STRATEGIES]

const AUTO_UPDATE_STRATEGIES: Readonly<Record<string, string>> = {
  AutoUpdateDisabled: 'ALWAYS_INCOMPATIBLE',
  AlwaysCompatible: 'ALWAYS_COMPATIBLE',
  Backward: 'BACKWARD',
  BackwardTransitive: 'BACKWARD_TRANSITIVE',
  Forward: 'FORWARD',
  ForwardTransitive: 'FORWARD_TRANSITIVE',
  Full: 'FULL',
  FullTransitive: 'FULL_TRANSITIVE'
}

export const schemaPolicies: PolicySpecs<SchemaPolicies> = {
  schemaCompatibilityStrategy: {
    field: 'schema_compatibility_strategy',
    onNamespace: { path: 'schemaCompatibilityStrategy', method: 'PUT', isKept: true, unset: () => 'UNDEFINED' },
    onTopic: { path: 'schemaCompatibilityStrategy', method: 'PUT' },
    parse: parseStrategy,
    ofBroker: settings => settings.schemaCompatibilityStrategy,
    isOpen: value => value === 'UNDEFINED'
  },
  schemaAutoUpdateCompatibilityStrategy: {
    field: 'schema_auto_update_compatibility_strategy',
    onNamespace: { path: 'schemaAutoUpdateCompatibilityStrategy', method: 'PUT', isKept: true },
    parse: parseAutoUpdateStrategy
  },
  isAllowAutoUpdateSchema: {
    field: 'is_allow_auto_update_schema',
    onNamespace: {
      path: 'isAllowAutoUpdateSchema',
      isKept: true,
      unset: settings => settings.isAllowAutoUpdateSchemaEnabled
    },
    parse: flag,
    ofBroker: settings => settings.isAllowAutoUpdateSchemaEnabled
  },
  schemaValidationEnforced: {
    field: 'schema_validation_enforced',
    onNamespace: {
      path: 'schemaValidationEnforced',
      isKept: true,
      unset: settings => settings.isSchemaValidationEnforced
    },
    onTopic: { path: 'schemaValidationEnforced', isKept: true },
    parse: flag,
    ofBroker: settings => settings.isSchemaValidationEnforced
  },
  encryptionRequired: {
    field: 'encryption_required',
    onNamespace: {
      path: 'encryptionRequired',
      isKept: true,
      unset: settings => settings.encryptionRequireOnProducer
    },
    parse: flag,
    ofBroker: settings => settings.encryptionRequireOnProducer
  }
}

export function isStrategy(name: unknown): boolean {
  return typeof name === 'string' && STRATEGIES.includes(name)
}

function parseStrategy(value: unknown): string | Problem {
  return typeof value === 'string' && isStrategy(value)
    ? value
    : { problem: 'There is no such schema compatibility strategy' }
}

function parseAutoUpdateStrategy(value: unknown): string | Problem {
  return typeof value === 'string' && isAutoUpdateStrategy(value)
    ? value
    : { problem: 'There is no such schema auto-update compatibility strategy' }
}

export function isAutoUpdateStrategy(name: unknown): boolean {
  return typeof name === 'string' && Object.hasOwn(AUTO_UPDATE_STRATEGIES, name)
}

/** The strategy that an older name means; undefined: nobody set one. */
export function strategyOfAutoUpdate(name: string | undefined): string | undefined {
  return name === undefined ? undefined : AUTO_UPDATE_STRATEGIES[name]
}
