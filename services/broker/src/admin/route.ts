import type { Permission } from '@strata/auth'
import type { Operation } from './operation.ts'
import type { Scope } from './scope.ts'
import type { Shape } from './shapes.ts'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** One method of one path: what is served, who answers it, who may ask, and what goes in and out. */
export interface Route {
  readonly method: Method
  /** `:name` is one segment, decoded once; `:domain` is persistent or non-persistent, `:name(^…$)` a segment of that form. */
  readonly path: string
  /** Unique. Pulsar's name of the operation where it has one. */
  readonly name: string
  readonly operation: Operation
  /** `local` where nothing else is said. */
  readonly scope?: Scope
  /** Who may ask: of the tenant, namespace, topic and subscription of the path. */
  readonly permission: Permission
  /** For descriptions: an operation reads its body itself. Absent: there is none. */
  readonly body?: Shape
  readonly reply?: Shape
}
