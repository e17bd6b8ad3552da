import {
  askingRoles,
  Authenticator,
  isAuthError,
  namesOf,
  type ClientCertificate,
  type GrantStore,
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

  private constructor(settings: BrokerSettings, authenticator: Authenticator, access: Access | undefined) {
    this.#settings = settings
    this.authenticator = authenticator
    this.access = access
    this.#proxyRoles = new Set(namesOf(settings.proxyRoles))
  }

  /** @throws CodedError BAD_SETTING; AuthError AUTH_SETTING_INVALID */
  static async open({ settings, store, grants, namespaces, clock }: GuardOptions): Promise<Guard | undefined> {
    if (!settings.authenticationEnabled) {
      // One who asks for it must not believe to have it.
      if (settings.authorizationEnabled) throw badSetting('authorizationEnabled=true needs authenticationEnabled=true')
      return undefined
    }
    const authenticator = await Authenticator.open(settings, clock)
    const access = settings.authorizationEnabled ? new Access({ store, grants, settings, namespaces }) : undefined
    await access?.start()
    return new Guard(settings, authenticator, access)
  }

  close(): void {
    this.access?.close()
  }

  /** @throws BrokerError AuthenticationError, AuthorizationError, ServiceNotReady: words that say nothing of why */
  async introduce(connect: CommandBody<'connect'>, certificate: ClientCertificate | undefined): Promise<Introduced> {
    const { authMethodName: method, authData: data, originalPrincipal } = connect
    const own = await believed(this.authenticator.authenticate({ method, data, certificate }))
    const original = await this.#original(connect)
    const roles = this.rolesOf(own.role, original?.role ?? originalPrincipal)
    return { own, roles, lasting: original ?? own }
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
