import avsc, { type Type } from 'avsc'
import { canonicalAvro, DEPTH_MAX, normaliseAvro, RECORD_NAME, type Json } from './avro-normaliser.ts'
import { schemaError } from './errors.ts'

/** A definition that was parsed and can be compared. */
interface AvroDefinition {
  /** Equal text, equal schema. */
  readonly canonical: string
  readonly type: Type
}

/** @throws SchemaError SCHEMA_INVALID */
export function parseAvro(data: Uint8Array): AvroDefinition {
  try {
    const json = JSON.parse(Buffer.from(data).toString('utf8')) as Json
    // what the library takes is wider than its types say
    const type = avsc.Type.forSchema(normaliseAvro(json) as never, { wrapUnions: 'always' })
    return { canonical: JSON.stringify(canonicalAvro(json)), type }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.slice(0, 200) : 'it is unreadable'
    throw schemaError('SCHEMA_INVALID', `Invalid Avro definition: ${reason}`, cause)
  }
}

/** undefined: data written with `writer` can be read with `reader`. Else which field stands in the way, and why. */
export function whyUnreadable(reader: Type, writer: Type): string | undefined {
  if (resolves(reader, writer)) return undefined
  return explain(reader, writer, '', 0) ?? `${nameOf(writer)} cannot be read as ${nameOf(reader)}`
}

function resolves(reader: Type, writer: Type): boolean {
  try {
    reader.createResolver(writer, { ignoreNamespaces: true })
    return true
  } catch {
    return false
  }
}

interface RecordType extends Type {
  readonly fields: readonly { name: string; aliases: readonly string[]; type: Type; defaultValue(): unknown }[]
}

function isRecord(type: Type): type is RecordType {
  return type.typeName === 'record'
}

/** Follows both definitions to the innermost field that cannot be resolved. */
function explain(reader: Type, writer: Type, path: string, depth: number): string | undefined {
  if (depth > DEPTH_MAX || !isRecord(reader) || !isRecord(writer)) return undefined
  for (const field of reader.fields) {
    const where = path === '' ? field.name : `${path}.${field.name}`
    const there = writer.fields.find(other => other.name === field.name || field.aliases.includes(other.name))
    if (there === undefined) {
      if (field.defaultValue() !== undefined) continue
      return `field '${where}' has no default and is missing on the other side`
    }
    if (resolves(field.type, there.type)) continue
    const deeper = explain(field.type, there.type, where, depth + 1)
    return deeper ?? `field '${where}' changed from ${nameOf(there.type)} to ${nameOf(field.type)}`
  }
  return undefined
}

function nameOf(type: Type): string {
  if (isRecord(type)) return 'record'
  const text = JSON.stringify(type.schema({ noDeref: true })).replaceAll(
    new RegExp(`n\\d+\\.${RECORD_NAME}`, 'g'),
    'record'
  )
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`
}
