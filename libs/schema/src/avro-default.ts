import { DEPTH_MAX, type AvroField, type AvroType, type Json, type JsonObject } from './avro-type.ts'

/** Values in one default that are looked at. */
const VALUES_MAX = 10_000

/**
 * Can the default stand for a value of its type? As Java decides it: a value of any branch does for a union (Python writes
 * such), whole numbers need not be whole, and what is no list or object stands for an empty one.
 */
export function isDefaultFor(type: AvroType, value: Json): boolean {
  return new Check().isValue(type, value, 0)
}

class Check {
  #values = 0

  isValue(type: AvroType, value: Json, depth: number): boolean {
    if (++this.#values > VALUES_MAX || depth > DEPTH_MAX) return false
    switch (type.kind) {
      case 'null':
        return value === null
      case 'boolean':
        return typeof value === 'boolean'
      case 'int':
      case 'long':
        return typeof value === 'number'
      case 'float':
      case 'double':
        // as text: the parser refused what is no number
        return typeof value === 'number' || typeof value === 'string'
      case 'bytes':
      case 'string':
      case 'fixed':
        return typeof value === 'string'
      case 'enum':
        return typeof value === 'string' && type.symbols.includes(value)
      case 'array':
        return this.#all(type.items, value, depth)
      case 'map':
        // Java goes over the keys: a list has none
        return Array.isArray(value) || this.#all(type.values, value, depth)
      case 'union': {
        const branch = type.branches.find(({ kind }) => isOfKind(kind, value))
        return branch !== undefined && this.isValue(branch, value, depth + 1)
      }
      case 'record':
        return [...type.fields.values()].every(field => this.#isField(field, value, depth + 1))
    }
  }

  /** What has no items counts as empty: Java does not look. */
  #all(type: AvroType, value: Json, depth: number): boolean {
    if (typeof value !== 'object' || value === null) return true
    return Object.values(value).every(item => this.isValue(type, item, depth + 1))
  }

  #isField(field: AvroField, record: Json, depth: number): boolean {
    const own = isObject(record) && Object.hasOwn(record, field.name) ? record[field.name] : undefined
    const value = own ?? (own === null ? null : field.default)
    return value !== undefined && this.isValue(field.type, value, depth)
  }
}

/** By which Java chooses a branch. */
function isOfKind(kind: AvroType['kind'], value: Json): boolean {
  switch (kind) {
    case 'null':
      return value === null
    case 'boolean':
      return typeof value === 'boolean'
    case 'int':
    case 'long':
    case 'float':
    case 'double':
      return typeof value === 'number'
    case 'string':
    case 'bytes':
    case 'fixed':
    case 'enum':
      return typeof value === 'string'
    case 'array':
      return Array.isArray(value)
    case 'map':
    case 'record':
      return isObject(value)
    case 'union':
      return false
  }
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
