/** Numbers of the wire protocol's Schema.Type, and the names that Java and the admin API use. */
const NUMBERS = {
  NONE: 0,
  STRING: 1,
  JSON: 2,
  PROTOBUF: 3,
  AVRO: 4,
  BOOLEAN: 5,
  INT8: 6,
  INT16: 7,
  INT32: 8,
  INT64: 9,
  FLOAT: 10,
  DOUBLE: 11,
  DATE: 12,
  TIME: 13,
  TIMESTAMP: 14,
  KEY_VALUE: 15,
  INSTANT: 16,
  LOCAL_DATE: 17,
  LOCAL_TIME: 18,
  LOCAL_DATE_TIME: 19,
  PROTOBUF_NATIVE: 20,
  AUTO_CONSUME: 21,
  EXTERNAL: 22,
  /** Never on the wire: a topic of plain bytes has no schema. */
  BYTES: -1
} as const

export type SchemaType = keyof typeof NUMBERS

const byNumber = new Map<number, SchemaType>()
for (const [name, number] of Object.entries(NUMBERS)) byNumber.set(number, name as SchemaType)

export function numberOfSchemaType(type: SchemaType): number {
  return NUMBERS[type]
}

/** undefined: a number that this code does not know. */
export function schemaTypeOfNumber(number: number): SchemaType | undefined {
  return byNumber.get(number)
}

export function isSchemaType(name: string): name is SchemaType {
  return Object.hasOwn(NUMBERS, name)
}

/** Types whose definition is an Avro record (JSON schemas are too, older ones aside). */
export function hasAvroDefinition(type: SchemaType): boolean {
  return type === 'AVRO' || type === 'JSON' || type === 'PROTOBUF'
}

/** Types that have no definition beyond their name. */
export function isPrimitive(type: SchemaType): boolean {
  const number = NUMBERS[type]
  return number >= 0 && !hasAvroDefinition(type) && type !== 'KEY_VALUE' && number < NUMBERS.PROTOBUF_NATIVE
}

export interface SchemaDefinition {
  readonly type: SchemaType
  /** The definition as the client sent it; empty for primitive types. */
  readonly data: Uint8Array
  readonly properties: Readonly<Record<string, string>>
}
