import {
  askingRoles,
  Authenticator,
  isAuthError,
  LoginLimit,
  namesOf,
  type ClientCertificate,
  type GrantStore,
  type HttpIntroduction,
  type Identity
} from '@strata/auth'
import { configErrors, type Clock } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { CommandBody } from '@strata/wire'
import type { BrokerSettings } from '../config/settings.ts'
import { brokerError } from '../errors.ts'
import type { NamespaceService } from '../namespace/namespace-service.ts'
import { Access } from './access.ts'

/** Who a client is: itself, and for whom it asks where it is a proxy. */
export interface Introduced {
  /** Of the connection itself. */
  readonly own: Identity
  /** All of them must be allowed what is asked. */
  readonly roles: readonly string[]
  /** The one whose credentials the connection lives by: of whoever a proxy asks for, if it showed them. */
  readonly lasting: Identity
}

export interface GuardOptions {
  readonly settings: BrokerSettings
  readonly store: MetadataStore
  readonly grants: GrantStore
  readonly namespaces: NamespaceService
  readonly clock: Clock
}

/** Stands at both doors of a broker: who comes in, and what it may do there. There is none while authentication is off. */
export class Guard {
  readonly authenticator: Authenticator
  /** Undefined: whoever is known may do everything. */
  readonly access: Access | undefined
  readonly #settings: BrokerSettings
  readonly #proxyRoles: ReadonlySet<string>
  readonly #logins: LoginLimit

  private constructor({ settings, clock }: GuardOptions, authenticator: Authenticator, access: Access | undefined) {
    this.#settings = settings
    this.#logins = new LoginLimit({ clock, perMinute: () => settings.strataLoginFailuresPerMinute })
    this.authenticator = authenticator
    this.access = access
    this.#proxyRoles = new Set(namesOf(settings.proxyRoles))
  }

  /** @throws CodedError BAD_SETTING; AuthError AUTH_SETTING_INVALID */
  static async open(options: GuardOptions): Promise<Guard | undefined> {
    const { settings, store, grants, namespaces, clock } = options
    if (!settings.authenticationEnabled) {
      // One who asks for it must not believe to have it.
      if (settings.authorizationEnabled) throw badSetting('authorizationEnabled=true needs authenticationEnabled=true')
      return undefined
    }
    const authenticator = await Authenticator.open(settings, clock)
    const access = settings.authorizationEnabled ? new Access({ store, grants, settings, namespaces }) : undefined
    await access?.start()
    return new Guard(options, authenticator, access)
  }

  close(): void {
    this.access?.close()
  }

  /** @throws BrokerError AuthenticationError, AuthorizationError, ServiceNotReady: words that say nothing of why */
  async introduce(
    connect: CommandBody<'connect'>,
    { certificate, remoteAddress }: { certificate: ClientCertificate | undefined; remoteAddress: string }
  ): Promise<Introduced> {
    const { authMethodName: method, authData: data, originalPrincipal } = connect
    if (this.#logins.waitMs(remoteAddress) > 0) {
      throw brokerError('ServiceNotReady', 'Too many failed logins from this address: try again later')
    }
    const identity = this.authenticator.authenticate({ method, data, certificate })
    const own = await this.#believed(identity, remoteAddress)
    const original = await this.#original(connect)
    const roles = this.rolesOf(own.role, original?.role ?? originalPrincipal)
    return { own, roles, lasting: original ?? own }
  }

  /** The same over HTTP. @throws BrokerError AuthenticationError, ServiceNotReady, TooManyRequests */
  async identityOf(introduction: HttpIntroduction, remoteAddress: string): Promise<Identity> {
    if (this.#logins.waitMs(remoteAddress) > 0) {
      throw brokerError('TooManyRequests', 'Failed logins from this address are too many: try again later')
    }
    return await this.#believed(this.authenticator.authenticateHttp(introduction), remoteAddress)
  }

  /** Only what was shown and is wrong counts against an address, and never what a proxy passes on. */
  async #believed(identity: Promise<Identity>, remoteAddress: string): Promise<Identity> {
    return await believed(identity).catch((error: unknown) => {
      const cause = error instanceof Error ? error.cause : undefined
      if (isAuthError(cause, 'CREDENTIALS_REFUSED')) this.#logins.failed(remoteAddress)
      throw error
    })
  }

  /** @throws BrokerError AuthorizationError: these two cannot be */
  rolesOf(role: string, originalRole: string | undefined): readonly string[] {
    return askingRoles(role, originalRole, this.#proxyRoles) ?? invalidRoles()
  }

  /** A proxy may speak for several over one connection; only credentials count where it has to show them. */
  rolesFor(known: Introduced, originalRole: string): readonly string[] {
    if (originalRole === '' || known.roles.includes(originalRole)) return known.roles
    if (this.#settings.authenticateOriginalAuthData) invalidRoles()
    return this.rolesOf(known.own.role, originalRole)
  }

  async #original(connect: CommandBody<'connect'>): Promise<Identity | undefined> {
    const { originalAuthData, originalAuthMethod: method } = connect
    if (!this.#settings.authenticateOriginalAuthData || originalAuthData === '') return undefined
    const introduction = { method, data: Buffer.from(originalAuthData), certificate: undefined }
    return await believed(this.authenticator.authenticate(introduction))
  }
}

/** Whatever was wrong, a client learns only that it was. @throws BrokerError AuthenticationError, ServiceNotReady */
export async function believed(identity: Promise<Identity>): Promise<Identity> {
  try {
    return await identity
  } catch (error) {
    if (isAuthError(error, 'ISSUER_UNREACHABLE')) {
      throw brokerError('ServiceNotReady', 'Credentials cannot be checked at this moment', error)
    }
    throw brokerError('AuthenticationError', 'Failed to authenticate', error)
  }
}

function invalidRoles(): never {
  throw brokerError('AuthorizationError', 'Invalid roles.')
}

function badSetting(problem: string): Error {
  const error = configErrors.create('BAD_SETTING', { problems: [problem] })
  error.message = problem
  return error
}
