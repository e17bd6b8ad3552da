import { silentLogger, systemClock } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { afterEach, expect, test } from 'vitest'
import { AdminWorld } from '../admin/testing/admin-world.ts'
import { createAdminServer, type AdminServer } from '../admin/server.ts'
import { GuardedWorld, tokenOf, type Introduction } from '../auth/testing/guarded-world.ts'
import { parseExposition, sampleOf, type Sample } from './testing/exposition.ts'

const START_MS = Date.UTC(2026, 0, 1)
const CLUSTER = { cluster: 'standalone' }
const TOKENS = { ...CLUSTER, provider_name: 'AuthenticationProviderToken', auth_method: 'token' }
const PASSWORDS = { ...CLUSTER, provider_name: 'AuthenticationProviderBasic', auth_method: 'basic' }

const closing: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function expiringIn(minutes: number): Introduction {
  return { method: 'token', data: tokenOf('root', { exp: START_MS / 1000 + minutes * 60 }) }
}

async function scrape(admin: AdminServer): Promise<readonly Sample[]> {
  const { statusCode, body } = await admin.inject({ method: 'GET', url: '/metrics' })
  expect(statusCode).toBe(200)
  return parseExposition(body)
}

test('logins are counted by provider and by why they were refused, and tokens by the time that they have left', async () => {
  const guarded = await GuardedWorld.start({ authenticateMetricsEndpoint: false }, { clock: new ManualClock(START_MS) })
  closing.push(() => guarded.close())
  const admin = createAdminServer({ broker: guarded.world.broker, clock: systemClock, logger: silentLogger })
  closing.push(() => admin.close())
  const introductions: readonly Introduction[] = [
    { method: 'token', data: tokenOf('root') },
    expiringIn(7),
    expiringIn(90),
    expiringIn(-1),
    { method: 'token', data: `${tokenOf('root')}x` },
    { method: 'token' },
    { method: 'basic', data: 'ann:secret' },
    { method: 'basic', data: 'ann:Secret' }
  ]
  for (const introduction of introductions) {
    const client = await guarded.introduce(introduction)
    await client.take(({ command }) => command.case === 'connected' || command.case === 'error')
  }
  const samples = await scrape(admin)
  expect(sampleOf(samples, 'pulsar_authentication_success_total', TOKENS)).toBe(3)
  expect(sampleOf(samples, 'pulsar_authentication_success_total', PASSWORDS)).toBe(1)
  const failures = (labels: Readonly<Record<string, string>>): number =>
    sampleOf(samples, 'pulsar_authentication_failures_total', labels)
  expect(failures({ ...TOKENS, reason: 'CREDENTIALS_REFUSED' })).toBe(2)
  expect(failures({ ...TOKENS, reason: 'CREDENTIALS_MISSING' })).toBe(1)
  expect(failures({ ...PASSWORDS, reason: 'CREDENTIALS_REFUSED' })).toBe(1)
  expect(sampleOf(samples, 'pulsar_expired_token_total', CLUSTER)).toBe(1)
  const within = ['5.0', '10.0', '60.0', '240.0', '+Inf'].map(le =>
    sampleOf(samples, 'pulsar_expiring_token_minutes_bucket', { ...CLUSTER, le })
  )
  expect(within).toEqual([0, 1, 1, 2, 2])
  expect(sampleOf(samples, 'pulsar_expiring_token_minutes_sum', CLUSTER)).toBe(97)
})

test('nothing is told of logins where nobody is asked who it is', async () => {
  const admin = await AdminWorld.start()
  closing.push(() => admin.close())
  const samples = await scrape(admin.admin)
  expect(samples.filter(({ metric }) => /authentication|token/.test(metric))).toEqual([])
})
