import type { CompatibilityStrategy } from '../compatibility.ts'

/** What a server says about one case. */
export interface PulsarAnswer {
  /** Statuses of what was posted first, where not all were taken. */
  readonly before?: readonly number[]
  /** Strategies under which the new schema is compatible. */
  readonly fits: readonly CompatibilityStrategy[]
  /** Statuses under the other ones, each once. */
  readonly refused: readonly number[]
  /** The version that has this schema, -1 for none; a text: the status. */
  readonly version: number | string
  /** Status of adding it under FULL, and the version that it got. */
  readonly added: string
}
