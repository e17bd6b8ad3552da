import { randomBytes } from 'node:crypto'
import { systemClock } from '@strata/base'
import { SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { apr1 } from './apr1.ts'
import { Authenticator, type AuthenticatorSettings, type HttpIntroduction } from './authenticator.ts'
import { isAuthError } from './errors.ts'
import type { ClientCertificate } from './identity.ts'
import { askingRoles } from './proxying.ts'
import { authSettings, CLASSES, dataUrl } from './testing/settings.ts'

const secret = randomBytes(32)
const token = await new SignJWT({ sub: 'by-token' }).setProtectedHeader({ alg: 'HS256' }).sign(secret)
const certificate: ClientCertificate = { isTrusted: true, commonName: 'by-tls', alternativeNames: '' }

const everything: Partial<AuthenticatorSettings> = {
  authenticationProviders: `${CLASSES.token}, ${CLASSES.basic},${CLASSES.tls}`,
  tokenSecretKey: dataUrl(secret),
  basicAuthConf: dataUrl(Buffer.from(`by-basic:${apr1('pw', 'salt')}`))
}

async function open(changed: Partial<AuthenticatorSettings> = {}): Promise<Authenticator> {
  return await Authenticator.open(authSettings({ ...everything, ...changed }), systemClock)
}

async function roleOr(identity: Promise<{ role: string }>): Promise<string> {
  try {
    return (await identity).role
  } catch (error) {
    return isAuthError(error) ? error.code : String(error)
  }
}

describe('over the binary protocol', () => {
  const cases: [method: string, data: string, certificate: ClientCertificate | undefined, expected: string][] = [
    ['token', token, undefined, 'by-token'],
    ['basic', 'by-basic:pw', undefined, 'by-basic'],
    ['tls', '', certificate, 'by-tls'],
    ['tls', '', undefined, 'CREDENTIALS_MISSING'],
    ['tls', '', { ...certificate, isTrusted: false }, 'CREDENTIALS_REFUSED'],
    ['tls', '', { ...certificate, commonName: undefined }, 'CREDENTIALS_REFUSED'],
    [
      'tls',
      '',
      { ...certificate, commonName: undefined, alternativeNames: 'DNS:a.b, URI:spiffe://x/y' },
      'spiffe://x/y'
    ],
    ['tls', '', { ...certificate, commonName: '', alternativeNames: 'IP Address:1.2.3.4, DNS:a.b' }, 'a.b'],
    ['token', 'by-basic:pw', undefined, 'CREDENTIALS_REFUSED'],
    ['basic', token, undefined, 'CREDENTIALS_MISSING'],
    ['none', token, undefined, 'CREDENTIALS_MISSING'],
    ['', '', certificate, 'CREDENTIALS_MISSING'],
    ['athenz', token, undefined, 'CREDENTIALS_MISSING']
  ]
  test.each(cases)('%s (%#)', async (method, data, shown, expected) => {
    const authenticator = await open()
    const identity = authenticator.authenticate({ method, data: Buffer.from(data), certificate: shown })
    expect(await roleOr(identity)).toBe(expected)
  })

  test('who has nothing to say is anonymous where that is allowed, and a wrong token is not', async () => {
    const authenticator = await open({ anonymousUserRole: 'anybody' })
    const say = (method: string): Promise<string> =>
      roleOr(authenticator.authenticate({ method, data: Buffer.from('x'), certificate: undefined }))
    expect(await say('')).toBe('anybody')
    expect(await say('athenz')).toBe('anybody')
    expect(await say('token')).toBe('CREDENTIALS_REFUSED')
  })

  test('of two providers of one method any may believe', async () => {
    const authenticator = await open({
      authenticationProviders: `${CLASSES.openId},${CLASSES.token}`,
      openIDAllowedTokenIssuers: 'https://issuer.invalid',
      openIDAllowedAudiences: 'us'
    })
    const identity = authenticator.authenticate({ method: 'token', data: Buffer.from(token), certificate: undefined })
    expect(await roleOr(identity)).toBe('by-token')
  })
})

describe('over HTTP', () => {
  const basic = Buffer.from('by-basic:pw').toString('base64')
  const cases: [shown: Partial<HttpIntroduction>, expected: string][] = [
    [{ authorization: `Bearer ${token}` }, 'by-token'],
    [{ authorization: `bearer  ${token}` }, 'by-token'],
    [{ authorization: `Bearer ${token}`, method: 'token' }, 'by-token'],
    [{ authorization: `Basic ${basic}` }, 'by-basic'],
    [{ certificate }, 'by-tls'],
    [{ certificate, authorization: `Bearer ${token}` }, 'by-token'],
    [{ certificate, authorization: 'Bearer x' }, 'CREDENTIALS_REFUSED'],
    [{ authorization: `Bearer ${token}`, method: 'basic' }, 'CREDENTIALS_MISSING'],
    [{ authorization: token }, 'CREDENTIALS_MISSING'],
    [{ authorization: 'Basic' }, 'CREDENTIALS_MISSING'],
    [{}, 'CREDENTIALS_MISSING']
  ]
  test.each(cases)('%#', async (shown, expected) => {
    const authenticator = await open()
    const asked = { authorization: undefined, method: undefined, certificate: undefined, ...shown }
    expect(await roleOr(authenticator.authenticateHttp(asked))).toBe(expected)
  })
})

test('a class that nobody knows stops the start', async () => {
  await expect(open({ authenticationProviders: 'com.example.Mine' })).rejects.toThrow(/com\.example\.Mine is none of/)
})

describe('a proxy', () => {
  const proxies = new Set(['proxy', 'other-proxy'])
  const cases: [role: string, original: string | undefined, expected: readonly string[] | undefined][] = [
    ['a', undefined, ['a']],
    ['a', '', ['a']],
    ['a', 'a', ['a']],
    ['a', 'b', undefined],
    ['a', 'proxy', undefined],
    ['proxy', 'a', ['proxy', 'a']],
    ['proxy', undefined, undefined],
    ['proxy', ' ', undefined],
    ['proxy', 'proxy', undefined],
    ['proxy', 'other-proxy', undefined]
  ]
  test.each(cases)('%s for %s', (role, original, expected) => {
    expect(askingRoles(role, original, proxies)).toEqual(expected)
  })
})
