import { authError, readKeySource } from '@strata/auth'
import type { BrokerSettings } from '../config/settings.ts'

/** What a broker says to another one over HTTP; empty where it says nothing. @throws AuthError AUTH_SETTING_INVALID */
export function peerHeaders(
  settings: Pick<BrokerSettings, 'brokerClientAuthenticationPlugin' | 'brokerClientAuthenticationParameters'>
): Readonly<Record<string, string>> {
  const { brokerClientAuthenticationPlugin: plugin, brokerClientAuthenticationParameters: said } = settings
  if (plugin === '') return {}
  if (plugin.endsWith('AuthenticationToken')) return { authorization: `Bearer ${tokenOf(said)}` }
  if (plugin.endsWith('AuthenticationBasic')) return { authorization: `Basic ${basicOf(said)}` }
  throw authError('AUTH_SETTING_INVALID', 'brokerClientAuthenticationPlugin is neither of tokens nor of passwords')
}

function tokenOf(said: string): string {
  if (!/^(file|data):/.test(said)) return said.replace(/^token:/, '').trim()
  return readKeySource('brokerClientAuthenticationParameters', said).toString('utf8').trim()
}

function basicOf(said: string): string {
  const { userId, password } = fieldsOf(said)
  if (typeof userId !== 'string' || typeof password !== 'string') {
    throw authError('AUTH_SETTING_INVALID', 'brokerClientAuthenticationParameters: no userId and password')
  }
  return Buffer.from(`${userId}:${password}`).toString('base64')
}

function fieldsOf(said: string): Record<string, unknown> {
  try {
    return JSON.parse(said) as Record<string, unknown>
  } catch {
    throw authError('AUTH_SETTING_INVALID', 'brokerClientAuthenticationParameters: it is not JSON')
  }
}
