// Every type but AVRO.
import { create, toBinary } from '@bufbuild/protobuf'
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorSetSchema,
  type FileDescriptorSet
} from '@bufbuild/protobuf/wkt'
import type { SchemaType } from '../schema-type.ts'
import { one, schemaText, type CompatibilityCase, type SchemaText } from './case.ts'

interface Field {
  readonly name: string
  readonly type: unknown
  readonly default?: unknown
}

const definition = (...fields: Field[]) => ({ type: 'record', name: 'R', fields })
const a: Field = { name: 'a', type: 'int' }
const b: Field = { name: 'b', type: 'int' }
const c: Field = { name: 'c', type: 'int', default: 1 }
const avro = schemaText('AVRO', definition(a))
const jackson = (id: string, properties: object = {}) => ({ type: 'object', id: `urn:jsonschema:${id}`, properties })

type ProtoField = readonly [name: string, number: number, type: FieldDescriptorProto_Type]
const { INT32, STRING } = FieldDescriptorProto_Type

function descriptorSet(
  messages: Readonly<Record<string, readonly ProtoField[]>>,
  dependency: string[] = []
): FileDescriptorSet {
  const messageType = Object.entries(messages).map(([name, fields]) => ({
    name,
    field: fields.map(([fieldName, number, type]) => ({
      name: fieldName,
      number,
      type,
      label: FieldDescriptorProto_Label.OPTIONAL
    }))
  }))
  return create(FileDescriptorSetSchema, {
    file: [{ name: 'x.proto', package: 'p', syntax: 'proto3', messageType, dependency }]
  })
}

const AB = { A: [['a', 1, INT32]], B: [['b', 1, INT32]] } as const

function native(root: string, set: FileDescriptorSet = descriptorSet(AB), file = 'x.proto'): SchemaText {
  return schemaText('PROTOBUF_NATIVE', {
    fileDescriptorSet: Buffer.from(toBinary(FileDescriptorSetSchema, set)).toString('base64'),
    rootMessageTypeName: root,
    rootFileDescriptorName: file
  })
}

const PRIMITIVES: readonly SchemaType[] = [
  'STRING',
  'BOOLEAN',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FLOAT',
  'DOUBLE',
  'DATE',
  'TIME',
  'TIMESTAMP',
  'INSTANT',
  'LOCAL_DATE',
  'LOCAL_TIME',
  'LOCAL_DATE_TIME'
]

const primitives: readonly CompatibilityCase[] = [
  ...PRIMITIVES.map(type => one(`${type} again`, schemaText(type), schemaText(type))),
  ...PRIMITIVES.map(type => one(`${type} to AVRO`, schemaText(type), avro)),
  one('AVRO to STRING', avro, schemaText('STRING')),
  one('INT32 to INT64', schemaText('INT32'), schemaText('INT64')),
  one('STRING with properties', schemaText('STRING'), schemaText('STRING', '', { k: 'v' })),
  one('STRING with data', schemaText('STRING'), schemaText('STRING', 'x')),
  one('STRING with the data null', schemaText('STRING'), schemaText('STRING', 'null')),
  one('INT32 with data', schemaText('INT32'), schemaText('INT32', 'x')),
  one('NONE', schemaText('STRING'), schemaText('NONE')),
  one('NONE first', schemaText('NONE'), schemaText('STRING')),
  one('BYTES', schemaText('STRING'), schemaText('BYTES')),
  one('BYTES first', schemaText('BYTES'), schemaText('STRING')),
  one('AUTO_CONSUME', schemaText('STRING'), schemaText('AUTO_CONSUME')),
  one('EXTERNAL again', schemaText('EXTERNAL', 'one'), schemaText('EXTERNAL', 'one')),
  one('EXTERNAL with other data', schemaText('EXTERNAL', 'one'), schemaText('EXTERNAL', 'two')),
  one('EXTERNAL to AVRO', schemaText('EXTERNAL', 'one'), avro),
  one('AVRO to EXTERNAL', avro, schemaText('EXTERNAL', 'one'))
]

const json = (...fields: Field[]): SchemaText => schemaText('JSON', definition(...fields))
const protobuf = (...fields: Field[]): SchemaText => schemaText('PROTOBUF', definition(...fields))

const avroLike: readonly CompatibilityCase[] = [
  one('JSON: field added', json(a), json(a, b)),
  one('JSON: field added with default', json(a), json(a, c)),
  one('JSON: field removed', json(a, b), json(a)),
  one('JSON: no change', json(a), json(a)),
  one('JSON: root is a union', json(a), schemaText('JSON', ['null', 'int'])),
  one('JSON: no JSON', json(a), schemaText('JSON', '{no')),
  one('JSON: another JSON', json(a), schemaText('JSON', { hello: 'world' })),
  one('JSON as Jackson wrote it, then Avro', schemaText('JSON', jackson('A')), json(a)),
  one('JSON in Avro, then as Jackson wrote it', json(a), schemaText('JSON', jackson('A'))),
  one(
    'Jackson: same id',
    schemaText('JSON', jackson('A')),
    schemaText('JSON', jackson('A', { x: { type: 'string' } }))
  ),
  one('Jackson: another id', schemaText('JSON', jackson('A')), schemaText('JSON', jackson('B'))),
  one('JSON to AVRO', json(a), avro),
  one('AVRO to JSON', avro, json(a)),
  one('PROTOBUF: field added', protobuf(a), protobuf(a, b)),
  one('PROTOBUF: field added with default', protobuf(a), protobuf(a, c)),
  one('PROTOBUF: field removed', protobuf(a, b), protobuf(a)),
  one('PROTOBUF: no change', protobuf(a), protobuf(a)),
  one('PROTOBUF: no JSON', protobuf(a), schemaText('PROTOBUF', 'x')),
  one('PROTOBUF to AVRO', protobuf(a), avro),
  one('PROTOBUF to PROTOBUF_NATIVE', protobuf(a), native('p.A'))
]

