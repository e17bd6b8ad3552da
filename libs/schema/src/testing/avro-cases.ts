// What Avro resolution decides, and what an Avro definition may look like.
import { one, schemaText, type CompatibilityCase, type SchemaText } from './case.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const record = (...fields: Json[]): Json => ({ type: 'record', name: 'R', namespace: 'a.b', fields })
const avro = (...fields: Json[]): SchemaText => schemaText('AVRO', record(...fields))
const typed = (type: Json, rest: { readonly [key: string]: Json } = {}): Json => ({ name: 'f', type, ...rest })
const field = (type: Json, rest?: { readonly [key: string]: Json }): SchemaText => avro(typed(type, rest))

const a: Json = { name: 'a', type: 'int' }
const b: Json = { name: 'b', type: 'int' }
const bWithDefault: Json = { name: 'b', type: 'int', default: 1 }
const enumOf = (symbols: Json, rest: { readonly [key: string]: Json } = {}): Json => ({
  type: 'enum',
  name: 'E',
  symbols,
  ...rest
})
const fixed = (name: string, size: Json): Json => ({ type: 'fixed', name, size })
const array = (items: Json): Json => ({ type: 'array', items })
const map = (values: Json): Json => ({ type: 'map', values })
const inner = (name: string, ...fields: Json[]): Json => ({ type: 'record', name, fields })
const changed = (name: string, before: Json, after: Json): CompatibilityCase => one(name, field(before), field(after))

const fields: readonly CompatibilityCase[] = [
  one('no change', avro(a), avro(a)),
  one('field added without default', avro(a), avro(a, b)),
  one('field added with default', avro(a), avro(a, bWithDefault)),
  one('field added with default null', avro(a), avro(a, { name: 'b', type: ['null', 'int'], default: null })),
  one('nullable field added without default', avro(a), avro(a, { name: 'b', type: ['null', 'int'] })),
  one('field removed without default', avro(a, b), avro(a)),
  one('field removed with default', avro(a, bWithDefault), avro(a)),
  one('default removed', avro(a, bWithDefault), avro(a, b)),
  one('default added', avro(a, b), avro(a, bWithDefault)),
  one('default changed', avro(a, bWithDefault), avro(a, { name: 'b', type: 'int', default: 2 })),
  one('order of fields', avro(a, b), avro(b, a)),
  one('field renamed', avro(a), avro({ name: 'z', type: 'int' })),
  one('field renamed with alias', avro(a), avro({ name: 'z', aliases: ['a'], type: 'int' })),
  one(
    'field renamed, the old one has the alias',
    avro({ name: 'a', aliases: ['z'], type: 'int' }),
    avro({ name: 'z', type: 'int' })
  ),
  one('alias of a field that stays', avro(a, b), avro(a, { name: 'c', aliases: ['a'], type: 'int' })),
  one('record renamed', avro(a), schemaText('AVRO', { type: 'record', name: 'Other', namespace: 'a.b', fields: [a] })),
  one('record moved', avro(a), schemaText('AVRO', { type: 'record', name: 'R', namespace: 'c', fields: [a] })),
  one('everything changed', avro(a), avro({ name: 'x', type: 'string' }, { name: 'y', type: 'bytes' })),
  one('all fields removed', avro(a), avro())
]

const promotions: readonly CompatibilityCase[] = (
  [
    ['int', 'long'],
    ['int', 'float'],
    ['int', 'double'],
    ['long', 'float'],
    ['long', 'double'],
    ['float', 'double'],
    ['string', 'bytes'],
    ['int', 'string'],
    ['boolean', 'int'],
    ['null', 'int'],
    ['long', 'bytes']
  ] as const
).map(([before, after]) => changed(`${before} to ${after}`, before, after))

