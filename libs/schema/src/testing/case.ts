import type { SchemaType } from '../schema-type.ts'

/** A schema as the admin API takes it. */
export interface SchemaText {
  readonly type: SchemaType
  readonly schema: string
  readonly properties: Readonly<Record<string, string>>
}

export interface CompatibilityCase {
  readonly name: string
  /** What the topic has, oldest first. */
  readonly before: readonly SchemaText[]
  readonly after: SchemaText
}

export function schemaText(
  type: SchemaType,
  definition: unknown = '',
  properties: Readonly<Record<string, string>> = {}
): SchemaText {
  return { type, schema: typeof definition === 'string' ? definition : JSON.stringify(definition), properties }
}

export function one(name: string, before: SchemaText, after: SchemaText): CompatibilityCase {
  return { name, before: [before], after }
}
