import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isSchemaError } from './errors.ts'
import { decodeSchemaVersion, encodeSchemaVersion, SchemaRegistry } from './registry.ts'
import type { SchemaDefinition } from './schema-type.ts'

const TOPIC = 'public/default/t'
const FULL = { strategy: 'FULL', mayAdd: true } as const

let store: MemoryMetadataStore
let registry: SchemaRegistry

beforeEach(() => {
  store = new MemoryMetadataStore()
  registry = new SchemaRegistry({ store, clock: new ManualClock(5000) })
})

afterEach(async () => {
  await store.close()
})

function avro(...names: string[]): SchemaDefinition & { data: Buffer } {
  const fields = names.map(name => ({ name, type: 'int', default: 0 }))
  const data = Buffer.from(JSON.stringify({ type: 'record', name: 'R', fields }))
  return { type: 'AVRO', data, properties: { k: 'v' } }
}

const count = async (prefix: string): Promise<number> => (await store.scan({ prefix })).records.length

describe('the registry', () => {
  test('versions count up, the same schema keeps its own, all of it survives in the store', async () => {
    expect(await registry.add(TOPIC, avro('a'), FULL)).toBe(0)
    expect(await registry.add(TOPIC, avro('a', 'b'), FULL)).toBe(1)
    expect(await registry.add(TOPIC, avro('a'), FULL)).toBe(0)
    const again = new SchemaRegistry({ store, clock: new ManualClock() })
    expect((await again.list(TOPIC)).map(schema => schema.version)).toEqual([0, 1])
    expect(await again.latest(TOPIC)).toEqual({
      ...avro('a', 'b'),
      data: expect.anything() as Uint8Array,
      version: 1,
      createdAtMs: 5000,
      user: ''
    })
    expect(Buffer.from((await again.get(TOPIC, 0))?.data ?? []).toString()).toContain('"a"')
    expect(await again.find(TOPIC, avro('zz'))).toBeUndefined()
    expect(await registry.list('public/default/t2')).toEqual([])
  })

  test('of many at once each gets its version, equal ones the same', async () => {
    const other = new SchemaRegistry({ store, clock: new ManualClock() })
    const adds = ['a', 'b', 'a', 'c', 'b'].map((name, i) =>
      (i % 2 === 0 ? registry : other).add(TOPIC, avro(name), FULL)
    )
    const [a1, b1, a2, c, b2] = await Promise.all(adds)
    expect([a1, b1]).toEqual([a2, b2])
    expect([a1, b1, c].sort()).toEqual([0, 1, 2])
  })

  test('what does not fit is refused and leaves nothing', async () => {
    await registry.add(TOPIC, avro('a'), FULL)
    const text: SchemaDefinition = { type: 'STRING', data: Buffer.alloc(0), properties: {} }
    await expect(registry.add(TOPIC, text, FULL)).rejects.toThrow('exists schema type AVRO, new schema type STRING')
    await expect(registry.add(TOPIC, avro('b'), { strategy: 'FULL', mayAdd: false })).rejects.toThrow(
      'auto updating is disabled'
    )
    expect(await registry.add(TOPIC, avro('a'), { strategy: 'FULL', mayAdd: false })).toBe(0)
    expect(await count('schema-versions/')).toBe(1)
  })

  test('a deletion takes a version, and numbering goes on', async () => {
    await registry.add(TOPIC, avro('a'), FULL)
    expect(await registry.delete(TOPIC)).toBe(1)
    expect(await registry.latest(TOPIC)).toBeUndefined()
    expect(await registry.delete(TOPIC)).toBe(2)
    expect(await registry.add(TOPIC, { type: 'INT32', data: Buffer.alloc(0), properties: {} }, FULL)).toBe(3)
    expect(await count('schema-versions/')).toBe(1)
  })

  test('what is judged is whether it would fit, were it new; the same schema keeps its version for all that', async () => {
    const documented = { ...avro('a'), data: Buffer.from(avro('a').data.toString().replace('{', '{"doc":"text",')) }
    await registry.add(TOPIC, avro('a'), FULL)
    const never = { strategy: 'ALWAYS_INCOMPATIBLE', mayAdd: true } as const
    await registry.check(TOPIC, avro('a'), never)
    await expect(registry.check(TOPIC, documented, never)).rejects.toThrow('ALWAYS_INCOMPATIBLE')
    expect(await registry.add(TOPIC, documented, never)).toBe(0)
    expect(await registry.find(TOPIC, documented)).toBeUndefined()
    expect(await registry.find(TOPIC, avro('a'))).toBe(0)
  })

  test('JSON schemas in the form of old clients are taken only where the rules say so', async () => {
    const jackson = (id: string): SchemaDefinition => ({
      type: 'JSON',
      data: Buffer.from(JSON.stringify({ type: 'object', id, properties: {} })),
      properties: {}
    })
    const json = { ...avro('a'), type: 'JSON' } as const
    await expect(registry.add(TOPIC, jackson('a'), FULL)).rejects.toThrow('Invalid schema definition data')
    const lax = { ...FULL, mayBeJackson: true }
    expect(await registry.add(TOPIC, jackson('a'), lax)).toBe(0)
    await expect(registry.add(TOPIC, jackson('b'), lax)).rejects.toThrow('the id of the JSON schema was a, it is b')
    expect(await registry.add(TOPIC, json, FULL)).toBe(1)
    expect(await registry.add(TOPIC, jackson('b'), lax)).toBe(2)
  })

  test('forgetting leaves no row', async () => {
    await registry.add(TOPIC, avro('a'), FULL)
    await registry.add(TOPIC, { ...avro('a', 'b'), properties: {} }, FULL)
    await registry.forget(TOPIC)
    expect(await count('schema')).toBe(0)
    expect(await registry.add(TOPIC, avro('b'), FULL)).toBe(0)
  })

  test('a schema larger than a value of the store is kept in parts', async () => {
    const names = Array.from({ length: 6000 }, (_, i) => `field_number_${i}`)
    const large = avro(...names)
    expect(large.data.length).toBeGreaterThan(200_000)
    await registry.add(TOPIC, large, FULL)
    const again = new SchemaRegistry({ store, clock: new ManualClock() })
    expect(Buffer.from((await again.latest(TOPIC))?.data ?? []).equals(large.data)).toBe(true)
    await registry.forget(TOPIC)
    expect(await count('schema')).toBe(0)
  })

  test('consumers: need a schema, read the last version, AUTO_CONSUME is never checked', async () => {
    const auto: SchemaDefinition = { type: 'AUTO_CONSUME', data: Buffer.alloc(0), properties: {} }
    await registry.checkConsumer(TOPIC, auto, FULL)
    await expect(registry.checkConsumer(TOPIC, avro('a'), { strategy: 'FULL' })).rejects.toThrow(
      'active topic with empty(BYTES) schema: new schema type AVRO'
    )
    await registry.add(TOPIC, avro('a'), FULL)
    await registry.checkConsumer(TOPIC, avro('a', 'b'), { strategy: 'FULL' })
    const other = { ...avro(), data: Buffer.from('{"type":"record","name":"R","fields":[{"name":"z","type":"int"}]}') }
    const isIncompatible = expect.toSatisfy((error: unknown) => isSchemaError(error, 'SCHEMA_INCOMPATIBLE')) as Error
    await expect(registry.checkConsumer(TOPIC, other, { strategy: 'FULL' })).rejects.toEqual(isIncompatible)
    await expect(registry.checkConsumer(TOPIC, other, { strategy: 'FULL_TRANSITIVE' })).rejects.toEqual(isIncompatible)
    await registry.checkConsumer(TOPIC, other, { strategy: 'ALWAYS_COMPATIBLE' })
  })

  test('a version is eight bytes on the wire', () => {
    expect(encodeSchemaVersion(258).toString('hex')).toBe('0000000000000102')
    expect(decodeSchemaVersion(encodeSchemaVersion(258))).toBe(258)
    expect(decodeSchemaVersion(Buffer.alloc(7))).toBeUndefined()
    expect(decodeSchemaVersion(Buffer.alloc(8, 0xff))).toBeUndefined()
  })
})
