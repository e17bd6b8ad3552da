import { describe, expect, test } from 'vitest'
import { checkCompatible, isSameSchema, validateSchema, type CompatibilityStrategy } from './compatibility.ts'
import { isSchemaError } from './errors.ts'
import { joinKeyValue } from './key-value.ts'
import type { SchemaDefinition, SchemaType } from './schema-type.ts'

function schema(
  type: SchemaType,
  definition: unknown = '',
  properties: Record<string, string> = {}
): SchemaDefinition & { data: Buffer } {
  const text = typeof definition === 'string' ? definition : JSON.stringify(definition)
  return { type, data: Buffer.from(text), properties }
}

const record = (...fields: unknown[]): unknown => ({ type: 'record', name: 'R', namespace: 'a.b', fields })
const avro = (...fields: unknown[]) => schema('AVRO', record(...fields))
const a = { name: 'a', type: 'int' }
const b = { name: 'b', type: 'int' }
const bWithDefault = { name: 'b', type: 'int', default: 1 }

function verdict(old: SchemaDefinition, next: SchemaDefinition, strategy: CompatibilityStrategy): string {
  try {
    checkCompatible([old], next, strategy)
    return 'yes'
  } catch (error) {
    if (isSchemaError(error, 'SCHEMA_INCOMPATIBLE')) return 'no'
    throw error
  }
}

const enumOf = (...symbols: string[]): unknown => ({ name: 'e', type: { type: 'enum', name: 'E', symbols } })
const union = (...types: string[]): unknown => ({ name: 'u', type: types })

