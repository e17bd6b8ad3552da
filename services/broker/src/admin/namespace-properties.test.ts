import { afterAll, beforeAll, expect, test } from 'vitest'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld

beforeAll(async () => {
  admin = await AdminWorld.start()
})

afterAll(async () => {
  await admin.close()
})

const NAMESPACE = 'namespaces/public/default'

test('properties of a namespace are added, shown, replaced and removed', async () => {
  const all = async (): Promise<unknown> => (await admin.call('GET', `${NAMESPACE}/properties`)).body
  expect(await all()).toEqual({})
  expect(await admin.told('PUT', `${NAMESPACE}/properties`, { a: '1', b: '2' })).toBe('204')
  expect(await admin.told('PUT', `${NAMESPACE}/properties`, { b: '3' })).toBe('204')
  expect(await all()).toEqual({ a: '1', b: '3' })
  expect((await admin.call('GET', NAMESPACE)).body).toMatchObject({ properties: { a: '1', b: '3' } })
  expect(await admin.told('PUT', `${NAMESPACE}/property/c/4%2F5`)).toBe('204')
  expect((await admin.call('GET', `${NAMESPACE}/property/c`)).body).toBe('4/5')
  expect(await admin.call('DELETE', `${NAMESPACE}/property/a`)).toMatchObject({ status: 200, body: 1 })
  expect(await admin.call('GET', `${NAMESPACE}/property/a`)).toMatchObject({ status: 200, body: undefined })
  expect(await admin.call('DELETE', `${NAMESPACE}/property/a`)).toMatchObject({ status: 200, body: undefined })
  expect(await admin.told('DELETE', `${NAMESPACE}/properties`)).toBe('204')
  expect(await all()).toEqual({})
})

test('those who set different ones at once lose none', async () => {
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`)
  await Promise.all(keys.map(key => admin.call('PUT', `${NAMESPACE}/property/${key}/v`)))
  const { body } = await admin.call('GET', `${NAMESPACE}/properties`)
  expect(body).toEqual(Object.fromEntries(keys.map(key => [key, 'v'])))
})

test('what is missing is said', async () => {
  expect(await admin.told('GET', 'namespaces/absent/default/properties')).toBe('404 Tenant does not exist')
  expect(await admin.told('PUT', 'namespaces/public/absent/property/a/1')).toBe('404 Namespace does not exist')
  expect(await admin.told('PUT', `${NAMESPACE}/properties`, { a: 1 })).toBe('400')
})

test('the older name of the schema strategy holds until the newer one is set', async () => {
  const record = (...names: readonly string[]): string =>
    JSON.stringify({ type: 'record', name: 'r', fields: names.map(name => ({ name, type: 'string' })) })
  const post = async (schema: string): Promise<number> =>
    (await admin.call('POST', 'schemas/public/default/t/schema', { type: 'AVRO', schema, properties: {} })).status
  const strategy = (value: string): Promise<string> =>
    admin.told('PUT', `${NAMESPACE}/schemaAutoUpdateCompatibilityStrategy`, value)
  expect(await post(record('a'))).toBe(200)
  expect(await post(record('b'))).toBe(409)
  expect(await strategy('"AlwaysCompatible"')).toBe('204')
  expect(await strategy('"Other"')).toBe('204') // a word that is none says nothing, as in Apache Pulsar
  expect(await post(record('b'))).toBe(409)
  expect(await strategy('"AlwaysCompatible"')).toBe('204')
  expect(await post(record('b'))).toBe(200)
  expect(await admin.told('PUT', `${NAMESPACE}/schemaCompatibilityStrategy`, '"FULL"')).toBe('204')
  expect(await post(record('c'))).toBe(409)
  expect(await admin.told('PUT', `${NAMESPACE}/schemaCompatibilityStrategy`, '"UNDEFINED"')).toBe('204')
  expect(await post(record('c'))).toBe(200)
  expect(await strategy('')).toBe('204')
  expect(await post(record('d'))).toBe(409)
})
