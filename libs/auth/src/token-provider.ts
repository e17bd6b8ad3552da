import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Clock } from '@strata/base'
import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose'
import { authError } from './errors.ts'
import type { AuthenticationProvider, Credentials, Identity } from './identity.ts'
import { readKeySource } from './key-source.ts'
import { EXPIRED } from './login-counts.ts'

export interface TokenSettings {
  readonly tokenSecretKey: string
  readonly tokenPublicKey: string
  readonly tokenPublicAlg: string
  readonly tokenAuthClaim: string
  readonly tokenAudienceClaim: string
  readonly tokenAudience: string
  readonly tokenAllowedClockSkewSeconds: number
}

const HMAC = ['HS256', 'HS384', 'HS512']
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
const RSA_PSS = ['PS256', 'PS384', 'PS512']
const BY_CURVE: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512']
}

interface Verifier {
  readonly key: Uint8Array | KeyObject
  /** What the key's kind allows: a token cannot choose another (a public key is never taken for a secret). */
  readonly algorithms: readonly string[]
}

/** JSON web tokens that were signed by one key. */
export class TokenProvider implements AuthenticationProvider {
  readonly method = 'token'
  readonly #settings: TokenSettings
  readonly #clock: Clock
  readonly #verifier: Verifier

  /** @throws AuthError AUTH_SETTING_INVALID */
  constructor(settings: TokenSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.#verifier = verifierOf(settings)
    if (settings.tokenAudienceClaim !== '' && settings.tokenAudience === '') {
      throw authError('AUTH_SETTING_INVALID', 'tokenAudienceClaim is set, and tokenAudience is not')
    }
  }

  async authenticate({ data }: Credentials): Promise<Identity> {
    if (data === '') throw authError('CREDENTIALS_MISSING', 'no token was given')
    const { tokenAllowedClockSkewSeconds: clockTolerance } = this.#settings
    const currentDate = new Date(this.#clock.wallMs())
    const { key, algorithms } = this.#verifier
    let claims: JWTPayload
    try {
      const options = { algorithms: [...algorithms], clockTolerance, currentDate }
      claims = (await jwtVerify(data, key, options)).payload
    } catch (error) {
      throw refusedToken(error)
    }
    this.#requireAudience(claims)
    return identityOf(claims, this.#settings.tokenAuthClaim, clockTolerance)
  }

  #requireAudience(claims: JWTPayload): void {
    const { tokenAudienceClaim, tokenAudience } = this.#settings
    if (tokenAudienceClaim === '') return
    const audience = claims[tokenAudienceClaim]
    const isForUs = Array.isArray(audience) ? audience.includes(tokenAudience) : audience === tokenAudience
    if (!isForUs) throw authError('CREDENTIALS_REFUSED', 'the token is for another audience')
  }
}

/** The role that a believed token gives: its claim is a text, or a list whose first counts. */
export function identityOf(claims: JWTPayload, roleClaim: string, clockSkewSeconds: number): Identity {
  const claim = claims[roleClaim]
  const role: unknown = Array.isArray(claim) ? claim[0] : claim
  if (typeof role !== 'string' || role === '') throw authError('CREDENTIALS_REFUSED', 'the token names no role')
  const expiresAtMs = claims.exp === undefined ? undefined : (claims.exp + clockSkewSeconds) * 1000
  return { role, method: 'token', expiresAtMs }
}

/** The issuer that a token names, before anybody believes it. @throws AuthError CREDENTIALS_REFUSED */
export function claimedIssuer(token: string): string {
  try {
    return decodeJwt(token).iss ?? ''
  } catch (error) {
    throw refusedToken(error)
  }
}

/** The cause is left out: some of the library's errors carry the claims. */
export function refusedToken(error: unknown): Error {
  return authError('CREDENTIALS_REFUSED', WORDS[codeOf(error)] ?? 'the token cannot be read')
}

const WORDS: Readonly<Record<string, string>> = {
  [errors.JWTExpired.code]: EXPIRED,
  [errors.JWTClaimValidationFailed.code]: 'a claim of the token does not hold',
  [errors.JWSSignatureVerificationFailed.code]: 'the signature of the token is not of the key',
  [errors.JOSEAlgNotAllowed.code]: 'the algorithm of the token does not go with the key',
  [errors.JWKSNoMatchingKey.code]: 'the issuer of the token has no such key'
}

function codeOf(error: unknown): string {
  return error instanceof errors.JOSEError ? error.code : ''
}

function verifierOf(settings: TokenSettings): Verifier {
  if (settings.tokenSecretKey !== '') {
    return { key: readKeySource('tokenSecretKey', settings.tokenSecretKey), algorithms: HMAC }
  }
  if (settings.tokenPublicKey === '') {
    throw authError('AUTH_SETTING_INVALID', 'tokens need tokenSecretKey or tokenPublicKey')
  }
  const key = publicKeyOf(readKeySource('tokenPublicKey', settings.tokenPublicKey))
  const algorithms = algorithmsOf(key)
  if (!algorithms.includes(settings.tokenPublicAlg)) {
    const known = algorithms.join(', ')
    throw authError('AUTH_SETTING_INVALID', `tokenPublicAlg does not go with tokenPublicKey, which is for ${known}`)
  }
  return { key, algorithms }
}

/** PEM, or the bytes of a SubjectPublicKeyInfo, which `pulsar tokens create-key-pair` writes. */
function publicKeyOf(bytes: Buffer): KeyObject {
  try {
    if (bytes.includes('-----BEGIN')) return createPublicKey(bytes)
    return createPublicKey({ key: bytes, format: 'der', type: 'spki' })
  } catch {
    throw authError('AUTH_SETTING_INVALID', 'tokenPublicKey: it is no public key')
  }
}

function algorithmsOf(key: KeyObject): readonly string[] {
  if (key.asymmetricKeyType === 'rsa') return RSA
  if (key.asymmetricKeyType === 'rsa-pss') return RSA_PSS
  const curve = key.asymmetricKeyDetails?.namedCurve ?? ''
  const algorithms = BY_CURVE[curve]
  if (algorithms === undefined) throw authError('AUTH_SETTING_INVALID', 'tokenPublicKey: its kind is not supported')
  return algorithms
}
