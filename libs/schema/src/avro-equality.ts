// Which definitions are the same schema: Java's rule, on which clients that register by themselves rely.
import { DEPTH_MAX, type AvroField, type AvroType, type Json } from './avro-type.ts'

/**
 * Equal text ⇔ equal schemas. Documentation, aliases, the default symbol of an enum, the order of keys and how a name is
 * written do not count; names, defaults, the order of fields, sort orders, logical types and unknown keys do.
 */
export function canonicalAvro(type: AvroType): string {
  return JSON.stringify(canonical(type, new Set()))
}

function canonical(type: AvroType, seen: Set<AvroType>): Json {
  switch (type.kind) {
    case 'union':
      return type.branches.map(branch => canonical(branch, seen))
    case 'array':
      return ['array', canonical(type.items, seen), sorted(type.properties)]
    case 'map':
      return ['map', canonical(type.values, seen), sorted(type.properties)]
    case 'enum':
      return ['enum', type.name.full, [...type.symbols], sorted(type.properties)]
    case 'fixed':
      return ['fixed', type.name.full, type.sizeBytes, sorted(type.properties)]
    case 'record': {
      const { name, fields, properties } = type
      if (seen.has(type)) return ['record', name.full]
      seen.add(type)
      const shapes = [...fields.values()].map(field => canonicalField(field, seen))
      return ['record', name.full, shapes, sorted(properties)]
    }
    default:
      return [type.kind, sorted(type.properties)]
  }
}

function canonicalField(field: AvroField, seen: Set<AvroType>): Json {
  const preset = field.default === undefined ? [] : [sorted(field.default)]
  return [field.name, canonical(field.type, seen), preset, field.order, sorted(field.properties)]
}

/** With the keys of objects in order. @throws Error where it is nested deeper than any definition may be */
function sorted(json: Json, depth = 0): Json {
  if (typeof json !== 'object' || json === null) return json
  if (depth > DEPTH_MAX) throw new Error('it is nested too deeply')
  if (Array.isArray(json)) return json.map(item => sorted(item, depth + 1))
  const keys = Object.keys(json).sort()
  return Object.fromEntries(keys.map(key => [key, sorted(json[key] ?? null, depth + 1)]))
}
