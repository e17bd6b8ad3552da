import { afterAll, beforeAll, expect, test } from 'vitest'
import { AdminWorld } from './testing/admin-world.ts'

const QUOTAS = 'resource-quotas'
const BUNDLE = `${QUOTAS}/public/default/0x00000000_0x40000000`
const OTHER = `${QUOTAS}/public/default/0x40000000_0x80000000`
const USUAL = { msgRateIn: 40, msgRateOut: 120, bandwidthIn: 100_000, bandwidthOut: 300_000, memory: 80, dynamic: true }
const OWN = { msgRateIn: 1.5, msgRateOut: 2, bandwidthIn: 3, bandwidthOut: 4, memory: 5, dynamic: false }

let admin: AdminWorld

beforeAll(async () => {
  admin = await AdminWorld.start()
})

afterAll(async () => {
  await admin.close()
})

async function shown(path: string): Promise<unknown> {
  return (await admin.call('GET', path)).body
}

test('a bundle has its own quota, else that of all, else the usual one', async () => {
  expect(await shown(QUOTAS)).toEqual(USUAL)
  expect(await shown(BUNDLE)).toEqual(USUAL)
  expect(await admin.told('POST', QUOTAS, { ...USUAL, msgRateIn: 41 })).toBe('204')
  expect(await admin.told('POST', BUNDLE, OWN)).toBe('204')
  expect(await shown(BUNDLE)).toEqual(OWN)
  expect(await shown(OTHER)).toMatchObject({ msgRateIn: 41 })
  expect(await admin.told('DELETE', BUNDLE)).toBe('204')
  expect(await shown(BUNDLE)).toMatchObject({ msgRateIn: 41 })
  expect(await admin.told('POST', QUOTAS)).toBe('204')
  expect(await shown(QUOTAS)).toEqual(USUAL)
})

test('what is left out is 0, and dynamic; without a body it goes', async () => {
  expect(await admin.told('POST', OTHER, { msgRateIn: 7 })).toBe('204')
  const none = { msgRateOut: 0, bandwidthIn: 0, bandwidthOut: 0, memory: 0 }
  expect(await shown(OTHER)).toEqual({ msgRateIn: 7, ...none, dynamic: true })
  expect(await admin.told('POST', OTHER)).toBe('204')
  expect(await shown(OTHER)).toEqual(USUAL)
})

test.each([
  ['no object', '"words"', '400'],
  ['no JSON', '{"a":', '400'],
  ['no number', { msgRateIn: 'many' }, '400'],
  ['less than nothing', { msgRateIn: -1 }, '412 A resource quota is made of numbers of 0 or more'],
  ['neither true nor false', { dynamic: 'maybe' }, '400']
])('refused: %s', async (_, body, told) => {
  expect(await admin.told('POST', BUNDLE, body)).toBe(told)
  expect(await shown(BUNDLE)).toEqual(USUAL)
})

test('of bundles that there are; a namespace that is not there is one', async () => {
  const odd = 'public/default/0x00000000_0x00000001'
  const expected = 'Expected upper boundary of public/default/0x00000000_0x40000000'
  for (const method of ['GET', 'POST', 'DELETE'] as const) {
    expect(await admin.told(method, `${QUOTAS}/${odd}`)).toBe(
      `412 Invalid upper boundary for bundle ${odd}. ${expected}`
    )
  }
  const path = '/loadbalance/resource-quota/public/default/0x00000000_0x40000000'
  expect(await admin.told('DELETE', BUNDLE)).toBe(`404 path ${path} not found.`)
  expect(await admin.told('GET', `${QUOTAS}/public/nope/0x00000000_0xffffffff`)).toBe('200')
})

test('quotas go with their namespace', async () => {
  await admin.call('PUT', 'namespaces/public/gone')
  expect(await admin.told('POST', `${QUOTAS}/public/gone/0x00000000_0x40000000`, OWN)).toBe('204')
  const { rows } = admin.world.broker.balance
  expect(await rows.quotaOf('public/gone/0x00000000_0x40000000')).toEqual(OWN)
  expect(await admin.told('DELETE', 'namespaces/public/gone')).toBe('204')
  expect(await rows.quotaOf('public/gone/0x00000000_0x40000000')).toBeUndefined()
})
