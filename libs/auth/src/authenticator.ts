import type { Clock } from '@strata/base'
import { authError, isAuthError } from './errors.ts'
import type { AuthenticationProvider, ClientCertificate, Identity } from './identity.ts'
import { LoginCounts } from './login-counts.ts'
import { openProviders, type NamedProvider, type ProviderSettings } from './providers.ts'

export interface AuthenticatorSettings extends ProviderSettings {
  readonly anonymousUserRole: string
}

/** What a client said by the binary protocol. */
export interface Introduction {
  /** Empty, or `none`: the client has nothing to say. */
  readonly method: string
  readonly data: Uint8Array
  readonly certificate: ClientCertificate | undefined
}

/** What a request over HTTP carries. */
export interface HttpIntroduction {
  readonly authorization: string | undefined
  /** X-Pulsar-Auth-Method-Name; most clients leave it out. */
  readonly method: string | undefined
  readonly certificate: ClientCertificate | undefined
}

const SCHEMES: Readonly<Record<string, string>> = { bearer: 'token', basic: 'basic' }

/**
 * Believes or refuses, by the providers that are configured. Several may stand for one method (tokens of a key of one's own
 * beside those of an issuer): the first that believes counts. Holds nothing of what clients showed.
 */
export class Authenticator {
  readonly counts = new LoginCounts()
  readonly #providers: readonly NamedProvider[]
  readonly #anonymousRole: string
  readonly #clock: Clock

  private constructor(
    providers: readonly NamedProvider[],
    { anonymousRole, clock }: { anonymousRole: string; clock: Clock }
  ) {
    this.#providers = providers
    this.#anonymousRole = anonymousRole
    this.#clock = clock
  }

  /** @throws AuthError AUTH_SETTING_INVALID */
  static async open(settings: AuthenticatorSettings, clock: Clock): Promise<Authenticator> {
    const providers = await openProviders(settings, clock)
    return new Authenticator(providers, { anonymousRole: settings.anonymousUserRole, clock })
  }

  /**
   * A method that nobody is configured for is as good as none, as in Apache Pulsar.
   * @throws AuthError CREDENTIALS_MISSING, CREDENTIALS_REFUSED, ISSUER_UNREACHABLE
   */
  async authenticate({ method, data, certificate }: Introduction): Promise<Identity> {
    const providers = this.#providers.filter(({ provider }) => provider.method === method)
    if (providers.length === 0) return this.#anonymous()
    return await this.#firstThatBelieves(providers, { data: Buffer.from(data).toString('utf8'), certificate })
  }

  /** @throws as `authenticate` */
  async authenticateHttp({ authorization = '', method, certificate }: HttpIntroduction): Promise<Identity> {
    const space = authorization.indexOf(' ')
    const scheme = SCHEMES[authorization.slice(0, Math.max(space, 0)).toLowerCase()]
    const wanted = method ?? scheme ?? (certificate === undefined ? undefined : 'tls')
    const providers = this.#providers.filter(({ provider }) => provider.method === wanted)
    if (providers.length === 0) return this.#anonymous()
    const text = wanted === scheme ? authorization.slice(space + 1).trim() : ''
    const data = scheme === 'basic' ? Buffer.from(text, 'base64').toString('utf8') : text
    return await this.#firstThatBelieves(providers, { data, certificate })
  }

  #anonymous(): Identity {
    if (this.#anonymousRole === '') throw authError('CREDENTIALS_MISSING', 'there is no anonymous role')
    return { role: this.#anonymousRole, method: 'anonymous', expiresAtMs: undefined }
  }

  /** Of several refusals the most telling: an issuer that could not be asked may have believed. */
  async #firstThatBelieves(
    providers: readonly NamedProvider[],
    credentials: Parameters<AuthenticationProvider['authenticate']>[0]
  ): Promise<Identity> {
    let refusal: unknown
    for (const { name, provider } of providers) {
      const counted = { provider: name, method: provider.method }
      try {
        const identity = await provider.authenticate(credentials)
        this.counts.believed(counted, identity, this.#clock.wallMs())
        return identity
      } catch (error) {
        this.counts.refused(counted, error)
        if (!isAuthError(error)) throw error
        if (refusal === undefined || isAuthError(error, 'ISSUER_UNREACHABLE')) refusal = error
      }
    }
    throw refusal
  }
}
