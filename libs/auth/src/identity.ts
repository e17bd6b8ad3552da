import type { TLSSocket } from 'node:tls'

/** Who somebody is, once a provider has believed it. */
export interface Identity {
  readonly role: string
  /** The protocol's name of the method that said so: `token`, `tls`, `basic`; `anonymous` where none did. */
  readonly method: string
  /** Wall-clock time from which the credentials count no more; undefined: they do not expire. */
  readonly expiresAtMs: number | undefined
}

/** What a client showed of itself. */
export interface Credentials {
  /** As the method has it: a token, or `user:password`. */
  readonly data: string
  readonly certificate: ClientCertificate | undefined
}

/** Of the client's end of a TLS connection. */
export interface ClientCertificate {
  /** Its chain leads to an authority that the server trusts. */
  readonly isTrusted: boolean
  readonly commonName: string | undefined
  /** `DNS:one, URI:two`, as Node gives them. */
  readonly alternativeNames: string
}

export interface AuthenticationProvider {
  /** The protocol's name of the method. Several providers may have the same. */
  readonly method: string
  /** @throws AuthError CREDENTIALS_MISSING, CREDENTIALS_REFUSED, ISSUER_UNREACHABLE */
  authenticate(credentials: Credentials): Promise<Identity>
}

/** Undefined where the client showed none. */
export function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  const peer = socket.getPeerCertificate()
  // Node gives an object without fields where there is no certificate.
  const subject = (peer as Partial<typeof peer>).subject as { readonly CN?: string | readonly string[] } | undefined
  if (subject === undefined) return undefined
  const commonName = typeof subject.CN === 'string' ? subject.CN : subject.CN?.[0]
  return { isTrusted: socket.authorized, commonName, alternativeNames: peer.subjectaltname ?? '' }
}
