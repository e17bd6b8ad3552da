import { authError } from './errors.ts'
import { readKeySource } from './key-source.ts'

export interface OwnCredentialsSettings {
  readonly brokerClientAuthenticationPlugin: string
  readonly brokerClientAuthenticationParameters: string
}

/** What a service says of itself to brokers. Files are read at each use, so that a token can be renewed without a restart. */
export interface OwnCredentials {
  /** The protocol's name of the method. */
  readonly method: string
  /** @throws AuthError AUTH_SETTING_INVALID: its file cannot be read any more */
  data(): Buffer
  /** @throws as `data` */
  httpHeaders(): Readonly<Record<string, string>>
}

const TLS: OwnCredentials = { method: 'tls', data: () => Buffer.alloc(0), httpHeaders: () => ({}) }

/** Undefined: it says nothing. @throws AuthError AUTH_SETTING_INVALID */
export function ownCredentials(settings: OwnCredentialsSettings): OwnCredentials | undefined {
  const { brokerClientAuthenticationPlugin: plugin, brokerClientAuthenticationParameters: said } = settings
  if (plugin === '') return undefined
  if (plugin.endsWith('AuthenticationToken')) return tokens(said)
  if (plugin.endsWith('AuthenticationBasic')) return passwords(said)
  if (!plugin.endsWith('AuthenticationTls')) {
    throw authError('AUTH_SETTING_INVALID', 'brokerClientAuthenticationPlugin is of tokens, passwords or TLS')
  }
  if (said === '') return TLS
  const files = 'brokerClientCertificateFilePath and brokerClientKeyFilePath'
  throw authError('AUTH_SETTING_INVALID', `brokerClientAuthenticationParameters: leave it empty and set ${files}`)
}

function tokens(said: string): OwnCredentials {
  const data = (): Buffer => Buffer.from(tokenOf(said))
  data()
  return { method: 'token', data, httpHeaders: () => ({ authorization: `Bearer ${tokenOf(said)}` }) }
}

function tokenOf(said: string): string {
  if (!/^(file|data):/.test(said)) return said.replace(/^token:/, '').trim()
  return readKeySource('brokerClientAuthenticationParameters', said).toString('utf8').trim()
}

function passwords(said: string): OwnCredentials {
  const { userId, password } = fieldsOf(said)
  if (typeof userId !== 'string' || typeof password !== 'string') {
    throw authError('AUTH_SETTING_INVALID', 'brokerClientAuthenticationParameters: no userId and password')
  }
  const data = Buffer.from(`${userId}:${password}`)
  const authorization = `Basic ${data.toString('base64')}`
  return { method: 'basic', data: () => data, httpHeaders: () => ({ authorization }) }
}

function fieldsOf(said: string): Record<string, unknown> {
  try {
    return JSON.parse(said) as Record<string, unknown>
  } catch {
    throw authError('AUTH_SETTING_INVALID', 'brokerClientAuthenticationParameters: it is not JSON')
  }
}
