import type { Clock } from '@strata/base'
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose'
import { authError, isAuthError } from './errors.ts'
import type { AuthenticationProvider, Credentials, Identity } from './identity.ts'
import { namesOf } from './names.ts'
import { claimedIssuer, identityOf, refusedToken } from './token-provider.ts'

export interface OpenIdSettings {
  /** URLs, comma-separated; tokens of others are not looked at. */
  readonly openIDAllowedTokenIssuers: string
  readonly openIDAllowedAudiences: string
  readonly openIDRoleClaim: string
  readonly openIDAcceptedTimeLeewaySeconds: number
  readonly openIDRequireIssuersUseHttps: boolean
  /** How long keys are used before they are asked for again. */
  readonly openIDCacheExpirationSeconds: number
  /** How long nobody is asked again for a key that was not there. */
  readonly openIDKeyIdCacheMissRefreshSeconds: number
  readonly openIDHttpConnectionTimeoutMillis: number
}

/** Signatures only: a secret is no key that an issuer publishes. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512']
const DISCOVERY_BYTES_MAX = 256 * 1024

/**
 * Tokens of OpenID Connect issuers. An issuer's keys are asked for when its first token comes, kept, and asked for again
 * when they are old or a token names one that is not among them: how issuers change their keys.
 */
export class OpenIdProvider implements AuthenticationProvider {
  readonly method = 'token'
  readonly #settings: OpenIdSettings
  readonly #clock: Clock
  readonly #issuers: ReadonlySet<string>
  readonly #audiences: readonly string[]
  /** By issuer; those that failed are not kept. Bounded: by the setting. */
  readonly #keys = new Map<string, Promise<JWTVerifyGetKey>>()

  /** @throws AuthError AUTH_SETTING_INVALID */
  constructor(settings: OpenIdSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.#issuers = new Set(namesOf(settings.openIDAllowedTokenIssuers))
    this.#audiences = namesOf(settings.openIDAllowedAudiences)
    if (this.#issuers.size === 0) throw authError('AUTH_SETTING_INVALID', 'openIDAllowedTokenIssuers is not set')
    if (this.#audiences.length === 0) throw authError('AUTH_SETTING_INVALID', 'openIDAllowedAudiences is not set')
    for (const issuer of this.#issuers) requireUrl(issuer, settings.openIDRequireIssuersUseHttps)
  }

  async authenticate({ data }: Credentials): Promise<Identity> {
    if (data === '') throw authError('CREDENTIALS_MISSING', 'no token was given')
    const issuer = claimedIssuer(data)
    if (!this.#issuers.has(issuer))
      throw authError('CREDENTIALS_REFUSED', 'the token is of an issuer that is not allowed')
    const { openIDAcceptedTimeLeewaySeconds: clockTolerance, openIDRoleClaim } = this.#settings
    const claims = await this.#verified(data, { issuer, clockTolerance })
    return identityOf(claims, openIDRoleClaim, clockTolerance)
  }

  async #verified(token: string, options: { issuer: string; clockTolerance: number }): Promise<JWTPayload> {
    const keys = await this.#keysOf(options.issuer)
    try {
      const { payload } = await jwtVerify(token, keys, {
        ...options,
        algorithms: ALGORITHMS,
        audience: [...this.#audiences],
        requiredClaims: ['exp'],
        currentDate: new Date(this.#clock.wallMs())
      })
      return payload
    } catch (error) {
      if (isRefusal(error)) throw refusedToken(error)
      throw unreachable()
    }
  }

  #keysOf(issuer: string): Promise<JWTVerifyGetKey> {
    const known = this.#keys.get(issuer)
    if (known !== undefined) return known
    const found = this.#discover(issuer)
    this.#keys.set(issuer, found)
    found.catch(() => this.#keys.delete(issuer))
    return found
  }

  async #discover(issuer: string): Promise<JWTVerifyGetKey> {
    const { openIDHttpConnectionTimeoutMillis: timeoutDuration, ...settings } = this.#settings
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const document = await read(url, timeoutDuration)
    // Whoever answers in the place of an issuer must not name another.
    if (document['issuer'] !== issuer || typeof document['jwks_uri'] !== 'string') throw unreachable()
    return createRemoteJWKSet(requireUrl(document['jwks_uri'], settings.openIDRequireIssuersUseHttps), {
      timeoutDuration,
      cooldownDuration: settings.openIDKeyIdCacheMissRefreshSeconds * 1000,
      cacheMaxAge: settings.openIDCacheExpirationSeconds * 1000
    })
  }
}

async function read(url: string, timeoutMs: number): Promise<Record<string, unknown>> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
    const text = await response.text()
    if (!response.ok || text.length > DISCOVERY_BYTES_MAX) throw unreachable()
    return JSON.parse(text) as Record<string, unknown>
  } catch (error) {
    if (isAuthError(error)) throw error
    throw unreachable(error)
  }
}

function unreachable(cause?: unknown): Error {
  return authError('ISSUER_UNREACHABLE', 'the issuer of the token did not give its keys', cause)
}

/** The token is wrong, as against keys that could not be had. */
function isRefusal(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return false
  return error instanceof errors.JOSEError && error.code !== errors.JOSEError.code
}

function requireUrl(text: string, isHttpsOnly: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isUsable = url !== undefined && (url.protocol === 'https:' || (!isHttpsOnly && url.protocol === 'http:'))
  if (!isUsable) throw authError('AUTH_SETTING_INVALID', 'the URL of an issuer is none, or not https')
  return url
}
