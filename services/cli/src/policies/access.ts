import type { Method } from '../admin.ts'

/** One request; the path is what follows that of the namespace or topic. */
export interface PolicyRequest {
  readonly method: Method
  readonly path: string
  readonly body?: unknown
}

/** How a policy is read and written at one level. */
export interface PolicyLevelAccess {
  /** What is read. */
  readonly path: string
  readonly set: (value: unknown) => readonly PolicyRequest[]
  readonly remove: () => readonly PolicyRequest[]
}

export interface PolicyAccess {
  readonly name: string
  /** Of Pulsar's document of a namespace; policies without one are asked for by themselves. */
  readonly field?: string
  /** In that document it is a map from the cluster's name. */
  readonly isByCluster?: true
  /** Kept and shown, and does nothing yet on Strata. */
  readonly isStoredOnly?: true
  /** What that document shows where nobody set it, and what is set where it cannot be removed. */
  readonly unset?: unknown
  readonly onNamespace?: PolicyLevelAccess
  readonly onTopic?: PolicyLevelAccess
}

/** The common shape: one path, a body that sets, DELETE that removes. */
export function plainLevel(path: string, method: 'POST' | 'PUT' = 'POST'): PolicyLevelAccess {
  return {
    path,
    set: value => [{ method, path, body: value }],
    remove: () => [{ method: 'DELETE', path }]
  }
}

/** Cannot be removed: it is set to what holds where nobody set it. */
export function keptLevel(path: string, method: 'POST' | 'PUT', unset: unknown): PolicyLevelAccess {
  return {
    path,
    set: value => [{ method, path, body: value }],
    remove: () => [{ method, path, body: unset }]
  }
}
