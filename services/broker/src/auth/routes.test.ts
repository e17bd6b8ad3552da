import { silentLogger, systemClock } from '@strata/base'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Route } from '../admin/route.ts'
import { routes } from '../admin/routes/index.ts'
import { createAdminServer, type AdminServer } from '../admin/server.ts'
import { GuardedWorld, tokenOf } from './testing/guarded-world.ts'

/*
  Every route, as everybody: refused as the route table says, before anything is looked at. Where a role is allowed, only
  what reads is tried: what changes things has its own tests.
*/

const ROLES = ['nobody', 'stranger', 'reader', 'writer', 'boss', 'root'] as const
type Role = (typeof ROLES)[number]

const ALLOWED: Readonly<Record<Route['permission'], readonly Role[]>> = {
  open: ROLES,
  authenticated: ROLES,
  superuser: ['root'],
  'tenant-admin': ['boss', 'root'],
  lookup: ['reader', 'writer', 'boss', 'root'],
  consume: ['reader', 'boss', 'root'],
  produce: ['writer', 'boss', 'root'],
  packages: ['boss', 'root'],
  functions: ['boss', 'root'],
  sources: ['boss', 'root'],
  sinks: ['boss', 'root']
}

let guarded: GuardedWorld
let admin: AdminServer

beforeAll(async () => {
  guarded = await GuardedWorld.start()
  admin = createAdminServer({ broker: guarded.world.broker, clock: systemClock, logger: silentLogger })
  await guarded.grant({ kind: 'namespace', namespace: 'acme/app' }, 'reader', 'consume')
  await guarded.grant({ kind: 'namespace', namespace: 'acme/app' }, 'writer', 'produce')
  await guarded.grant({ kind: 'namespace', namespace: 'acme/second' }, 'nobody', 'produce', 'consume')
  const client = await guarded.connectAs('root')
  await client.producer('persistent://acme/app/matrix')
})

afterAll(async () => {
  await admin.close()
  await guarded.close()
})

const VALUES: Readonly<Record<string, string>> = {
  tenant: 'acme',
  namespace: 'app',
  topic: 'matrix',
  domain: 'persistent',
  bundle: '0x00000000_0x40000000'
}

function urlOf({ path }: Route): string {
  return path.replace(/:(\w+)(?:\(\^[^)]*\$\))?/g, (_all, name: string) => VALUES[name] ?? 'x')
}

interface Call {
  readonly method: Route['method']
  readonly url: string
  readonly payload?: string
}

async function call(request: Call, headers: Record<string, string>): Promise<{ status: number; reason: string }> {
  const { statusCode, body } = await admin.inject({ ...request, headers })
  const { reason = '' } = body.startsWith('{') ? (JSON.parse(body) as { reason?: string }) : {}
  return { status: statusCode, reason }
}

const as = (role: string): Record<string, string> => ({ authorization: `Bearer ${tokenOf(role)}` })
const isRefusal = (status: number): boolean => status === 401 || status === 403

describe.each(ROLES)('as %s', role => {
  test.each(routes.map(route => [`${route.method} ${route.path}`, route] as const))('%s', async (_name, route) => {
    const isAllowed = ALLOWED[route.permission].includes(role)
    if (isAllowed && route.method !== 'GET') return
    const { status, reason } = await call({ method: route.method, url: urlOf(route) }, as(role))
    expect(isRefusal(status), `${status} ${reason}`).toBe(!isAllowed)
    if (!isAllowed) expect(reason).not.toBe('')
  })
})

test('whoever is not known is refused everything that is not open', async () => {
  for (const route of routes) {
    const request = { method: route.method, url: urlOf(route) }
    if (route.permission === 'open') expect((await call(request, {})).status).not.toBe(401)
    else expect(await call(request, {})).toEqual({ status: 401, reason: 'Authentication required' })
  }
})

describe('who asks over HTTP', () => {
  const tenants = { method: 'GET', url: '/admin/v2/tenants' } as const
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  test.each<[name: string, headers: Record<string, string>, expected: number]>([
    ['a token', as('root'), 200],
    ['a token of another key', { authorization: `Bearer ${tokenOf('root')}x` }, 401],
    ['a password of one who may not', { authorization: basic('ann:secret') }, 401],
    ['a proxy for a super user', { ...as('proxy-root'), 'x-original-principal': 'root' }, 200],
    ['a proxy that may not itself', { ...as('proxy'), 'x-original-principal': 'root' }, 401],
    ['a proxy for one who may not', { ...as('proxy-root'), 'x-original-principal': 'ann' }, 401],
    ['a proxy for nobody', as('proxy-root'), 401],
    ['one who is no proxy, for a super user', { ...as('ann'), 'x-original-principal': 'root' }, 401]
  ])('%s', async (_name, headers, expected) => {
    expect((await call(tenants, headers)).status).toBe(expected)
  })
})

