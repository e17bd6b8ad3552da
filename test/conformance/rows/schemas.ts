// Schemas: registered by whoever comes first, checked for whoever comes after, seen by all.
import { strict as assert } from 'node:assert'
import type { SchemaSpec } from '../client.ts'
import { topicPath } from '../http.ts'
import { refused, type Capability, type Context, type Row } from '../row.ts'

const SHORT = { operationTimeoutMs: 8_000 }

interface Field {
  readonly name: string
  readonly type: unknown
  readonly default?: null
}

const definition = (fields: readonly Field[]): string => JSON.stringify({ type: 'record', name: 'User', fields })
const NAME = { name: 'name', type: ['null', 'string'], default: null } as const
const AGE = { name: 'age', type: 'int' } as const
const EMAIL = { name: 'email', type: ['null', 'string'], default: null } as const
const TEXT_AGE = { name: 'age', type: ['null', 'string'], default: null } as const

type Kind = 'JSON' | 'AVRO'

const user = (type: Kind): SchemaSpec => ({ type, record: 'User', definition: definition([NAME, AGE]) })
const userWithEmail = (type: Kind): SchemaSpec => ({
  type,
  record: 'UserWithEmail',
  definition: definition([NAME, AGE, EMAIL])
})
const userWithTextAge = (type: Kind): SchemaSpec => ({
  type,
  record: 'UserWithTextAge',
  definition: definition([NAME, TEXT_AGE])
})
const STRING: SchemaSpec = { type: 'STRING' }
const ANN = { name: 'Ann', age: 30 }

interface StoredSchema {
  readonly version: number
  readonly type: string
  readonly data: string
}

const schemaPath = (topic: string): string => topicPath(topic).replace(/^[a-z-]+/, 'schemas')
const stored = (c: Context, topic: string): Promise<StoredSchema> =>
  c.admin.get<StoredSchema>(`${schemaPath(topic)}/schema`)

async function roundTrip(c: Context, type: Kind): Promise<void> {
  const topic = c.topic()
  const client = await c.client()
  const consumer = await client.consumer(topic, 's', { schema: user(type) })
  const producer = await client.producer(topic, { schema: user(type) })
  await producer.send({ value: ANN })
  assert.deepEqual((await consumer.receive()).fields.value, ANN)
  const schema = await stored(c, topic)
  assert.deepEqual([schema.version, schema.type], [0, type])
  const { fields } = JSON.parse(schema.data) as { fields: { name: string }[] }
  assert.deepEqual(fields.map(({ name }) => name).sort(), ['age', 'name'])
}

async function evolves(c: Context, type: Kind): Promise<void> {
  const topic = c.topic()
  const client = await c.client(SHORT)
  const old = await client.producer(topic, { schema: user(type) })
  await old.send({ value: ANN })
  await client.producer(topic, { schema: userWithEmail(type) })
  assert.equal((await stored(c, topic)).version, 1)
  // what is known already makes no new version
  await client.producer(topic, { schema: user(type) })
  await client.producer(topic, { schema: userWithEmail(type) })
  assert.equal((await stored(c, topic)).version, 1)
}

async function refusesChange(c: Context, type: Kind): Promise<void> {
  const topic = c.topic()
  const client = await c.client(SHORT)
  const producer = await client.producer(topic, { schema: user(type) })
  await refused(client.producer(topic, { schema: userWithTextAge(type) }), 'IncompatibleSchema')
  await refused(client.consumer(topic, 's', { schema: userWithTextAge(type) }), 'IncompatibleSchema')
  await producer.send({ value: ANN })
  assert.equal((await stored(c, topic)).version, 0)
}

const kinds: readonly Kind[] = ['JSON', 'AVRO']
const needs = (type: Kind): Capability[] => (type === 'AVRO' ? ['schema', 'avro'] : ['schema'])

