import { DEPTH_MAX, type AvroType, type Json } from './avro-type.ts'

/** Values in one default that are looked at. */
const VALUES_MAX = 10_000

/**
 * Can the default stand for a value of its type? A value of any branch does for a union, as in Apache Pulsar (Python
 * writes such), and whole numbers need not be whole.
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
        // Java takes numbers that were written as text
        return typeof value === 'number' || (typeof value === 'string' && value !== '' && !Number.isNaN(Number(value)))
      case 'bytes':
      case 'string':
      case 'fixed':
        return typeof value === 'string'
      case 'enum':
        return typeof value === 'string' && type.symbols.includes(value)
      case 'array':
        return Array.isArray(value) && value.every(item => this.isValue(type.items, item, depth + 1))
      case 'map':
        return isObject(value) && Object.values(value).every(item => this.isValue(type.values, item, depth + 1))
      case 'union':
        return type.branches.some(branch => this.isValue(branch, value, depth + 1))
      case 'record':
        return isObject(value) && [...type.fields.values()].every(field => this.#isField(field, value, depth + 1))
    }
  }

  #isField(field: { name: string; type: AvroType; default: Json | undefined }, record: object, depth: number): boolean {
    const own = (record as Record<string, Json | undefined>)[field.name]
    const value = Object.hasOwn(record, field.name) && own !== undefined ? own : field.default
    return value !== undefined && this.isValue(field.type, value, depth)
  }
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