describe('grants over HTTP', () => {
  const N = '/admin/v2/namespaces/acme/app'
  const T = '/admin/v2/persistent/acme/app/grants'
  const post = (url: string, value: unknown): Call => ({ method: 'POST', url, payload: JSON.stringify(value) })
  const read = async (url: string): Promise<unknown> => {
    const { body } = await admin.inject({ method: 'GET', url, headers: as('boss') })
    return JSON.parse(body) as unknown
  }

  test('are given, shown and taken back, at each scope', async () => {
    const told = async (request: Call): Promise<number> => (await call(request, as('boss'))).status
    expect(await told(post(`${T}/permissions/ann`, ['consume']))).toBe(404)
    expect(await told({ method: 'PUT', url: T })).toBe(204)
    expect(await told(post(`${N}/permissions/ann`, ['produce', 'functions']))).toBe(204)
    expect(await told(post(`${T}/permissions/ann`, ['consume']))).toBe(204)
    expect(await told(post(`${T}/permissions/bob`, ['produce']))).toBe(204)
    expect(await told(post(`${N}/permissions/subscription/s`, ['ann', 'bob']))).toBe(204)
    expect(await read(`${N}/permissions`)).toMatchObject({ ann: ['produce', 'functions'] })
    expect(await read(`${T}/permissions`)).toMatchObject({ ann: ['produce', 'functions', 'consume'], bob: ['produce'] })
    expect(await read(`${N}/permissions/subscription`)).toEqual({ s: ['ann', 'bob'] })
    expect(await read(N)).toMatchObject({ auth_policies: { subscription_auth_roles: { s: ['ann', 'bob'] } } })
    expect(await told({ method: 'DELETE', url: `${T}/permissions/ann` })).toBe(204)
    expect(await told({ method: 'DELETE', url: `${T}/permissions/ann` })).toBe(204)
    expect(await told({ method: 'DELETE', url: `${N}/permissions/s/ann` })).toBe(204)
    expect(await told({ method: 'DELETE', url: `${N}/permissions/ann` })).toBe(204)
    expect(await read(`${N}/permissions/subscription`)).toEqual({ s: ['bob'] })
    expect(await read(`${T}/permissions`)).toMatchObject({ bob: ['produce'] })
    expect(await told(post(`${N}/permissions/ann`, ['fly']))).toBe(400)
    expect(await told(post('/admin/v2/namespaces/acme/none/permissions/ann', ['produce']))).toBe(404)
    expect(await read(`${N}/subscriptionAuthMode`)).toBe('None')
    expect(await told(post(`${N}/subscriptionAuthMode`, 'Prefix'))).toBe(204)
    expect(await read(`${N}/subscriptionAuthMode`)).toBe('Prefix')
    expect(await told(post(`${N}/subscriptionAuthMode`, 'None'))).toBe(204)
  })

  test('on several topics are asked about one by one, and all or nothing', async () => {
    const entry = (topic: string): object => ({ topic, role: 'eve', actions: ['produce'] })
    const url = '/admin/v2/namespaces/grantPermissionsOnTopics'
    const both = [entry('persistent://acme/app/a'), entry('persistent://other/app/b')]
    expect((await call(post(url, both), as('boss'))).status).toBe(403)
    expect((await call(post(url, both.slice(0, 1)), as('boss'))).status).toBe(404)
    expect((await call({ method: 'PUT', url: '/admin/v2/persistent/acme/app/a' }, as('boss'))).status).toBe(204)
    expect(await read('/admin/v2/persistent/acme/app/a/permissions')).not.toHaveProperty('eve')
    expect((await call(post(url, both.slice(0, 1)), as('boss'))).status).toBe(204)
    expect(await read('/admin/v2/persistent/acme/app/a/permissions')).toHaveProperty('eve', ['produce'])
    const revoke = '/admin/v2/namespaces/revokePermissionsOnTopics'
    expect((await call(post(revoke, both.slice(0, 1)), as('boss'))).status).toBe(204)
    expect(await read('/admin/v2/persistent/acme/app/a/permissions')).not.toHaveProperty('eve')
  })
})

test('pages that are open name no topics, and metrics are as open as their setting says', async () => {
  const page = await admin.inject({ method: 'GET', url: '/status.html' })
  expect(page.body).toContain('OK')
  expect(page.body).not.toContain('acme')
  const metrics = { method: 'GET', url: '/metrics' } as const
  expect((await admin.inject(metrics)).statusCode).toBe(200)
  guarded.world.settings.authenticateMetricsEndpoint = true
  expect((await admin.inject(metrics)).statusCode).toBe(401)
  expect((await admin.inject({ ...metrics, headers: as('nobody') })).statusCode).toBe(200)
})

test('settings that hold credentials are not shown', async () => {
  const url = '/admin/v2/brokers/configuration/runtime'
  const { body } = await admin.inject({ method: 'GET', url, headers: as('root') })
  const shown = JSON.parse(body) as Record<string, string>
  expect(shown.tokenSecretKey).toBe('******')
  expect(shown.basicAuthConf).toBe('******')
  expect(shown.authenticationEnabled).toBe('true')
})
