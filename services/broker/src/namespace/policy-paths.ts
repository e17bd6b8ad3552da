import { POLICY_NAMES, specOf } from './policy-table.ts'
import type { PolicyLevel } from './policy-spec.ts'

/** How programs of the admin API reach a policy at one level. */
export interface PolicyPath {
  /** What follows the path of the namespace or topic. */
  readonly path: string
  /** That sets it. */
  readonly method: 'POST' | 'PUT'
  /** Not where it can be set to something else alone. */
  readonly isRemovable: boolean
}

export interface PolicyPaths {
  readonly name: string
  /** Of the document of a namespace. */
  readonly field?: string
  /** There it is a map from the cluster's name. */
  readonly isByCluster: boolean
  /** Kept and shown, and does nothing yet. */
  readonly isStoredOnly: boolean
  readonly onNamespace?: PolicyPath
  readonly onTopic?: PolicyPath
}

/** Every policy that is found by a path of its own, from the table that the paths are made from. */
export function policyPaths(): readonly PolicyPaths[] {
  return POLICY_NAMES.map(name => {
    const { field, isByCluster = false, isStoredOnly = false, onNamespace, onTopic } = specOf(name)
    return {
      name,
      isByCluster,
      isStoredOnly,
      ...(field === undefined ? {} : { field }),
      ...(onNamespace === undefined ? {} : { onNamespace: pathOf(onNamespace) }),
      ...(onTopic === undefined ? {} : { onTopic: pathOf(onTopic) })
    }
  })
}

function pathOf(level: PolicyLevel): PolicyPath {
  return { path: level.path, method: level.method ?? 'POST', isRemovable: level.isKept !== true }
}
