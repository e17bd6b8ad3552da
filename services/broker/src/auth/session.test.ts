import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { afterEach, describe, expect, test } from 'vitest'
import type { BrokerSettings } from '../config/settings.ts'
import { RecordingLogger } from './testing/recording-logger.ts'
import { GuardedWorld, tokenOf, type Introduction } from './testing/guarded-world.ts'

let guarded: GuardedWorld
const logger = new RecordingLogger()

afterEach(async () => {
  await guarded.close()
})

/** `connected`, or the error that came before the connection was closed. */
async function outcome(introduction: Introduction): Promise<string> {
  const client = await guarded.introduce(introduction)
  const { command } = await client.take(({ command }) => command.case === 'connected' || command.case === 'error')
  if (command.case !== 'error') return command.case
  const { error, message, requestId } = command.value
  assert.equal(requestId, 0xffff_ffff_ffff_ffffn)
  await client.closed()
  return `${error} ${message}`
}

describe('CONNECT', () => {
  const refused = '3 Failed to authenticate'
  const token = (role: string): Introduction => ({ method: 'token', data: tokenOf(role) })
  const cases: [name: string, introduction: Introduction, settings: Partial<BrokerSettings>, expected: string][] = [
    ['with a token', token('a'), {}, 'connected'],
    ['with a token of another key', { method: 'token', data: `${tokenOf('a')}x` }, {}, refused],
    ['with a token that has expired', { method: 'token', data: tokenOf('a', { exp: 1 }) }, {}, refused],
    ['with a password', { method: 'basic', data: 'ann:secret' }, {}, 'connected'],
    ['with a wrong password', { method: 'basic', data: 'ann:Secret' }, {}, refused],
    ['with nothing', {}, {}, refused],
    ['with a method that is not configured', { method: 'tls' }, {}, refused],
    ['with nothing, as anybody', {}, { anonymousUserRole: 'anybody' }, 'connected'],
    ['as a proxy for somebody', { ...token('proxy'), originalPrincipal: 'a' }, {}, 'connected'],
    ['as a proxy for nobody', token('proxy'), {}, '4 Invalid roles.'],
    ['as a proxy for a proxy', { ...token('proxy'), originalPrincipal: 'proxy' }, {}, '4 Invalid roles.'],
    ['as nobody who may ask for others', { ...token('a'), originalPrincipal: 'b' }, {}, '4 Invalid roles.'],
    [
      'as a proxy with what somebody showed it',
      { ...token('proxy'), originalPrincipal: 'root', originalAuthData: tokenOf('a') },
      { authenticateOriginalAuthData: true },
      'connected'
    ],
    [
      'as a proxy with what nobody believes',
      { ...token('proxy'), originalPrincipal: 'root', originalAuthData: 'x' },
      { authenticateOriginalAuthData: true },
      refused
    ]
  ]
  test.each(cases)('%s', async (_name, introduction, settings, expected) => {
    guarded = await GuardedWorld.start(settings, { logger })
    expect(await outcome(introduction)).toBe(expected)
  })

  test('what a proxy passes on counts, not whom it names', async () => {
    guarded = await GuardedWorld.start({ authenticateOriginalAuthData: true })
    const shownBy = { originalPrincipal: 'root', originalAuthData: tokenOf('a') }
    const client = await guarded.introduce({ method: 'token', data: tokenOf('proxy-root'), ...shownBy })
    await client.next('connected')
    const answer = await client.request('producer', { topic: 'persistent://acme/app/t', producerId: 0n })
    expect(answer).toMatchObject({ case: 'error', value: { error: 4 } })
  })

  test('nobody is asked where authentication is off, and authorization alone is refused', async () => {
    guarded = await GuardedWorld.start()
    const off = { authenticationEnabled: false }
    await expect(GuardedWorld.start({ ...off, authorizationEnabled: true })).rejects.toThrow(/needs authentication/)
  })
})

describe('credentials that end', () => {
  const START_MS = Date.UTC(2026, 0, 1)
  const CHECK_MS = 60_000
  const exp = (afterMs: number): { exp: number } => ({ exp: (START_MS + afterMs) / 1000 })

  async function begin(): Promise<ManualClock> {
    const clock = new ManualClock(START_MS)
    guarded = await GuardedWorld.start({ keepAliveIntervalSeconds: 3600 }, { clock, logger })
    return clock
  }

  test('are asked for again, and the connection lives on', async () => {
    const clock = await begin()
    const client = await guarded.connectAs('root', exp(90_000))
    clock.advance(CHECK_MS)
    await client.settle()
    expect(client.inbox).toEqual([])
    clock.advance(CHECK_MS)
    const { challenge } = await client.next('authChallenge')
    expect(challenge?.authMethodName).toBe('token')
    expect(Buffer.from(challenge?.authData ?? []).toString()).toBe('PulsarAuthRefresh')
    const renewed = logger.next('session.renewed')
    respond(client, tokenOf('root', exp(1_000_000)))
    await renewed
    clock.advance(CHECK_MS * 3)
    await client.settle()
    expect(client.isClosed).toBe(false)
  })

  test('close the connection at the next check, if no others are shown', async () => {
    const clock = await begin()
    const client = await guarded.connectAs('root', exp(30_000))
    clock.advance(CHECK_MS)
    await client.next('authChallenge')
    await client.settle()
    clock.advance(CHECK_MS)
    await client.closed()
  })

  test('close the connection of a client that cannot be asked', async () => {
    const clock = await begin()
    const data = tokenOf('root', exp(30_000))
    const client = await guarded.introduce({ method: 'token', data, supportsAuthRefresh: false })
    await client.next('connected')
    clock.advance(CHECK_MS)
    await client.closed()
  })

  test.each([
    ['of another role', tokenOf('boss')],
    ['that nobody believes', 'x'],
    ['that have ended too', tokenOf('root', exp(40_000))]
  ])('close the connection, if others are shown %s', async (_name, data) => {
    const clock = await begin()
    const client = await guarded.connectAs('root', exp(30_000))
    clock.advance(CHECK_MS)
    await client.next('authChallenge')
    respond(client, data)
    const { error } = await client.next('error')
    expect(error).toBe(3)
    await client.closed()
  })

  function respond(client: Awaited<ReturnType<GuardedWorld['connectAs']>>, data: string): void {
    const response = { authMethodName: 'token', authData: Buffer.from(data) }
    client.send('authResponse', { clientVersion: 'Raw-1.0', response, protocolVersion: 21 })
  }
})

test('nothing of what clients show is in a log', () => {
  expect(logger.lines.some(line => line.includes('session.refused'))).toBe(true)
  const secrets = [
    tokenOf('a').slice(-20),
    tokenOf('root').slice(-20),
    tokenOf('a', { exp: 1 }).slice(-20),
    ':secret',
    'Secret'
  ]
  for (const secret of secrets) expect(logger.lines.filter(line => line.includes(secret))).toEqual([])
  expect(logger.lines.filter(line => line.includes(tokenOf('a').slice(0, 20)))).toEqual([])
})
