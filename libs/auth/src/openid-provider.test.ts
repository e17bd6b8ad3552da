import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '@strata/base'
import { SignJWT, type JWTPayload } from 'jose'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isAuthError } from './errors.ts'
import { OpenIdProvider, type OpenIdSettings } from './openid-provider.ts'
import { authSettings } from './testing/settings.ts'

/** An issuer in this process: its keys change as a test says, and it counts who asks. */
let server: Server
let issuer = ''
let named = ''
let keys: { kid: string; privateKey: KeyObject; publicKey: KeyObject }[] = []
let asked = 0
let isDown = false

beforeEach(async () => {
  asked = 0
  isDown = false
  keys = [keyPair('one')]
  server = createServer((request, response) => {
    if (isDown) return void response.writeHead(503).end()
    const isDiscovery = request.url === '/.well-known/openid-configuration'
    if (!isDiscovery) asked++
    const jwks = {
      keys: keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256' }))
    }
    const body = isDiscovery ? { issuer: named, jwks_uri: `${issuer}/keys` } : jwks
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  named = issuer
})

afterEach(() => {
  server.closeAllConnections()
  server.close()
})

function keyPair(kid: string): (typeof keys)[number] {
  return { kid, ...generateKeyPairSync('ec', { namedCurve: 'prime256v1' }) }
}

function provider(changed: Partial<OpenIdSettings> = {}): OpenIdProvider {
  return new OpenIdProvider(
    authSettings({
      openIDAllowedTokenIssuers: issuer,
      openIDAllowedAudiences: 'us,them',
      openIDRequireIssuersUseHttps: false,
      ...changed
    }),
    systemClock
  )
}

async function token(claims: JWTPayload = {}, by = keys[0] ?? keyPair('none')): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 60
  const payload = { sub: 'ann', iss: issuer, aud: 'us', exp, ...claims }
  return await new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: by.kid }).sign(by.privateKey)
}

async function outcome(known: OpenIdProvider, data: string): Promise<string> {
  try {
    return (await known.authenticate({ data, certificate: undefined })).role
  } catch (error) {
    return isAuthError(error) ? `${error.code} ${error.message}` : String(error)
  }
}

test('a token of an issuer is believed, and its keys are asked for once', async () => {
  const known = provider()
  for (let times = 0; times < 5; times++) expect(await outcome(known, await token())).toBe('ann')
  expect(await outcome(provider({ openIDRoleClaim: 'email' }), await token({ email: 'a@b' }))).toBe('a@b')
  expect(asked).toBe(2)
})

test.each<[name: string, claims: JWTPayload, expected: RegExp]>([
  ['another issuer', { iss: 'https://other.invalid' }, /REFUSED the token is of an issuer that is not allowed/],
  ['another audience', { aud: 'nobody' }, /REFUSED a claim/],
  ['an end that has come', { exp: 1 }, /REFUSED the token has expired/],
  ['no role', { sub: '' }, /REFUSED the token names no role/]
])('a token with %s is not', async (_name, claims, expected) => {
  expect(await outcome(provider(), await token(claims))).toMatch(expected)
})

test('keys that the issuer changes are asked for again, and old ones count no more', async () => {
  const known = provider({ openIDKeyIdCacheMissRefreshSeconds: 0 })
  const old = await token()
  expect(await outcome(known, old)).toBe('ann')
  keys = [keyPair('two')]
  expect(await outcome(known, await token())).toBe('ann')
  expect(await outcome(known, old)).toMatch(/REFUSED the issuer of the token has no such key/)
})

test('a key that nobody has does not make it ask again and again', async () => {
  const known = provider()
  expect(await outcome(known, await token())).toBe('ann')
  for (let times = 0; times < 5; times++) {
    expect(await outcome(known, await token({}, keyPair('none')))).toMatch(/REFUSED/)
  }
  expect(asked).toBe(1)
})

test('an issuer that does not answer is told from a token that is wrong, and asked again', async () => {
  const known = provider()
  isDown = true
  expect(await outcome(known, await token())).toMatch(/ISSUER_UNREACHABLE/)
  isDown = false
  expect(await outcome(known, await token())).toBe('ann')
})

test('whoever answers in the place of an issuer must not name another', async () => {
  named = 'https://other.invalid'
  expect(await outcome(provider(), await token())).toMatch(/ISSUER_UNREACHABLE/)
})

test('an issuer without TLS, or none, stops the start', () => {
  expect(() => provider({ openIDRequireIssuersUseHttps: true })).toThrow(/not https/)
  expect(() => provider({ openIDAllowedTokenIssuers: '' })).toThrow(/openIDAllowedTokenIssuers/)
  expect(() => provider({ openIDAllowedAudiences: '' })).toThrow(/openIDAllowedAudiences/)
})