const unions: readonly CompatibilityCase[] = [
  changed('int to nullable int', 'int', ['null', 'int']),
  changed('branch added', ['null', 'int'], ['null', 'int', 'string']),
  changed('order of branches', ['null', 'int'], ['int', 'null']),
  changed('branch widened', ['null', 'int'], ['null', 'long']),
  changed('branch exchanged', ['null', 'int'], ['null', 'string']),
  changed('union to a type that takes all of it', ['int', 'long'], 'double'),
  changed('union to a type that takes a part', ['int', 'string'], 'int'),
  changed('string to union with bytes', 'string', ['null', 'bytes']),
  changed('int to union of float and long', 'int', ['float', 'long']),
  changed('union of records', [inner('A', a), inner('B', b)], [inner('A', a), inner('B', b, a)]),
  changed('union of records, one renamed', ['null', inner('A', a)], ['null', inner('B', a)]),
  changed('union of records, one renamed and changed', ['null', inner('A', a)], ['null', inner('B', b)]),
  changed('record to union with a record of another name', inner('A', a), ['null', inner('B', a)]),
  changed('record to union, same name, another shape', inner('A', a), [inner('A', b), inner('B', a)]),
  changed('array to nullable array of wider items', array('int'), ['null', array('long')]),
  changed('array to nullable array of other items', array('int'), ['null', array('string')]),
  changed('enum to union with an enum of another name', enumOf(['A']), [
    'null',
    { type: 'enum', name: 'F', symbols: ['A'] }
  ]),
  changed('fixed to union with a fixed of another size', fixed('F', 4), ['null', fixed('F', 8)])
]

const named: readonly CompatibilityCase[] = [
  changed('symbol added', enumOf(['A']), enumOf(['A', 'B'])),
  changed('symbol removed', enumOf(['A', 'B']), enumOf(['A'])),
  changed('symbol added, there is a default', enumOf(['A'], { default: 'A' }), enumOf(['A', 'B'], { default: 'A' })),
  changed('order of symbols', enumOf(['A', 'B']), enumOf(['B', 'A'])),
  changed('enum default added', enumOf(['A']), enumOf(['A'], { default: 'A' })),
  changed('enum renamed', enumOf(['A']), { type: 'enum', name: 'F', symbols: ['A'] }),
  changed('enum moved', enumOf(['A']), enumOf(['A'], { namespace: 'other' })),
  changed('enum renamed with alias', enumOf(['A']), { type: 'enum', name: 'F', aliases: ['E'], symbols: ['A'] }),
  changed('enum to string', enumOf(['A']), 'string'),
  changed('fixed of another size', fixed('F', 4), fixed('F', 8)),
  changed('fixed renamed', fixed('F', 4), fixed('G', 4)),
  changed('fixed moved', fixed('F', 4), { type: 'fixed', name: 'x.F', size: 4 }),
  changed('fixed to bytes', fixed('F', 4), 'bytes'),
  changed('items widened', array('int'), array('long')),
  changed('items exchanged', array('int'), array('string')),
  changed('values widened', map('int'), map('long')),
  changed('values exchanged', map('int'), map('string')),
  changed('array to map', array('int'), map('int')),
  changed('inner record renamed', inner('A', a), inner('B', a)),
  changed('inner record: field added', inner('A', a), inner('A', a, b)),
  changed('inner record: field added with default', inner('A', a), inner('A', a, bWithDefault)),
  changed('inner record: field exchanged', inner('A', a), inner('A', { name: 'a', type: 'string' })),
  changed('items are records: field added', array(inner('A', a)), array(inner('A', a, b))),
  changed('record to int', inner('A', a), 'int'),
  changed('recursive', ['null', 'R'], ['null', 'a.b.R']),
  one(
    'recursive: field added with default',
    avro(a, { name: 'next', type: ['null', 'R'] }),
    avro(a, { name: 'next', type: ['null', 'R'] }, bWithDefault)
  ),
  one(
    'recursive: field added',
    avro(a, { name: 'next', type: ['null', 'R'] }),
    avro(a, { name: 'next', type: ['null', 'R'] }, b)
  ),
  one('root is no record', schemaText('AVRO', '"int"'), schemaText('AVRO', '"long"')),
  one('root is an array', schemaText('AVRO', array('int')), schemaText('AVRO', array('long'))),
  one('root becomes another type', avro(a), schemaText('AVRO', '"string"'))
]

