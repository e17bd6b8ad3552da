import { parseAvro } from './avro.ts'
import { whyUnreadable } from './avro-resolution.ts'
import { isSchemaError, schemaError } from './errors.ts'
import { splitKeyValue } from './key-value.ts'
import { rootMessageOf } from './protobuf-native.ts'
import { hasAvroDefinition, isPrimitive, type SchemaDefinition } from './schema-type.ts'

export const COMPATIBILITY_STRATEGIES = [
  'ALWAYS_INCOMPATIBLE',
  'ALWAYS_COMPATIBLE',
  'BACKWARD',
  'FORWARD',
  'FULL',
  'BACKWARD_TRANSITIVE',
  'FORWARD_TRANSITIVE',
  'FULL_TRANSITIVE'
] as const
export type CompatibilityStrategy = (typeof COMPATIBILITY_STRATEGIES)[number]

type Direction = 'newReadsOld' | 'oldReadsNew'

const DIRECTIONS: Readonly<Record<CompatibilityStrategy, readonly Direction[]>> = {
  ALWAYS_INCOMPATIBLE: [],
  ALWAYS_COMPATIBLE: [],
  BACKWARD: ['newReadsOld'],
  FORWARD: ['oldReadsNew'],
  FULL: ['newReadsOld', 'oldReadsNew'],
  BACKWARD_TRANSITIVE: ['newReadsOld'],
  FORWARD_TRANSITIVE: ['oldReadsNew'],
  FULL_TRANSITIVE: ['newReadsOld', 'oldReadsNew']
}

export function isCompatibilityStrategy(name: string): name is CompatibilityStrategy {
  return Object.hasOwn(DIRECTIONS, name)
}

/**
 * Is the definition what its type says?
 * @param options.mayBeJackson JSON schemas may be in the form of clients before 2.1.
 * @throws SchemaError SCHEMA_INVALID
 */
export function validateSchema(schema: SchemaDefinition, options: { mayBeJackson?: boolean } = {}): void {
  const { type, data } = schema
  if (type === 'AUTO_CONSUME') throw schemaError('SCHEMA_INVALID', `Schema ${type} is a client-side schema type`)
  if (type === 'KEY_VALUE') {
    const { key, value } = splitKeyValue(schema)
    validateSchema(key, options)
    validateSchema(value, options)
  } else if (type === 'JSON' && options.mayBeJackson === true && jacksonIdOf(data) !== undefined) return
  else if (hasAvroDefinition(type)) validateAvro(schema)
  else if (type === 'PROTOBUF_NATIVE') rootMessageOf(data)
  else if (type === 'STRING') {
    if (data.length > 0 && Buffer.from(data).toString('utf8') !== 'null') {
      throw schemaError('SCHEMA_INVALID', 'Invalid schema definition data for string schema : it must be empty')
    }
  } else if (isPrimitive(type) && type !== 'NONE' && data.length > 0) {
    throw schemaError(
      'SCHEMA_INVALID',
      `Invalid schema definition data for primitive schemas :length of schema data should be zero, but ${data.length} bytes is found`
    )
  }
}

function validateAvro({ type, data }: SchemaDefinition): void {
  const beginning = `Invalid schema definition data for ${type} schema`
  let kind: string
  try {
    kind = parseAvro(data).type.kind
  } catch (cause) {
    if (!isSchemaError(cause)) throw cause
    throw schemaError('SCHEMA_INVALID', `${beginning}: ${cause.message}`, cause)
  }
  if (type === 'AVRO' && kind === 'union') throw schemaError('SCHEMA_INVALID', `${beginning}: it is a union`)
}

/**
 * May `candidate` follow the versions there are (oldest first)? Transitive strategies look at all of them, the others at the last.
 * @throws SchemaError SCHEMA_INCOMPATIBLE saying which field and why
 */
export function checkCompatible(
  existing: readonly SchemaDefinition[],
  candidate: SchemaDefinition,
  strategy: CompatibilityStrategy
): void {
  if (strategy === 'ALWAYS_COMPATIBLE') return
  const looked = strategy.endsWith('_TRANSITIVE') ? existing : existing.slice(-1)
  for (const old of looked) checkPair(old, candidate, strategy)
}

/** Are both the same schema, so that they share a version? */
export function isSameSchema(a: SchemaDefinition, b: SchemaDefinition): boolean {
  if (a.type !== b.type) return false
  if (a.type === 'KEY_VALUE') return isSameKeyValue(a, b, isSameSchema)
  if (isSameText(a, b)) return true
  if (!hasAvroDefinition(a.type)) return false
  try {
    return parseAvro(a.data).canonical === parseAvro(b.data).canonical
  } catch (error) {
    if (isSchemaError(error)) return false
    throw error
  }
}