const nativeCases: readonly CompatibilityCase[] = [
  one('native: no change', native('p.A'), native('p.A')),
  one(
    'native: field added',
    native('p.A'),
    native(
      'p.A',
      descriptorSet({
        A: [
          ['a', 1, INT32],
          ['c', 2, INT32]
        ]
      })
    )
  ),
  one('native: field of another type', native('p.A'), native('p.A', descriptorSet({ A: [['a', 1, STRING]] }))),
  one('native: field with another number', native('p.A'), native('p.A', descriptorSet({ A: [['a', 2, INT32]] }))),
  one('native: all fields removed', native('p.A'), native('p.A', descriptorSet({ A: [] }))),
  one('native: another root', native('p.A'), native('p.B')),
  one('native: a root that is not there', native('p.A'), native('p.C')),
  one('native: a root without its package', native('p.A'), native('A')),
  one('native: a file that is not there', native('p.A'), native('p.A', descriptorSet(AB), 'y.proto')),
  one('native: a file that misses another', native('p.A'), native('p.A', descriptorSet(AB, ['y.proto']))),
  one('native: no descriptors', native('p.A'), schemaText('PROTOBUF_NATIVE', { rootMessageTypeName: 'p.A' })),
  one(
    'native: descriptors that are none',
    native('p.A'),
    schemaText('PROTOBUF_NATIVE', {
      fileDescriptorSet: '////',
      rootMessageTypeName: 'p.A',
      rootFileDescriptorName: 'x.proto'
    })
  ),
  one('native: no JSON', native('p.A'), schemaText('PROTOBUF_NATIVE', 'x')),
  one('native to AVRO', native('p.A'), avro)
]

function keyValue(
  key: readonly [SchemaType, unknown],
  value: readonly [SchemaType, unknown],
  properties: Readonly<Record<string, string>> = {}
): SchemaText {
  const text = JSON.stringify({ key: key[1], value: value[1] })
  return schemaText('KEY_VALUE', text, {
    'key.schema.name': 'k',
    'key.schema.type': key[0],
    'key.schema.properties': '{}',
    'value.schema.name': 'v',
    'value.schema.type': value[0],
    'value.schema.properties': '{}',
    'kv.encoding.type': 'INLINE',
    ...properties
  })
}

const plain = ['STRING', ''] as const
const inAvro = (...fields: Field[]) => ['AVRO', definition(...fields)] as const
const withoutTypes = schemaText('KEY_VALUE', JSON.stringify({ key: '', value: '' }))

const keyValues: readonly CompatibilityCase[] = [
  one('key-value: no change', keyValue(plain, inAvro(a)), keyValue(plain, inAvro(a))),
  one('key-value: value field added', keyValue(plain, inAvro(a)), keyValue(plain, inAvro(a, b))),
  one('key-value: value field added with default', keyValue(plain, inAvro(a)), keyValue(plain, inAvro(a, c))),
  one('key-value: key field removed', keyValue(inAvro(a, b), plain), keyValue(inAvro(a), plain)),
  one('key-value: both changed', keyValue(inAvro(a), inAvro(a)), keyValue(inAvro(a, c), inAvro(a, c))),
  one('key-value: type of the key', keyValue(plain, inAvro(a)), keyValue(['INT32', ''], inAvro(a))),
  one('key-value: type of the value', keyValue(plain, plain), keyValue(plain, ['INT32', ''])),
  one('key-value: same primitives', keyValue(plain, plain), keyValue(plain, plain)),
  one(
    'key-value: encoding changed',
    keyValue(plain, inAvro(a)),
    keyValue(plain, inAvro(a), { 'kv.encoding.type': 'SEPARATED' })
  ),
  one(
    'key-value: encoding and value changed',
    keyValue(plain, inAvro(a)),
    keyValue(plain, inAvro(a, c), { 'kv.encoding.type': 'SEPARATED' })
  ),
  one('key-value: without types', keyValue(plain, plain), withoutTypes),
  one('key-value: without types both', withoutTypes, withoutTypes),
  one('key-value: an unknown type', keyValue(plain, plain), keyValue(plain, plain, { 'value.schema.type': 'ODD' })),
  one('key-value: an unknown encoding', keyValue(plain, plain), keyValue(plain, plain, { 'kv.encoding.type': 'ODD' })),
  one('key-value: a value that is no Avro', keyValue(plain, inAvro(a)), keyValue(plain, ['AVRO', { type: 'odd' }])),
  one(
    'key-value: JSON that is none',
    keyValue(plain, plain),
    schemaText('KEY_VALUE', 'x', { 'key.schema.type': 'STRING', 'value.schema.type': 'STRING' })
  ),
  one(
    'key-value: JSON parts',
    keyValue(['JSON', definition(a)], ['JSON', definition(a)]),
    keyValue(['JSON', definition(a)], ['JSON', definition(a, b)])
  ),
  one('key-value to AVRO', keyValue(plain, inAvro(a)), avro),
  one('AVRO to key-value', avro, keyValue(plain, inAvro(a)))
]

export const otherCases: readonly CompatibilityCase[] = [...primitives, ...avroLike, ...nativeCases, ...keyValues]
