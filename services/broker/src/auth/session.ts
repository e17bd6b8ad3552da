import type { Permission, Resource } from '@strata/auth'
import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { CommandBody, CommandInit } from '@strata/wire'
import { brokerError } from '../errors.ts'
import { believed, type Guard, type Introduced } from './guard.ts'

/** What clients of Apache Pulsar take for the wish to see fresh credentials. */
const REFRESH = Buffer.from('PulsarAuthRefresh')

/** The connection that a session is of. */
export interface SessionHost {
  readonly clock: Clock
  readonly logger: Logger
  readonly checkIntervalMs: number
  readonly canRefresh: boolean
  challenge(challenge: CommandInit<'authChallenge'>): void
  /** ERROR without a request, and the end. */
  refuse(error: unknown): void
  close(reason: string): void
}

/**
 * One client that is known: what it may do, and for how long it is believed.
 *
 * Credentials that expired are asked for again at the next check; who has not answered by the check after it, or cannot be
 * asked, is closed. Another role than before closes too: what the connection has was given to the first.
 */
export class Session {
  readonly #guard: Guard
  readonly #known: Introduced
  readonly #host: SessionHost
  #expiresAtMs: number | undefined
  #isChallenged = false
  #cancel: (() => void) | undefined

  constructor(guard: Guard, known: Introduced, host: SessionHost) {
    this.#guard = guard
    this.#known = known
    this.#host = host
    this.#expiresAtMs = known.lasting.expiresAtMs
    if (this.#expiresAtMs !== undefined) this.#schedule()
  }

  /** Who asked last in the row: a proxy's client, else the client itself. */
  get role(): string {
    return this.#known.roles.at(-1) ?? ''
  }

  get isChecked(): boolean {
    return this.#guard.access !== undefined
  }

  /** Grows whenever somebody may do more or less than before. */
  get accessVersion(): number {
    return this.#guard.access?.version ?? 0
  }

  /** @throws MetadataError where it cannot be known */
  async isAllowed(permission: Permission, resource: Resource, originalRole = ''): Promise<boolean> {
    const { access } = this.#guard
    if (access === undefined) return true
    const roles = this.#guard.rolesFor(this.#known, originalRole)
    const { isAllowed, reason } = await access.decide(roles, permission, resource)
    if (!isAllowed) {
      const fields = { event: 'access.refused', role: this.role, permission, reason }
      this.#host.logger.info(fields, 'a client may not do what it asked for')
    }
    return isAllowed
  }

  /** AUTH_RESPONSE. One that was not asked for is passed over. */
  respond({ response }: CommandBody<'authResponse'>): void {
    if (!this.#isChallenged || response === undefined) return
    this.#renew(response.authMethodName, response.authData).catch((error: unknown) => {
      this.#host.logger.info({ event: 'session.refused', reason: causeOf(error) }, 'fresh credentials were refused')
      this.#host.refuse(error)
    })
  }

  stop(): void {
    this.#cancel?.()
  }

  async #renew(method: string, data: Uint8Array): Promise<void> {
    const { authenticator } = this.#guard
    const identity = await believed(authenticator.authenticate({ method, data, certificate: undefined }))
    if (identity.role !== this.#known.lasting.role) {
      throw brokerError('AuthenticationError', 'Failed to authenticate', new Error('the role is another one now'))
    }
    this.#isChallenged = false
    this.#expiresAtMs = identity.expiresAtMs
    this.#host.logger.info({ event: 'session.renewed' }, 'a client showed fresh credentials')
  }

  #schedule(): void {
    this.#cancel = this.#host.clock.after(this.#host.checkIntervalMs, () => {
      this.#schedule()
      this.#check()
    })
  }

  #check(): void {
    const { clock, canRefresh } = this.#host
    if (this.#expiresAtMs === undefined || clock.wallMs() < this.#expiresAtMs) return
    const { own, roles, lasting } = this.#known
    // a client cannot renew what its proxy said of itself, and comes back by way of one that has
    if (lasting === own && roles.length > 1) this.#host.close('the credentials of its proxy have expired')
    else if (!canRefresh) this.#host.close('its credentials have expired')
    else if (this.#isChallenged) this.#host.close('its credentials have expired, and it did not show others')
    else {
      this.#isChallenged = true
      this.#host.challenge({ challenge: { authMethodName: this.#known.lasting.method, authData: REFRESH } })
    }
  }
}

/** For the log: why, which the client is not told. */
export function causeOf(error: unknown): string {
  return reasonOf(error instanceof Error && error.cause !== undefined ? error.cause : error)
}
