import { getCiphers } from 'node:tls'
import { authError } from '../errors.ts'
import { namesOf } from '../names.ts'

const PROTOCOLS = ['TLSv1.2', 'TLSv1.3'] as const
type Protocol = (typeof PROTOCOLS)[number]

/** Oldest and newest version that are spoken. Empty: both that are. @throws AuthError AUTH_SETTING_INVALID */
export function versionsOf(setting: string, said: string): { minVersion: Protocol; maxVersion: Protocol } {
  const names = namesOf(said)
  const foreign = names.find(name => !PROTOCOLS.some(protocol => protocol === name))
  if (foreign !== undefined) {
    throw authError('AUTH_SETTING_INVALID', `${setting}: ${foreign} is none of ${PROTOCOLS.join(', ')}`)
  }
  const spoken = PROTOCOLS.filter(protocol => names.length === 0 || names.includes(protocol))
  return { minVersion: spoken[0] ?? 'TLSv1.2', maxVersion: spoken.at(-1) ?? 'TLSv1.3' }
}

/**
 * Ciphers by the names of OpenSSL or by those of Java, which are the registered ones. Undefined: those of Node.
 * @throws AuthError AUTH_SETTING_INVALID
 */
export function ciphersOf(setting: string, said: string): string | undefined {
  const names = namesOf(said)
  if (names.length === 0) return undefined
  const known = new Set(getCiphers().map(name => name.toUpperCase()))
  return names
    .map(name => {
      const plain = opensslNameOf(name.toUpperCase())
      if (known.has(plain)) return plain
      throw authError('AUTH_SETTING_INVALID', `${setting}: there is no cipher called ${name}`)
    })
    .join(':')
}

/** TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 → ECDHE-RSA-AES128-GCM-SHA256; those of TLS 1.3 have one name. */
function opensslNameOf(name: string): string {
  const match = /^TLS_(\w+)_WITH_(\w+)$/.exec(name)
  const [, exchange, cipher] = match ?? []
  if (exchange === undefined || cipher === undefined) return name
  const rest = cipher
    .replace(/AES_(\d+)/, 'AES$1')
    .replace('CHACHA20_POLY1305_SHA256', 'CHACHA20-POLY1305')
    .replace('_CBC_', '_')
  const whole = exchange === 'RSA' ? rest : `${exchange}_${rest}`
  return whole.replaceAll('_', '-')
}