describe('one Avro schema after another', () => {
  const cases: [string, SchemaDefinition, SchemaDefinition, { BACKWARD: string; FORWARD: string }][] = [
    ['field added without default', avro(a), avro(a, b), { BACKWARD: 'no', FORWARD: 'yes' }],
    ['field added with default', avro(a), avro(a, bWithDefault), { BACKWARD: 'yes', FORWARD: 'yes' }],
    ['field removed that had no default', avro(a, b), avro(a), { BACKWARD: 'yes', FORWARD: 'no' }],
    ['field removed that had one', avro(a, bWithDefault), avro(a), { BACKWARD: 'yes', FORWARD: 'yes' }],
    ['default removed', avro(a, bWithDefault), avro(a, b), { BACKWARD: 'yes', FORWARD: 'yes' }],
    ['int to long', avro(a), avro({ name: 'a', type: 'long' }), { BACKWARD: 'yes', FORWARD: 'no' }],
    ['int to string', avro(a), avro({ name: 'a', type: 'string' }), { BACKWARD: 'no', FORWARD: 'no' }],
    ['int to nullable int', avro(a), avro({ name: 'a', type: ['null', 'int'] }), { BACKWARD: 'yes', FORWARD: 'no' }],
    ['branch added', avro(union('int')), avro(union('int', 'string')), { BACKWARD: 'yes', FORWARD: 'no' }],
    ['symbol added', avro(enumOf('A')), avro(enumOf('A', 'B')), { BACKWARD: 'yes', FORWARD: 'yes' }],
    [
      'renamed with alias',
      avro(a),
      avro({ name: 'z', aliases: ['a'], type: 'int' }),
      { BACKWARD: 'yes', FORWARD: 'no' }
    ],
    ['renamed', avro(a), avro({ name: 'z', type: 'int' }), { BACKWARD: 'no', FORWARD: 'no' }],
    [
      'record under another name',
      avro(a),
      schema('AVRO', { type: 'record', name: 'Other', fields: [a] }),
      { BACKWARD: 'yes', FORWARD: 'yes' }
    ],
    [
      'enum under another name',
      avro(enumOf('A')),
      avro({ name: 'e', type: { type: 'enum', name: 'F', symbols: ['A'] } }),
      { BACKWARD: 'no', FORWARD: 'no' }
    ],
    [
      'default that no strict parser takes (Python writes it)',
      avro(a),
      avro(a, { name: 'b', type: ['null', 'int'], default: 5 }),
      { BACKWARD: 'yes', FORWARD: 'yes' }
    ],
    [
      'name with a dollar (Java writes it)',
      schema('AVRO', { type: 'record', name: 'R', namespace: 'x.Outer$', fields: [a] }),
      schema('AVRO', { type: 'record', name: 'R', namespace: 'x.Outer$', fields: [a, bWithDefault] }),
      { BACKWARD: 'yes', FORWARD: 'yes' }
    ],
    [
      'nested record as default',
      avro(a),
      avro(a, { name: 'n', type: { type: 'record', name: 'N', fields: [b] }, default: { b: 1 } }),
      { BACKWARD: 'yes', FORWARD: 'yes' }
    ],
    [
      'recursive record',
      avro({ name: 'next', type: ['null', 'R'] }),
      avro({ name: 'next', type: ['null', 'R'] }, bWithDefault),
      { BACKWARD: 'yes', FORWARD: 'yes' }
    ]
  ]

  test.each(cases)('%s', (_, old, next, expected) => {
    const both = expected.BACKWARD === 'yes' && expected.FORWARD === 'yes' ? 'yes' : 'no'
    validateSchema(next)
    expect({
      BACKWARD: verdict(old, next, 'BACKWARD'),
      FORWARD: verdict(old, next, 'FORWARD'),
      FULL: verdict(old, next, 'FULL'),
      ALWAYS_COMPATIBLE: verdict(old, next, 'ALWAYS_COMPATIBLE'),
      ALWAYS_INCOMPATIBLE: verdict(old, next, 'ALWAYS_INCOMPATIBLE')
    }).toEqual({ ...expected, FULL: both, ALWAYS_COMPATIBLE: 'yes', ALWAYS_INCOMPATIBLE: 'no' })
  })

  test('JSON schemas are Avro definitions', () => {
    const json = (...fields: unknown[]): SchemaDefinition => schema('JSON', record(...fields))
    expect(verdict(json(a), json(a, b), 'FULL')).toBe('no')
    expect(verdict(json(a), json(a, bWithDefault), 'FULL')).toBe('yes')
  })

  test('the message names the field and the reason', () => {
    const inner = (type: string): SchemaDefinition =>
      avro({ name: 'address', type: { type: 'record', name: 'A', fields: [{ name: 'zip', type }] } })
    expect(() => {
      checkCompatible([inner('int')], inner('string'), 'FULL')
    }).toThrow(/'address\.zip' changed from int to string/)
    expect(() => {
      checkCompatible([avro(a)], avro(a, b), 'FULL')
    }).toThrow(/FULL.*'b' has no default/)
  })

  test('transitive strategies look at every version, the others at the last', () => {
    const versions = [avro(a, b), avro(a, bWithDefault), avro(a)]
    const next = avro({ name: 'b', type: 'string', default: '' }, a)
    expect(() => {
      checkCompatible(versions, next, 'FULL')
    }).not.toThrow()
    expect(() => {
      checkCompatible(versions, next, 'FULL_TRANSITIVE')
    }).toThrow("'b'")
  })
})

describe('other types', () => {
  test('a changed type is refused', () => {
    expect(verdict(schema('STRING'), schema('INT32'), 'FULL')).toBe('no')
    expect(verdict(schema('STRING'), schema('INT32'), 'ALWAYS_COMPATIBLE')).toBe('yes')
    expect(verdict(avro(a), schema('JSON', record(a)), 'BACKWARD')).toBe('no')
    expect(verdict(schema('STRING'), schema('STRING'), 'FULL')).toBe('yes')
  })

  test('key and value each for itself', () => {
    const keyValue = (keyType: SchemaType, value: unknown): SchemaDefinition => ({
      type: 'KEY_VALUE',
      data: joinKeyValue(Buffer.alloc(0), Buffer.from(JSON.stringify(value))),
      properties: { 'key.schema.type': keyType, 'value.schema.type': 'AVRO' }
    })
    const old = keyValue('STRING', record(a))
    validateSchema(old)
    expect(verdict(old, keyValue('STRING', record(a, bWithDefault)), 'FULL')).toBe('yes')
    expect(verdict(old, keyValue('STRING', record(a, b)), 'FULL')).toBe('no')
    expect(verdict(old, keyValue('INT32', record(a)), 'FULL')).toBe('no')
    expect(() => {
      checkCompatible([old], keyValue('STRING', record(a, b)), 'FULL')
    }).toThrow(/^value: /)
  })
})

