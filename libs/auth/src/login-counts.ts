import { isAuthError, type AuthErrorCode } from './errors.ts'
import type { Identity } from './identity.ts'

/** What is said of a token that has ended. */
export const EXPIRED = 'the token has expired'

/** Minutes that a believed token may have left, as Apache Pulsar counts them. */
export const TOKEN_MINUTES_BOUNDS: readonly number[] = [5, 10, 60, 240]

/** What one provider answered since the process began. */
export interface ProviderCounts {
  /** Of its class, without the package. */
  readonly provider: string
  readonly method: string
  readonly believed: number
  /** By why; those that never were are not in it. */
  readonly refused: ReadonlyMap<AuthErrorCode, number>
}

/** Of tokens that were believed and end: how many had no more left than each bound, how many there were, and their sum. */
export interface TokenMinutes {
  readonly within: readonly number[]
  readonly count: number
  readonly sum: number
}

interface Counting {
  readonly provider: string
  readonly method: string
  believed: number
  readonly refused: Map<AuthErrorCode, number>
}

/** How logins end. One that several providers are asked about counts at each of them that was asked. */
export class LoginCounts {
  readonly #providers = new Map<string, Counting>()
  readonly #within = TOKEN_MINUTES_BOUNDS.map(() => 0)
  #tokens = 0
  #minutes = 0
  #expired = 0

  believed(provider: Pick<ProviderCounts, 'provider' | 'method'>, identity: Identity, nowMs: number): void {
    this.#of(provider).believed++
    if (identity.method !== 'token' || identity.expiresAtMs === undefined) return
    const minutes = Math.max(0, identity.expiresAtMs - nowMs) / 60_000
    this.#tokens++
    this.#minutes += minutes
    for (const [index, bound] of TOKEN_MINUTES_BOUNDS.entries()) {
      if (minutes <= bound) this.#within[index] = (this.#within[index] ?? 0) + 1
    }
  }

  refused(provider: Pick<ProviderCounts, 'provider' | 'method'>, error: unknown): void {
    if (!isAuthError(error)) return
    const { refused } = this.#of(provider)
    refused.set(error.code, (refused.get(error.code) ?? 0) + 1)
    if (error.message === EXPIRED) this.#expired++
  }

  providers(): Iterable<ProviderCounts> {
    return this.#providers.values()
  }

  /** Tokens that were shown after their end. */
  get expiredTokens(): number {
    return this.#expired
  }

  get tokenMinutes(): TokenMinutes {
    return { within: this.#within, count: this.#tokens, sum: this.#minutes }
  }

  #of({ provider, method }: Pick<ProviderCounts, 'provider' | 'method'>): Counting {
    const key = `${provider} ${method}`
    const known = this.#providers.get(key) ?? {
      provider,
      method,
      believed: 0,
      refused: new Map<AuthErrorCode, number>()
    }
    this.#providers.set(key, known)
    return known
  }
}
