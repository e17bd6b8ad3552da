import { strict as assert } from 'node:assert'
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock, type Clock } from '@strata/base'
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import { afterAll, describe, expect, test } from 'vitest'
import { isAuthError } from './errors.ts'
import { authSettings, dataUrl } from './testing/settings.ts'
import { TokenProvider, type TokenSettings } from './token-provider.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const clock: Clock = { ...systemClock, wallMs: () => NOW_MS }
const secret = randomBytes(32)
const directory = mkdtempSync(join(tmpdir(), 'strata-auth-'))
afterAll(() => {
  rmSync(directory, { recursive: true })
})

async function signed(claims: JWTPayload, alg = 'HS256', key: Uint8Array | KeyObject = secret): Promise<string> {
  return await new SignJWT(claims).setProtectedHeader({ alg }).sign(key)
}

async function outcome(token: string, changed: Partial<TokenSettings> = {}): Promise<string> {
  const provider = new TokenProvider(authSettings({ tokenSecretKey: dataUrl(secret), ...changed }), clock)
  try {
    const { role } = await provider.authenticate({ data: token, certificate: undefined })
    return role
  } catch (error) {
    assert(isAuthError(error))
    if (token !== '') expect(error.message).not.toContain(token.slice(0, 10))
    return error.message
  }
}

const inSeconds = (offset: number): number => NOW_MS / 1000 + offset
const EXPIRED = 'the token has expired'

describe('what a token says', () => {
  const cases: [name: string, claims: JWTPayload, settings: Partial<TokenSettings>, outcome: string][] = [
    ['a role', { sub: 'a' }, {}, 'a'],
    ['no role', {}, {}, 'the token names no role'],
    ['an empty role', { sub: '' }, {}, 'the token names no role'],
    ['a number for a role', { role: 3 }, { tokenAuthClaim: 'role' }, 'the token names no role'],
    ['its role under another name', { sub: 'a', role: 'b' }, { tokenAuthClaim: 'role' }, 'b'],
    ['several roles', { roles: ['b', 'c'] }, { tokenAuthClaim: 'roles' }, 'b'],
    ['that it lasts', { sub: 'a', exp: inSeconds(1) }, {}, 'a'],
    ['that it has ended', { sub: 'a', exp: inSeconds(-1) }, {}, EXPIRED],
    ['that it ended within the skew', { sub: 'a', exp: inSeconds(-5) }, { tokenAllowedClockSkewSeconds: 6 }, 'a'],
    ['that it ended before the skew', { sub: 'a', exp: inSeconds(-7) }, { tokenAllowedClockSkewSeconds: 6 }, EXPIRED],
    ['that it begins later', { sub: 'a', nbf: inSeconds(60) }, {}, 'a claim of the token does not hold'],
    ['our audience', { sub: 'a', aud: 'us' }, { tokenAudienceClaim: 'aud', tokenAudience: 'us' }, 'a'],
    ['us among audiences', { sub: 'a', aud: ['x', 'us'] }, { tokenAudienceClaim: 'aud', tokenAudience: 'us' }, 'a'],
    [
      'another audience',
      { sub: 'a', aud: 'usa' },
      { tokenAudienceClaim: 'aud', tokenAudience: 'us' },
      'the token is for another audience'
    ],
    [
      'no audience',
      { sub: 'a' },
      { tokenAudienceClaim: 'aud', tokenAudience: 'us' },
      'the token is for another audience'
    ]
  ]
  test.each(cases)('%s', async (_name, claims, settings, expected) => {
    expect(await outcome(await signed(claims), settings)).toBe(expected)
  })

  test('when it ends, so that the client can be asked again', async () => {
    const provider = new TokenProvider(authSettings({ tokenSecretKey: dataUrl(secret) }), clock)
    const data = await signed({ sub: 'a', exp: inSeconds(90) })
    const identity = await provider.authenticate({ data, certificate: undefined })
    expect(identity.expiresAtMs).toBe(NOW_MS + 90_000)
  })
})

describe('how it is signed', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const curves = { ES256: 'prime256v1', ES384: 'secp384r1', ES512: 'secp521r1' } as const

  test.each(['HS256', 'HS384', 'HS512'])('%s', async alg => {
    expect(await outcome(await signed({ sub: 'a' }, alg))).toBe('a')
    expect(await outcome(await signed({ sub: 'a' }, alg, randomBytes(64)))).toMatch(/signature/)
  })

  test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])('%s', async alg => {
    const token = await signed({ sub: 'a' }, alg, rsa.privateKey)
    const der = dataUrl(rsa.publicKey.export({ format: 'der', type: 'spki' }))
    expect(await outcome(token, { tokenSecretKey: '', tokenPublicKey: der, tokenPublicAlg: alg })).toBe('a')
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
    const otherPem = dataUrl(Buffer.from(other.export({ format: 'pem', type: 'spki' })))
    expect(await outcome(token, { tokenSecretKey: '', tokenPublicKey: otherPem })).toMatch(/signature/)
  })

  test.each(['ES256', 'ES384', 'ES512'] as const)('%s', async alg => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curves[alg] })
    const pem = dataUrl(Buffer.from(publicKey.export({ format: 'pem', type: 'spki' })))
    const token = await signed({ sub: 'a' }, alg, privateKey)
    expect(await outcome(token, { tokenSecretKey: '', tokenPublicKey: pem, tokenPublicAlg: alg })).toBe('a')
  })

  test('not at all', async () => {
    expect(await outcome(new UnsecuredJWT({ sub: 'a' }).encode())).toMatch(/algorithm|read/)
  })

  test('with the public key as a secret', async () => {
    const pem = Buffer.from(rsa.publicKey.export({ format: 'pem', type: 'spki' }))
    const token = await signed({ sub: 'a' }, 'HS256', pem)
    expect(await outcome(token, { tokenSecretKey: '', tokenPublicKey: dataUrl(pem) })).toMatch(/algorithm/)
  })

  test.each(['', 'x', 'a.b.c', `${'a'.repeat(9)}.e30.`])('a text that is no token: %j', async text => {
    expect(await outcome(text)).toMatch(/no token|cannot be read|algorithm/)
  })
})

describe('where keys are', () => {
  const path = join(directory, 'secret.key')
  writeFileSync(path, secret)
  test.each([
    ['a file', pathToFileURL(path).href],
    ['a file without the slashes of the standard', `file:${path}`],
    ['a path', path],
    ['a data URL', dataUrl(secret)],
    ['base64', secret.toString('base64')]
  ])('%s', async (_name, tokenSecretKey) => {
    expect(await outcome(await signed({ sub: 'a' }), { tokenSecretKey })).toBe('a')
  })

  test.each([
    ['nowhere', {}, /tokenSecretKey or tokenPublicKey/],
    ['a file that is not there', { tokenSecretKey: 'file:///no/such/file' }, /cannot be read/],
    ['neither a file nor base64', { tokenSecretKey: '/no/such*file' }, /no such file/],
    ['nothing', { tokenSecretKey: 'data:;base64,' }, /empty/],
    ['no public key', { tokenPublicKey: dataUrl(secret) }, /no public key/],
    ['an audience that is not said', { tokenSecretKey: dataUrl(secret), tokenAudienceClaim: 'aud' }, /tokenAudience/]
  ])('%s stops the start', (_name, settings, message) => {
    expect(() => new TokenProvider(authSettings(settings), clock)).toThrow(message)
  })
})
