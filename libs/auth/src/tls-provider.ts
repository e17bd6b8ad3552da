import { authError } from './errors.ts'
import type { AuthenticationProvider, ClientCertificate, Credentials, Identity } from './identity.ts'

/** Kinds of alternative names that may be a role, best first. */
const NAME_KINDS = ['URI:', 'DNS:', 'email:']

/** The certificate that a client showed when it connected: the connection has checked it. */
export class TlsProvider implements AuthenticationProvider {
  readonly method = 'tls'

  authenticate({ certificate }: Credentials): Promise<Identity> {
    if (certificate === undefined) {
      return Promise.reject(authError('CREDENTIALS_MISSING', 'the client showed no certificate'))
    }
    if (!certificate.isTrusted) {
      return Promise.reject(authError('CREDENTIALS_REFUSED', 'the certificate is of no authority that is trusted'))
    }
    const role = roleOf(certificate)
    if (role === undefined) {
      return Promise.reject(authError('CREDENTIALS_REFUSED', 'the certificate names nobody'))
    }
    return Promise.resolve({ role, method: this.method, expiresAtMs: undefined })
  }
}

/** Its common name; where it has none, as newer ones do, its first alternative name. */
function roleOf({ commonName, alternativeNames }: ClientCertificate): string | undefined {
  if (commonName !== undefined && commonName !== '') return commonName
  const names = alternativeNames.split(', ')
  for (const kind of NAME_KINDS) {
    const name = names.find(candidate => candidate.startsWith(kind))?.slice(kind.length)
    // Node quotes names that hold what could be taken for another name.
    if (name !== undefined && name !== '' && !name.includes('"')) return name
  }
  return undefined
}
