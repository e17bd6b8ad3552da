import { schemaError } from './errors.ts'
import { isSchemaType, type SchemaDefinition, type SchemaType } from './schema-type.ts'

/*
  A KEY_VALUE definition holds two others. Big-endian.

    offset  size  field
         0     4  length of the key's definition; -1 and 0 mean none
         4     n  key's definition
       4+n     4  length of the value's definition
       8+n     m  value's definition

  Their types, names and properties are in the properties `key.schema.type`, `value.schema.properties`, …
*/

export interface KeyValueParts {
  readonly key: SchemaDefinition
  readonly value: SchemaDefinition
}

/** @throws SchemaError SCHEMA_INVALID */
export function splitKeyValue(definition: SchemaDefinition): KeyValueParts {
  const data = Buffer.from(definition.data.buffer, definition.data.byteOffset, definition.data.byteLength)
  const key = part(data, 0)
  const value = part(data, key.endAt)
  return {
    key: { ...describe(definition.properties, 'key'), data: key.bytes },
    value: { ...describe(definition.properties, 'value'), data: value.bytes }
  }
}

/** The definitions of both as text of the admin API: `{"key":…,"value":…}`, each a definition or the text of one. */
export function keyValueText(definition: SchemaDefinition): string {
  const { key, value } = splitKeyValue(definition)
  return JSON.stringify({ key: jsonOf(key.data), value: jsonOf(value.data) })
}

/** The inverse. @throws SchemaError SCHEMA_INVALID */
export function keyValueDefinition(text: string): Uint8Array {
  let parts: unknown
  try {
    parts = JSON.parse(text)
  } catch (cause) {
    return refuse(cause)
  }
  if (typeof parts !== 'object' || parts === null || !('key' in parts) || !('value' in parts)) return refuse()
  return joinKeyValue(bytesOf(parts.key), bytesOf(parts.value))
}

/** The inverse of splitting, for what is known to be definitions. */
export function joinKeyValue(key: Uint8Array, value: Uint8Array): Uint8Array {
  const joined = Buffer.alloc(8 + key.length + value.length)
  joined.writeInt32BE(key.length, 0)
  joined.set(key, 4)
  joined.writeInt32BE(value.length, 4 + key.length)
  joined.set(value, 8 + key.length)
  return joined
}

function bytesOf(value: unknown): Buffer {
  if (value === null || value === '') return Buffer.alloc(0)
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

/** A definition as JSON where it is JSON; `""` for a primitive type. */
function jsonOf(data: Uint8Array): unknown {
  const text = Buffer.from(data).toString('utf8')
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function part(data: Buffer, at: number): { bytes: Uint8Array; endAt: number } {
  if (at + 4 > data.length) return refuse()
  const length = Math.max(0, data.readInt32BE(at))
  const endAt = at + 4 + length
  if (endAt > data.length) return refuse()
  return { bytes: data.subarray(at + 4, endAt), endAt }
}

function describe(
  properties: Readonly<Record<string, string>>,
  side: 'key' | 'value'
): { type: SchemaType; properties: Record<string, string> } {
  const type = properties[`${side}.schema.type`] ?? 'BYTES'
  if (!isSchemaType(type)) throw schemaError('SCHEMA_INVALID', `The ${side} has an unknown schema type`)
  return { type, properties: parseProperties(properties[`${side}.schema.properties`]) }
}

function parseProperties(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {}
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null) return {}
    return Object.fromEntries(
      Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    )
  } catch {
    return {}
  }
}

function refuse(cause?: unknown): never {
  throw schemaError('SCHEMA_INVALID', 'Invalid schema definition data for KEY_VALUE schema', cause)
}
