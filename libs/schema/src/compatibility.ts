import { parseAvro, whyUnreadable } from './avro.ts'
import { isSchemaError, schemaError } from './errors.ts'
import { splitKeyValue } from './key-value.ts'
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

/** Is the definition what its type says? @throws SchemaError SCHEMA_INVALID */
export function validateSchema(schema: SchemaDefinition): void {
  const { type, data } = schema
  if (type === 'KEY_VALUE') {
    const { key, value } = splitKeyValue(schema)
    validateSchema(key)
    validateSchema(value)
  } else if (type === 'JSON' && isJackson(data)) {
    return
  } else if (hasAvroDefinition(type)) {
    try {
      parseAvro(data)
    } catch (cause) {
      throw schemaError('SCHEMA_INVALID', `Invalid schema definition data for ${type} schema`, cause)
    }
  } else if (type === 'PROTOBUF_NATIVE') {
    rootMessageOf(data)
  } else if (isPrimitive(type) && type !== 'STRING' && type !== 'NONE' && data.length > 0) {
    throw schemaError(
      'SCHEMA_INVALID',
      `Invalid schema definition data for primitive schemas :length of schema data should be zero, but ${data.length} bytes is found`
    )
  }
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
  if (a.type === 'KEY_VALUE') {
    const one = splitKeyValue(a)
    const other = splitKeyValue(b)
    return isSameSchema(one.key, other.key) && isSameSchema(one.value, other.value)
  }
  if (Buffer.from(a.data.buffer, a.data.byteOffset, a.data.byteLength).equals(b.data)) return true
  if (!hasAvroDefinition(a.type)) return false
  try {
    return parseAvro(a.data).canonical === parseAvro(b.data).canonical
  } catch (error) {
    if (isSchemaError(error)) return false
    throw error
  }
}

function checkPair(old: SchemaDefinition, candidate: SchemaDefinition, strategy: CompatibilityStrategy): void {
  if (old.type !== candidate.type) {
    incompatible(`Incompatible schema: exists schema type ${old.type}, new schema type ${candidate.type}`)
  }
  if (isSameSchema(old, candidate)) return
  if (strategy === 'ALWAYS_INCOMPATIBLE') incompatible('Incompatible schema: the strategy allows no change')
  if (candidate.type === 'KEY_VALUE') checkKeyValue(old, candidate, strategy)
  else if (candidate.type === 'PROTOBUF_NATIVE') checkProtobufNative(old, candidate)
  else if (hasAvroDefinition(candidate.type)) checkAvro(old, candidate, strategy)
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
  // JSON schemas of old clients are in another format, with which nothing can be compared
  if (candidate.type === 'JSON' && (isJackson(old.data) || isJackson(candidate.data))) return
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

/** JSON schema as Jackson writes it: `{"type":"object","id":"urn:jsonschema:…","properties":{…}}`. */
function isJackson(data: Uint8Array): boolean {
  try {
    const json: unknown = JSON.parse(Buffer.from(data).toString('utf8'))
    return typeof json === 'object' && json !== null && 'type' in json && json.type === 'object'
  } catch {
    return false
  }
}

function rootMessageOf(data: Uint8Array): string {
  try {
    const json: unknown = JSON.parse(Buffer.from(data).toString('utf8'))
    if (typeof json === 'object' && json !== null && 'rootMessageTypeName' in json) {
      const { rootMessageTypeName } = json
      if (typeof rootMessageTypeName === 'string') return rootMessageTypeName
    }
  } catch {
    // said below
  }
  throw schemaError('SCHEMA_INVALID', 'Invalid schema definition data for PROTOBUF_NATIVE schema')
}

function incompatible(message: string): never {
  throw schemaError('SCHEMA_INCOMPATIBLE', message)
}