const logical = (type: string, logicalType: string, rest: { readonly [key: string]: Json } = {}): Json => ({
  type,
  logicalType,
  ...rest
})

const sameness: readonly CompatibilityCase[] = [
  changed('logical type added', 'long', logical('long', 'timestamp-millis')),
  changed('logical type exchanged', logical('long', 'timestamp-millis'), logical('long', 'timestamp-micros')),
  changed(
    'scale of a decimal',
    logical('bytes', 'decimal', { precision: 8, scale: 2 }),
    logical('bytes', 'decimal', { precision: 8, scale: 3 })
  ),
  changed('wrapped type', 'int', { type: 'int' }),
  changed('property of a type', 'string', { type: 'string', 'avro.java.string': 'String' }),
  one('property of a field', field('int'), field('int', { custom: 'x' })),
  one('documentation of a field', field('int'), field('int', { doc: 'text' })),
  one('aliases of a field', field('int'), field('int', { aliases: ['g'] })),
  one('sort order of a field', field('int'), field('int', { order: 'descending' })),
  one('sort order written out', field('int'), field('int', { order: 'ascending' })),
  one(
    'documentation of the record',
    avro(a),
    schemaText('AVRO', { type: 'record', name: 'R', namespace: 'a.b', doc: 'x', fields: [a] })
  ),
  one(
    'aliases of the record',
    avro(a),
    schemaText('AVRO', { type: 'record', name: 'R', namespace: 'a.b', aliases: ['Q'], fields: [a] })
  ),
  one('namespace written into the name', avro(a), schemaText('AVRO', { type: 'record', name: 'a.b.R', fields: [a] })),
  one(
    'whitespace and order of keys',
    avro(a),
    schemaText('AVRO', ` { "fields": [${JSON.stringify(a)}], "namespace":"a.b", "name":"R", "type":"record" }`)
  ),
  one('default of a long written as a float', field('double', { default: 1 }), field('double', { default: 1.0 })),
  one(
    'default of a map in another order',
    field(map('int'), { default: { x: 1, y: 2 } }),
    field(map('int'), { default: { y: 2, x: 1 } })
  ),
  changed('enum default', enumOf(['A', 'B'], { default: 'A' }), enumOf(['A', 'B'], { default: 'B' })),
  changed('enum documentation', enumOf(['A']), enumOf(['A'], { doc: 'x' }))
]

/** Not every client writes what the specification wants. */
const shape = (name: string, definition: unknown): CompatibilityCase =>
  one(`definition: ${name}`, avro(a), schemaText('AVRO', definition))

