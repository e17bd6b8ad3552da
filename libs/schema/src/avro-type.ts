// What an Avro definition says, once it was read: a graph, since records may contain themselves.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export interface JsonObject {
  [key: string]: Json
}

/** Deeper definitions are refused: they come from clients. */
export const DEPTH_MAX = 200

export const AVRO_PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const
export type AvroPrimitive = (typeof AVRO_PRIMITIVES)[number]

export interface AvroName {
  /** With its namespace. */
  readonly full: string
  readonly short: string
  readonly namespace: string
}

/** Keys that no rule knows, kept because they tell one schema from another (logical types are among them). */
export type AvroProperties = JsonObject

interface Described {
  readonly properties: AvroProperties
}

interface Named extends Described {
  readonly name: AvroName
  /** Full names. */
  readonly aliases: readonly string[]
}

export interface AvroField extends Described {
  readonly name: string
  readonly type: AvroType
  readonly aliases: readonly string[]
  readonly order: string
  /** undefined: none. */
  readonly default: Json | undefined
}

export interface AvroRecord extends Named {
  readonly kind: 'record'
  readonly fields: ReadonlyMap<string, AvroField>
}

export interface AvroEnum extends Named {
  readonly kind: 'enum'
  readonly symbols: readonly string[]
}

export interface AvroFixed extends Named {
  readonly kind: 'fixed'
  readonly sizeBytes: number
}

export type AvroType =
  | (Described & { readonly kind: AvroPrimitive })
  | (Described & { readonly kind: 'array'; readonly items: AvroType })
  | (Described & { readonly kind: 'map'; readonly values: AvroType })
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord
  | AvroEnum
  | AvroFixed

export function isAvroPrimitive(name: string): name is AvroPrimitive {
  return AVRO_PRIMITIVES.some(primitive => primitive === name)
}

/** As messages show it. */
export function describeAvro(type: AvroType): string {
  switch (type.kind) {
    case 'record':
    case 'enum':
      return `${type.kind} ${type.name.full}`
    case 'fixed':
      return `fixed ${type.name.full} of ${type.sizeBytes} bytes`
    case 'array':
      return `array of ${describeBriefly(type.items)}`
    case 'map':
      return `map of ${describeBriefly(type.values)}`
    case 'union':
      return describeUnion(type.branches)
    default:
      return type.kind
  }
}

const BRANCHES_SHOWN = 8

function describeUnion(branches: readonly AvroType[]): string {
  const shown = branches.slice(0, BRANCHES_SHOWN).map(describeBriefly)
  return `union of ${shown.join(', ')}${branches.length > BRANCHES_SHOWN ? ', …' : ''}`
}

function describeBriefly(type: AvroType): string {
  return 'name' in type ? `${type.kind} ${type.name.full}` : type.kind
}
