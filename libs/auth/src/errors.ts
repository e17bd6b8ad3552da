import { defineErrors, type CodedError } from '@strata/base'

const table = {
  CREDENTIALS_MISSING: { retryable: false, summary: 'the client did not say who it is' },
  CREDENTIALS_REFUSED: { retryable: false, summary: 'the credentials were not accepted' },
  ISSUER_UNREACHABLE: { retryable: true, summary: 'the issuer of the token did not give its keys' },
  AUTH_SETTING_INVALID: { retryable: false, summary: 'a setting of authentication cannot be used' },
  GRANT_UNREADABLE: { retryable: false, summary: 'a grant was written by no version of this program' },
  SCOPE_CHANGED: { retryable: false, summary: 'what was granted on is gone, or changed meanwhile' }
} as const

const family = defineErrors(table)

export type AuthErrorCode = keyof typeof table

/**
 * `message` goes to logs, never to who asked: it says what was wrong in words of ours.
 * Nothing of what the client sent may be in it: neither credentials, nor parts of them, nor claims.
 */
export function authError(code: AuthErrorCode, message: string, cause?: unknown): CodedError<AuthErrorCode> {
  const error = family.create(code, {}, cause)
  error.message = message
  return error
}

export function isAuthError(error: unknown, code?: AuthErrorCode): error is CodedError<AuthErrorCode> {
  return family.is(error, code)
}
