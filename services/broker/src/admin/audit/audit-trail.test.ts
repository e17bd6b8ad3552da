import { strict as assert } from 'node:assert'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger, systemClock } from '@strata/base'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { GuardedWorld, tokenOf } from '../../auth/testing/guarded-world.ts'
import type { Method } from '../route.ts'
import { createAdminServer, type AdminServer } from '../server.ts'
import { readAuditLog, type AuditRecord } from './audit-log.ts'

let folder: string
let path: string
let guarded: GuardedWorld
let admin: AdminServer

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strata-audit-'))
  path = join(folder, 'audit.log')
  guarded = await GuardedWorld.start({ strataAuditLogPath: path })
  admin = createAdminServer({ broker: guarded.world.broker, clock: systemClock, logger: silentLogger })
})
afterEach(async () => {
  await admin.close()
  await guarded.close()
  await rm(folder, { recursive: true, force: true })
})

async function call(method: Method, url: string, options: { token?: string; body?: unknown } = {}): Promise<number> {
  const { token, body } = options
  const answer = await admin.inject({
    method,
    url: `/admin/v2/${url}`,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
    },
    ...(body === undefined ? {} : { payload: JSON.stringify(body) })
  })
  return answer.statusCode
}

async function records(): Promise<AuditRecord[]> {
  const found: AuditRecord[] = []
  for await (const each of readAuditLog(path)) found.push(each)
  return found
}

describe('the audit log', () => {
  test('has each change with who, what, before, after and what came of it; questions are not in it', async () => {
    const token = tokenOf('root')
    const { clusterName } = guarded.world.settings
    assert.equal(await call('GET', 'tenants', { token }), 200)
    const tenant = { adminRoles: ['x'], allowedClusters: [clusterName] }
    assert.equal(await call('PUT', 'tenants/fresh', { token, body: tenant }), 204)
    assert.equal(await call('POST', 'tenants/fresh', { token, body: { ...tenant, adminRoles: ['y'] } }), 204)
    assert.equal(await call('POST', 'namespaces/acme/app/messageTTL', { token, body: 60 }), 204)
    assert.equal(await call('DELETE', 'tenants/nobody', { token }), 404)
    const [made, changed, ttl, missing, ...rest] = await records()
    assert.equal(rest.length, 0)
    assert.deepEqual(
      [made?.operation, made?.method, made?.path, made?.status],
      ['createTenant', 'PUT', '/admin/v2/tenants/fresh', 204]
    )
    assert.deepEqual([made?.roles, made?.address], [['root'], '127.0.0.1'])
    assert.deepEqual(made?.request, tenant)
    assert.equal(made.before, undefined)
    assert.deepEqual(made.after, tenant)
    assert.deepEqual([changed?.before, changed?.after], [tenant, { ...tenant, adminRoles: ['y'] }])
    assert.deepEqual([ttl?.before, ttl?.after], [undefined, 60])
    assert.equal(missing?.status, 404)
    assert.ok(missing.reason !== undefined)
  })

  test('has what was refused: by name who may not, without one who is not believed', async () => {
    const [ann, forged] = [tokenOf('ann'), `${tokenOf('root').slice(0, -5)}AAAAA`]
    assert.equal(await call('DELETE', 'tenants/acme', { token: ann }), 401)
    assert.equal(await call('DELETE', 'tenants/acme', { token: forged }), 401)
    assert.equal(await call('DELETE', 'tenants/acme'), 401)
    const found = await records()
    assert.deepEqual(
      found.map(({ status, roles, operation }) => [status, roles, operation]),
      [
        [401, ['ann'], 'deleteTenant'],
        [401, [], 'deleteTenant'],
        [401, [], 'deleteTenant']
      ]
    )
    const text = await readFile(path, 'utf8')
    for (const token of [ann, forged]) {
      for (const part of token.split('.').slice(1)) assert.ok(!text.includes(part), 'no part of a token')
    }
  })
})