const definitions: readonly CompatibilityCase[] = [
  shape('no JSON', '{not json'),
  shape('empty', ''),
  shape('text behind it', `${JSON.stringify(record(a))} x`),
  shape('unknown type', { type: 'odd' }),
  shape('a union', [record(a), 'null']),
  shape('a number', '5'),
  shape('null', 'null'),
  shape('record without fields', { type: 'record', name: 'R' }),
  shape('record without name', { type: 'record', fields: [a] }),
  shape('record in an object', { type: record(a) }),
  shape('field without type', record({ name: 'a' })),
  shape('field without name', record({ type: 'int' })),
  shape('field twice', record(a, a)),
  shape('field name with a dash', record(a, { name: 'b-c', type: 'int', default: 1 })),
  shape('field name with a dollar', record(a, { name: 'b$c', type: 'int', default: 1 })),
  shape('field name with an umlaut', record(a, { name: 'ü', type: 'int', default: 1 })),
  shape('field name with a digit first', record(a, { name: '1a', type: 'int', default: 1 })),
  shape('record name with a dollar', { type: 'record', name: 'Outer$R', namespace: 'x.y$', fields: [a] }),
  shape('record name with a space', { type: 'record', name: 'R S', fields: [a] }),
  shape('namespace with a dash', { type: 'record', name: 'R', namespace: 'x-y', fields: [a] }),
  shape('unknown name', record(a, { name: 'x', type: 'Unknown', default: 1 })),
  shape(
    'name before its definition',
    record(
      a,
      { name: 'x', type: ['null', 'Later'], default: null },
      { name: 'y', type: ['null', inner('Later', a)], default: null }
    )
  ),
  shape(
    'defined twice alike',
    record(
      a,
      { name: 'x', type: ['null', inner('A', a)], default: null },
      { name: 'y', type: ['null', inner('A', a)], default: null }
    )
  ),
  shape(
    'defined twice unlike',
    record(
      a,
      { name: 'x', type: ['null', inner('A', a)], default: null },
      { name: 'y', type: ['null', inner('A', b)], default: null }
    )
  ),
  shape('named like a primitive', { type: 'record', name: 'int', fields: [a] }),
  shape('union in a union', record(a, { name: 'u', type: ['null', ['int']], default: null })),
  shape('union with one type twice', record(a, { name: 'u', type: ['null', 'int', 'int'], default: null })),
  shape(
    'union with two arrays',
    record(a, { name: 'u', type: ['null', array('int'), array('string')], default: null })
  ),
  shape('empty union', record(a, { name: 'u', type: [], default: null })),
  shape('enum without symbols', record(a, { name: 'e', type: { type: 'enum', name: 'E' }, default: 'A' })),
  shape('enum with no symbol', record(a, { name: 'e', type: enumOf([]), default: 'A' })),
  shape('enum with a symbol twice', record(a, { name: 'e', type: enumOf(['A', 'A']), default: 'A' })),
  shape('enum with an odd symbol', record(a, { name: 'e', type: enumOf(['A-B']), default: 'A-B' })),
  shape(
    'enum with a default that it lacks',
    record(a, { name: 'e', type: enumOf(['A'], { default: 'B' }), default: 'A' })
  ),
  shape('fixed without size', record(a, { name: 'x', type: { type: 'fixed', name: 'X' }, default: '' })),
  shape('fixed of negative size', record(a, { name: 'x', type: fixed('X', -1), default: '' })),
  shape('array without items', record(a, { name: 'x', type: { type: 'array' }, default: [] })),
  shape('map without values', record(a, { name: 'x', type: { type: 'map' }, default: {} })),
  shape('odd sort order', record(a, { name: 'x', type: 'int', default: 1, order: 'up' })),
  shape('default of another type', record(a, { name: 'b', type: 'int', default: 'x' })),
  shape('default of a later branch', record(a, { name: 'b', type: ['null', 'int'], default: 5 })),
  shape('default null for an int', record(a, { name: 'b', type: 'int', default: null })),
  shape('logical type that nobody knows', record(a, { name: 'b', type: logical('int', 'odd'), default: 1 })),
  shape('decimal without precision', record(a, { name: 'b', type: logical('bytes', 'decimal'), default: '' })),
  shape('error instead of record', { type: 'error', name: 'R', namespace: 'a.b', fields: [a] })
]

const transitive: readonly CompatibilityCase[] = [
  {
    name: 'an older version does not fit',
    before: [avro(a, b), avro(a, bWithDefault), avro(a)],
    after: avro(a, { name: 'b', type: 'string', default: '' })
  },
  {
    name: 'all versions fit',
    before: [avro(a), avro(a, bWithDefault)],
    after: avro(a, bWithDefault, { name: 'c', type: 'int', default: 1 })
  },
  { name: 'default lost after it was needed', before: [avro(a), avro(a, bWithDefault)], after: avro(a, b) },
  { name: 'back to the first version', before: [avro(a, b), avro(a)], after: avro(a, b) },
  { name: 'type changed before', before: [schemaText('STRING'), avro(a)], after: avro(a, bWithDefault) }
]

export const avroCases: readonly CompatibilityCase[] = [
  ...fields,
  ...promotions,
  ...unions,
  ...named,
  ...sameness,
  ...definitions,
  ...transitive
]