describe('the same schema', () => {
  test('documentation, order of keys and wrapped types do not count; defaults do', () => {
    const one = schema('AVRO', { type: 'record', name: 'R', fields: [a] })
    const other = schema('AVRO', {
      name: 'R',
      doc: 'text',
      type: 'record',
      fields: [{ doc: 'x', type: { type: 'int' }, name: 'a' }]
    })
    expect(isSameSchema(one, other)).toBe(true)
    expect(isSameSchema(avro(b), avro(bWithDefault))).toBe(false)
    expect(isSameSchema(schema('STRING'), schema('BYTES'))).toBe(false)
  })
})

describe('definitions that are refused', () => {
  const deep = (levels: number): string => '{"type":"array","items":'.repeat(levels) + '"int"' + '}'.repeat(levels)
  test.each([
    ['no JSON', 'AVRO', '{not json'],
    ['no type', 'AVRO', '{"type":"odd"}'],
    ['unknown reference', 'JSON', record({ name: 'x', type: 'Unknown' })],
    ['defined twice', 'AVRO', record(enumOf('A'), { name: 'f', type: { type: 'enum', name: 'E', symbols: ['B'] } })],
    ['nested too deeply', 'AVRO', deep(5000)],
    ['data of a primitive', 'INT32', 'x'],
    ['half a key', 'KEY_VALUE', '\0\0\0\u0009x'],
    ['no descriptor', 'PROTOBUF_NATIVE', '{}'],
    ['code in a name', 'AVRO', record({ name: 'a;process.exit()', type: 'int' })]
  ] as const)('%s', (_, type, definition) => {
    expect(() => {
      validateSchema(schema(type, definition))
    }).toThrow(expect.toSatisfy((error: unknown) => isSchemaError(error, 'SCHEMA_INVALID')) as Error)
  })

  const nested = (n: number): unknown => ({
    type: 'record',
    name: `L${n}`,
    fields: ['x', 'y'].map((name, i) => ({
      name,
      type: n === 0 ? 'int' : i === 0 ? nested(n - 1) : `L${n - 1}`,
      default: n === 0 ? 0 : {}
    }))
  })

  test('defaults that would grow without end are not followed to it', () => {
    const next = avro(a, { name: 'f', type: nested(40), default: {} })
    validateSchema(next)
    expect(() => {
      checkCompatible([avro(a)], next, 'BACKWARD')
    }).toThrow(/the default of field 'f'.* is no record a\.b\.L40/)
  })

  test('a type may be repeated where Java does not see the difference', () => {
    const namedE = (field: string, ...symbols: string[]): unknown => ({
      name: field,
      type: { type: 'enum', name: 'E', symbols }
    })
    validateSchema(avro(namedE('a', 'A'), namedE('b', 'A')))
    expect(() => {
      validateSchema(avro(namedE('a', 'A'), namedE('b', 'B')))
    }).toThrow("'a.b.E' is defined twice")
    validateSchema(avro({ name: 'inner', type: { type: 'record', name: 'R', fields: [a] } }))
  })

  test('a text that is no number is no default of one', () => {
    validateSchema(avro({ name: 'd', type: 'double', default: '1.5' }))
    expect(() => {
      validateSchema(avro({ name: 'd', type: 'double', default: 'x' }))
    }).toThrow("the default of field 'd' is no number")
  })

  test('aliases do not stand between a schema and itself, and may give no name twice', () => {
    const swapped = avro({ ...a, aliases: ['b'] }, { ...b, type: 'string', aliases: ['a'] })
    expect(verdict(swapped, { ...swapped, data: Buffer.from(` ${swapped.data.toString()}`) }, 'FULL')).toBe('yes')
    expect(() => {
      checkCompatible([avro(a, b)], avro({ name: 'b', type: 'int', aliases: ['a'] }), 'BACKWARD')
    }).toThrow('an alias gives two fields of record a.b.R one name')
  })

  test('unions of many records are compared up to a bound', () => {
    const many = (suffix: string): SchemaDefinition =>
      avro({
        name: 'u',
        type: Array.from({ length: 1500 }, (_, i) => ({ type: 'record', name: `${suffix}${i}`, fields: [b] }))
      })
    expect(() => {
      checkCompatible([many('X')], many('Y'), 'BACKWARD')
    }).toThrow('too large to be compared')
  })
})
