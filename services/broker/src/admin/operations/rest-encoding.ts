import { isSchemaType, keyValueDefinition, type SchemaDefinition, type SchemaType } from '@strata/schema'
import { isObject, textOf } from '../operation.ts'

/*
  Texts of HTTP as the bytes that a client of the schema would have sent.
*/

/** What messages are encoded by: one schema, or one for the key and one for the value. */
export interface MessageSchema {
  readonly definition: SchemaDefinition
  readonly key: SchemaType | undefined
  readonly value: SchemaType
}

const NO_DATA = new Uint8Array(0)
const MS_PER_DAY = 86_400_000
const NS_PER_MS = 1_000_000n
const NS_PER_DAY = BigInt(MS_PER_DAY) * NS_PER_MS

/**
 * What a client names as its schemas: JSON of name, type, definition in base64 and properties. None is plain text; with a key's, both are
 * apart in the message. Undefined: they cannot be read.
 */
export function messageSchema(keySchema: unknown, valueSchema: unknown): MessageSchema | undefined {
  const value = isNone(valueSchema) ? TEXT : infoOf(valueSchema)
  if (value === undefined) return undefined
  if (isNone(keySchema)) return { definition: value, key: undefined, value: value.type }
  const key = infoOf(keySchema)
  if (key === undefined) return undefined
  const parts = { key: Buffer.from(key.data).toString('utf8'), value: Buffer.from(value.data).toString('utf8') }
  const properties = {
    ...sideProperties('key', key),
    ...sideProperties('value', value),
    'kv.encoding.type': 'SEPARATED'
  }
  const definition = { type: 'KEY_VALUE', data: keyValueDefinition(JSON.stringify(parts)), properties } as const
  return { definition, key: key.type, value: value.type }
}

/** Of a schema that the topic has. */
export function schemaOfTopic(definition: SchemaDefinition): MessageSchema {
  if (definition.type !== 'KEY_VALUE') return { definition, key: undefined, value: definition.type }
  const typeOf = (side: string): SchemaType => {
    const name = definition.properties[`${side}.schema.type`] ?? 'BYTES'
    return isSchemaType(name) ? name : 'BYTES'
  }
  return { definition, key: typeOf('key'), value: typeOf('value') }
}

const TEXT: SchemaDefinition = { type: 'STRING', data: NO_DATA, properties: {} }

function isNone(schema: unknown): boolean {
  return schema === undefined || schema === null || schema === ''
}

function infoOf(schema: unknown): SchemaDefinition | undefined {
  let info: unknown
  try {
    info = JSON.parse(textOf(schema))
  } catch {
    return undefined
  }
  if (!isObject(info)) return undefined
  const type = textOf(info.type)
  if (!isSchemaType(type)) return undefined
  const properties = isObject(info.properties) ? info.properties : {}
  const texts = Object.entries(properties).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
  return { type, data: Buffer.from(textOf(info.schema), 'base64'), properties: Object.fromEntries(texts) }
}

function sideProperties(side: 'key' | 'value', { type, properties }: SchemaDefinition): Record<string, string> {
  return {
    [`${side}.schema.name`]: '',
    [`${side}.schema.type`]: type,
    [`${side}.schema.properties`]: JSON.stringify(properties)
  }
}

/** Undefined: the text is none of the type, or the type is none that is written as text. */
export function encoded(text: string, type: SchemaType): Buffer | undefined {
  return ENCODERS[type]?.(text)
}

const ENCODERS: Readonly<Partial<Record<SchemaType, (text: string) => Buffer | undefined>>> = {
  NONE: text => Buffer.from(text),
  BYTES: text => Buffer.from(text),
  STRING: text => Buffer.from(text),
  BOOLEAN: text => Buffer.from([text.toLowerCase() === 'true' ? 1 : 0]),
  INT8: text => integer(text, 1),
  INT16: text => integer(text, 2),
  INT32: text => integer(text, 4),
  INT64: text => integer(text, 8),
  FLOAT: text => real(text, 4),
  DOUBLE: text => real(text, 8),
  DATE: text => ofMs(text, ms => long(BigInt(ms))),
  TIME: text => integer(text, 8),
  TIMESTAMP: text => integer(text, 8),
  INSTANT: text => ofMs(text, instant),
  LOCAL_DATE: text => (/^\d{4}-\d\d-\d\d$/.test(text) ? ofMs(text, ms => long(BigInt(ms / MS_PER_DAY))) : undefined),
  LOCAL_TIME: text => ofTime(text, nanos => long(nanos)),
  LOCAL_DATE_TIME: localDateTime,
  JSON: text => (isJson(text) ? Buffer.from(text) : undefined)
}

function integer(text: string, bytes: 1 | 2 | 4 | 8): Buffer | undefined {
  if (!/^[+-]?\d{1,19}$/.test(text)) return undefined
  const value = BigInt(text.replace('+', ''))
  if (BigInt.asIntN(bytes * 8, value) !== value) return undefined
  return long(value).subarray(8 - bytes)
}

function long(value: bigint): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigInt64BE(value)
  return out
}

function real(text: string, bytes: 4 | 8): Buffer | undefined {
  const value = Number(text)
  if (text.trim() === '' || (Number.isNaN(value) && text !== 'NaN')) return undefined
  const out = Buffer.alloc(bytes)
  if (bytes === 4) out.writeFloatBE(value)
  else out.writeDoubleBE(value)
  return out
}

function ofMs(text: string, encode: (ms: number) => Buffer): Buffer | undefined {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : encode(ms)
}

/** Seconds since 1970 in 8 bytes, nanoseconds of the second in 4. */
function instant(ms: number): Buffer {
  const out = Buffer.alloc(12)
  const seconds = Math.floor(ms / 1000)
  out.writeBigInt64BE(BigInt(seconds))
  out.writeInt32BE((ms - seconds * 1000) * Number(NS_PER_MS), 8)
  return out
}

function ofTime(text: string, encode: (nanos: bigint) => Buffer): Buffer | undefined {
  const [, hours = '', minutes = '', seconds = '0', fraction = ''] =
    /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/.exec(text) ?? []
  if (hours === '') return undefined
  const whole = BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds)
  const nanos = whole * NS_PER_MS * 1000n + BigInt(fraction.padEnd(9, '0'))
  return nanos < NS_PER_DAY ? encode(nanos) : undefined
}

/** The day since 1970, and nanoseconds of the day, in 8 bytes each. */
function localDateTime(text: string): Buffer | undefined {
  const [date = '', time = ''] = text.split('T')
  const day = encoded(date, 'LOCAL_DATE')
  const nanos = encoded(time, 'LOCAL_TIME')
  return day === undefined || nanos === undefined ? undefined : Buffer.concat([day, nanos])
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