export const schemaRows: readonly Row[] = [
  {
    name: 'schema-string',
    proves: 'a STRING schema is registered by the producer and its values arrive',
    feature: 'schemas',
    needs: ['schema'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { schema: STRING })
      await (await client.producer(topic, { schema: STRING })).send({ value: 'grüße' })
      assert.equal((await consumer.receive()).fields.value, 'grüße')
      const schema = await stored(c, topic)
      assert.deepEqual([schema.version, schema.type], [0, 'STRING'])
    }
  },
  ...kinds.flatMap((type): Row[] => [
    {
      name: `schema-${type.toLowerCase()}`,
      proves: `a ${type} schema is registered once, shown by the admin API, and its values arrive`,
      feature: 'schemas',
      needs: needs(type),
      run: c => roundTrip(c, type)
    },
    {
      name: `schema-${type.toLowerCase()}-evolves`,
      proves: `a compatible ${type} schema becomes the next version, a known one none`,
      feature: 'schemas',
      needs: needs(type),
      run: c => evolves(c, type)
    },
    {
      name: `schema-${type.toLowerCase()}-incompatible`,
      proves: `a ${type} field of another type is refused with IncompatibleSchema, to producers and consumers`,
      feature: 'schemas',
      needs: needs(type),
      run: c => refusesChange(c, type)
    }
  ]),
  {
    name: 'schema-other-type',
    proves: 'a schema of another kind than the topic’s is refused with IncompatibleSchema',
    feature: 'schemas',
    needs: ['schema'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client(SHORT)
      await client.producer(topic, { schema: user('JSON') })
      await refused(client.producer(topic, { schema: STRING }), 'IncompatibleSchema')
      await refused(client.consumer(topic, 's', { schema: STRING }), 'IncompatibleSchema')
    }
  },
  {
    name: 'schema-by-consumer',
    proves: 'on a topic without schema, data and clients the consumer’s schema is registered',
    feature: 'schemas',
    needs: ['schema'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client(SHORT)
      await client.consumer(topic, 's', { schema: user('JSON') })
      assert.equal((await stored(c, topic)).type, 'JSON')
      await refused(client.producer(topic, { schema: STRING }), 'IncompatibleSchema')
    }
  },
  {
    name: 'schema-bytes-producer',
    proves: 'a producer without schema may publish to a topic that has one',
    feature: 'schemas',
    needs: ['schema'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { schema: STRING })
      await (await client.producer(topic)).send('raw')
      assert.equal((await consumer.receive()).fields.value, 'raw')
    }
  },
  {
    name: 'schema-none',
    proves: 'a topic without schema says so: 404',
    feature: 'schemas',
    run: async c => {
      const topic = c.topic()
      await (await (await c.client()).producer(topic)).send('x')
      await c.admin.expect(404, 'GET', `${schemaPath(topic)}/schema`)
    }
  },
  {
    name: 'schema-survives-unload',
    proves: 'a topic’s schema and its versions stay when it is unloaded',
    feature: 'schemas',
    needs: ['schema'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client(SHORT)
      await (await client.producer(topic, { schema: user('JSON') })).close()
      await c.admin.expect(204, 'PUT', `${topicPath(topic)}/unload`)
      await refused(client.producer(topic, { schema: userWithTextAge('JSON') }), 'IncompatibleSchema')
      await client.producer(topic, { schema: userWithEmail('JSON') })
      const { getSchemaResponses } = await c.admin.get<{ getSchemaResponses: StoredSchema[] }>(
        `${schemaPath(topic)}/schemas`
      )
      assert.deepEqual(
        getSchemaResponses.map(({ version }) => version),
        [0, 1]
      )
    }
  },
  {
    name: 'schema-int32',
    proves: 'a primitive schema works',
    feature: 'schemas',
    needs: ['int32-schema'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const schema: SchemaSpec = { type: 'INT32' }
      const consumer = await client.consumer(topic, 's', { schema })
      await (await client.producer(topic, { schema })).send({ value: -5 })
      assert.equal((await consumer.receive()).fields.value, -5)
      assert.equal((await stored(c, topic)).type, 'INT32')
    }
  },
  {
    name: 'schema-auto-consume',
    proves: 'a consumer that takes any schema reads each message by the version it was written with',
    feature: 'schemas',
    needs: ['auto-consume'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const old = await client.producer(topic, { schema: user('AVRO') })
      const consumer = await client.consumer(topic, 's', { schema: { type: 'AUTO_CONSUME' } })
      const next = await client.producer(topic, { schema: userWithEmail('AVRO') })
      await old.send({ value: ANN })
      await next.send({ value: { ...ANN, email: 'ann@example.org' } })
      assert.deepEqual((await consumer.receive()).fields.value, ANN)
      assert.deepEqual((await consumer.receive()).fields.value, { ...ANN, email: 'ann@example.org' })
    }
  }
]
