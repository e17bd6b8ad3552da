import { strict as assert } from 'node:assert'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAuthError, ownCredentials } from '@strata/auth'
import { resolveSettings, systemClock } from '@strata/base'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { createAdminServer, type AdminServer } from '../admin/server.ts'
import { pulsarKeys } from '../config/pulsar-keys.ts'
import { brokerSettings } from '../config/settings.ts'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import { GUARDED, GuardedWorld, tokenOf, type Introduction } from './testing/guarded-world.ts'
import { RecordingLogger } from './testing/recording-logger.ts'

const PASSWORD = 'a-password-nobody-guesses'
const OWN_TOKEN = 'what-this-broker-says-of-itself'

let folder: string
let guarded: GuardedWorld
let admin: AdminServer
let logger: RecordingLogger
/** Everything that came out, by whatever door. */
let said: string[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strata-secrets-'))
  logger = new RecordingLogger()
  said = logger.lines
  const settings = {
    strataAuditLogPath: join(folder, 'audit.log'),
    authenticateOriginalAuthData: true,
    brokerClientAuthenticationPlugin: 'AuthenticationToken',
    brokerClientAuthenticationParameters: `token:${OWN_TOKEN}`
  }
  guarded = await GuardedWorld.start(settings, { logger })
  admin = createAdminServer({ broker: guarded.world.broker, clock: systemClock, logger })
})
afterEach(async () => {
  await admin.close()
  await guarded.close()
  await rm(folder, { recursive: true, force: true })
})

/** Whatever the broker answers, and all of it. */
async function introduce(introduction: Introduction): Promise<void> {
  const client = await guarded.introduce(introduction)
  const { command } = await client.take(({ command: { case: name } }) => name === 'connected' || name === 'error')
  said.push(shownText(command))
  if (command.case !== 'connected') return
  for (const topic of ['persistent://acme/app/t', 'persistent://other/app/t']) {
    said.push(shownText(await client.request('producer', { topic, producerId: 0n })))
  }
}

async function ask(method: 'GET' | 'PUT' | 'DELETE', url: string, headers: Record<string, string>): Promise<void> {
  const answer = await admin.inject({
    method,
    url,
    headers,
    ...(method === 'PUT' ? { payload: '{"adminRoles":[]}' } : {})
  })
  said.push(`${method} ${url} ${answer.statusCode} ${JSON.stringify(answer.headers)} ${answer.body}`)
}

function shownText(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner))
}

/** Of a token the parts that are its owner's alone: what it claims, and its signature. */
function partsOf(token: string): string[] {
  return token.split('.').slice(1)
}

describe('credentials', () => {
  test('are in no log line, error, answer, metric or audit record, whether they are right or wrong', async () => {
    const [root, ann] = [tokenOf('root'), tokenOf('ann', { aud: 'x' })]
    const expired = tokenOf('root', { exp: 1 })
    const forged = `${tokenOf('boss').slice(0, -8)}Zm9yZ2Vk`
    for (const data of [root, ann, expired, forged]) await introduce({ method: 'token', data })
    await introduce({ method: 'basic', data: 'ann:secret' })
    await introduce({ method: 'basic', data: `ann:${PASSWORD}` })
    await introduce({ method: 'basic', data: PASSWORD })
    await introduce({ method: 'token', data: tokenOf('proxy'), originalPrincipal: 'x', originalAuthData: forged })
    for (const token of [root, ann, expired, forged]) {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      await ask('GET', '/admin/v2/tenants', headers)
      await ask('GET', '/metrics', headers)
      await ask('GET', '/admin/v2/brokers/configuration/runtime', headers)
      await ask('GET', '/admin/v2/persistent/acme/app/t/stats', headers)
      await ask('PUT', '/admin/v2/tenants/fresh', headers)
      await ask('DELETE', '/admin/v2/tenants/fresh?authoritative=maybe', headers)
      await ask('GET', '/no/such/path', headers)
    }
    const basic = `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}`
    await ask('GET', '/admin/v2/tenants', { authorization: basic })
    await ask('GET', '/admin/v2/tenants', { authorization: PASSWORD, 'x-pulsar-auth-method-name': PASSWORD })
    said.push(await readFile(join(folder, 'audit.log'), 'utf8'))

    const all = said.join('\n')
    assert.match(all, /session\.refused/)
    assert.match(all, /http\.refused/)
    assert.match(all, /"operation":"createTenant"/)
    const { tokenSecretKey = '', basicAuthConf = '' } = GUARDED
    const secrets = [
      ...[root, ann, expired, forged].flatMap(partsOf),
      PASSWORD,
      basic.slice('Basic '.length),
      'ann:secret',
      OWN_TOKEN,
      tokenSecretKey.slice('data:;base64,'.length),
      basicAuthConf.slice('data:;base64,'.length),
      'LrttParrLPdxvgutaSXWJ0'
    ]
    for (const secret of secrets) {
      assert.ok(secret.length > 8)
      const lines = said.filter(line => line.includes(secret)).map(line => line.slice(0, 300))
      assert.deepEqual(lines, [], 'nothing of it comes out')
    }
  })

  test('are in no error that stops a start', async () => {
    const wrong = [
      { tokenSecretKey: `data:no-comma-${PASSWORD}` },
      { tokenSecretKey: `!${PASSWORD}` },
      { tokenPublicKey: `data:,${PASSWORD}`, tokenSecretKey: '' },
      { basicAuthConf: `data:,${PASSWORD}` }
    ]
    for (const changes of wrong) {
      const started = BrokerWorld.start({ ...GUARDED, ...changes })
      const error = await started.then(
        async world => {
          await world.close()
          return undefined
        },
        (reason: unknown) => reason
      )
      assert.ok(isAuthError(error, 'AUTH_SETTING_INVALID'), JSON.stringify(Object.keys(changes)))
      assert.ok(!`${error.message} ${JSON.stringify(error.details)} ${String(error.cause)}`.includes(PASSWORD))
    }
    const said = { brokerClientAuthenticationPlugin: 'AuthenticationBasic' }
    assert.throws(
      () => ownCredentials({ ...said, brokerClientAuthenticationParameters: PASSWORD }),
      error => isAuthError(error) && !error.message.includes(PASSWORD)
    )
    const sources = [{ origin: '--set', key: 'tokenSecretKey2', value: PASSWORD }]
    assert.throws(
      () => resolveSettings(brokerSettings, sources, { lenient: false, foreign: pulsarKeys }),
      (error: Error) => !error.message.includes(PASSWORD)
    )
  })
})