/** Are both the same to the byte? */
export function isSameText(a: SchemaDefinition, b: SchemaDefinition): boolean {
  if (a.type !== b.type) return false
  if (a.type === 'KEY_VALUE') return isSameKeyValue(a, b, isSameText)
  return Buffer.from(a.data.buffer, a.data.byteOffset, a.data.byteLength).equals(b.data)
}

/** Their encoding does not count, the types of key and value do: they are no part of the definitions. */
function isSameKeyValue(a: SchemaDefinition, b: SchemaDefinition, isSame: typeof isSameText): boolean {
  const one = splitKeyValue(a)
  const other = splitKeyValue(b)
  return isSame(one.key, other.key) && isSame(one.value, other.value)
}

function checkPair(old: SchemaDefinition, candidate: SchemaDefinition, strategy: CompatibilityStrategy): void {
  if (old.type !== candidate.type) {
    incompatible(`Incompatible schema: exists schema type ${old.type}, new schema type ${candidate.type}`)
  }
  if (isSameText(old, candidate)) return
  if (strategy === 'ALWAYS_INCOMPATIBLE') incompatible('Schema compatibility strategy is ALWAYS_INCOMPATIBLE')
  if (candidate.type === 'KEY_VALUE') checkKeyValue(old, candidate, strategy)
  else if (candidate.type === 'PROTOBUF_NATIVE') checkProtobufNative(old, candidate)
  else if (candidate.type === 'AVRO' || candidate.type === 'JSON') checkAvro(old, candidate, strategy)
}

function checkKeyValue(old: SchemaDefinition, candidate: SchemaDefinition, strategy: CompatibilityStrategy): void {
  const before = splitKeyValue(old)
  const after = splitKeyValue(candidate)
  for (const side of ['key', 'value'] as const) {
    try {
      checkPair(before[side], after[side], strategy)
    } catch (error) {
      if (!isSchemaError(error, 'SCHEMA_INCOMPATIBLE')) throw error
      incompatible(`${side}: ${error.message}`)
    }
  }
}

/** The whole descriptor may change, its root message may not. */
function checkProtobufNative(old: SchemaDefinition, candidate: SchemaDefinition): void {
  const before = rootMessageOf(old.data)
  const after = rootMessageOf(candidate.data)
  if (before !== after) incompatible(`Protobuf root message isn't allow change! It was ${before}, it is ${after}`)
}

function checkAvro(old: SchemaDefinition, candidate: SchemaDefinition, strategy: CompatibilityStrategy): void {
  if (candidate.type === 'JSON' && isWithJackson(old, candidate)) return
  const before = parseAvro(old.data).type
  const after = parseAvro(candidate.data).type
  for (const direction of DIRECTIONS[strategy]) {
    const [reader, writer, sentence] =
      direction === 'newReadsOld'
        ? [after, before, 'the new schema cannot read data of the one before']
        : [before, after, 'data of the new schema cannot be read with the one before']
    const why = whyUnreadable(reader, writer)
    if (why !== undefined) incompatible(`Incompatible schema (${strategy}): ${sentence}: ${why}`)
  }
}

/** Nothing can be compared between the old form of JSON schemas and Avro; of two in the old form the ids must be the same. */
function isWithJackson(old: SchemaDefinition, candidate: SchemaDefinition): boolean {
  const before = jacksonIdOf(old.data)
  const after = jacksonIdOf(candidate.data)
  if (before === undefined && after === undefined) return false
  if (before !== undefined && after !== undefined && before !== after) {
    incompatible(`Incompatible schema: the id of the JSON schema was ${before}, it is ${after}`)
  }
  return true
}

/**
 * The id of a JSON schema as Jackson writes it: `{"type":"object","id":"urn:jsonschema:…","properties":{…}}`; empty where
 * it has none, undefined for what is no such schema.
 */
function jacksonIdOf(data: Uint8Array): string | undefined {
  try {
    const json: unknown = JSON.parse(Buffer.from(data).toString('utf8'))
    if (typeof json !== 'object' || json === null || !('type' in json) || json.type !== 'object') return undefined
    return 'id' in json && typeof json.id === 'string' ? json.id : ''
  } catch {
    return undefined
  }
}

function incompatible(message: string): never {
  throw schemaError('SCHEMA_INCOMPATIBLE', message)
}
