import type { Server, TlsOptions, TLSSocket } from 'node:tls'
import type { Clock, Logger } from '@strata/base'
import { authError } from '../errors.ts'
import { ciphersOf, versionsOf } from './ciphers.ts'
import { KeptFiles } from './kept-files.ts'

/** Keys of a server, by Apache Pulsar's names and with its meanings. */
export interface ServerTlsSettings {
  readonly tlsCertificateFilePath: string
  readonly tlsKeyFilePath: string
  readonly tlsTrustCertsFilePath: string
  readonly tlsRequireTrustedClientCertOnConnect: boolean
  readonly tlsAllowInsecureConnection: boolean
  readonly tlsProtocols: string
  readonly tlsCiphers: string
  readonly tlsCertRefreshCheckDurationSec: number
}

/** A client that does not end its handshake holds a socket no longer than this. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/**
 * The server's end of TLS, for any number of ports. Connections that are made after a change of the files are served by the
 * new ones; those that stand are left alone.
 */
export class ServerTls {
  readonly #files: KeptFiles
  readonly #settings: ServerTlsSettings

  private constructor(files: KeptFiles, settings: ServerTlsSettings) {
    this.#files = files
    this.#settings = settings
  }

  /** @throws AuthError AUTH_SETTING_INVALID, which names the setting */
  static async open(settings: ServerTlsSettings, doors: { clock: Clock; logger: Logger }): Promise<ServerTls> {
    const { tlsCertificateFilePath, tlsKeyFilePath, tlsTrustCertsFilePath } = settings
    if (tlsCertificateFilePath === '' || tlsKeyFilePath === '') {
      throw authError('AUTH_SETTING_INVALID', 'TLS needs tlsCertificateFilePath and tlsKeyFilePath')
    }
    if (settings.tlsRequireTrustedClientCertOnConnect && tlsTrustCertsFilePath === '') {
      throw authError('AUTH_SETTING_INVALID', 'tlsRequireTrustedClientCertOnConnect needs tlsTrustCertsFilePath')
    }
    const ciphers = ciphersOf('tlsCiphers', settings.tlsCiphers)
    const files = await KeptFiles.open({
      files: {
        certificate: { path: tlsCertificateFilePath, setting: 'tlsCertificateFilePath' },
        key: { path: tlsKeyFilePath, setting: 'tlsKeyFilePath' },
        authority: { path: tlsTrustCertsFilePath, setting: 'tlsTrustCertsFilePath' }
      },
      // without authorities of one's own nobody is trusted: those of the system sign for anybody
      base: {
        ca: [],
        ...versionsOf('tlsProtocols', settings.tlsProtocols),
        ...(ciphers === undefined ? {} : { ciphers, honorCipherOrder: true })
      },
      refreshSeconds: settings.tlsCertRefreshCheckDurationSec,
      ...doors
    })
    return new ServerTls(files, settings)
  }

  /** Of a server that is about to be made. */
  get options(): TlsOptions {
    const { tlsTrustCertsFilePath, tlsRequireTrustedClientCertOnConnect, tlsAllowInsecureConnection } = this.#settings
    return {
      ...this.#files.current,
      requestCert: tlsTrustCertsFilePath !== '' || tlsRequireTrustedClientCertOnConnect,
      rejectUnauthorized: tlsRequireTrustedClientCertOnConnect && !tlsAllowInsecureConnection,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS
    }
  }

  /** From now on the server goes with the files. */
  keep(server: Server): void {
    const stop = this.#files.onChanged(context => server.setSecureContext(context))
    server.once('close', stop)
  }

  /** A certificate may be left out where none is required; one that nobody trusts is refused all the same. */
  admits(socket: TLSSocket): boolean {
    if (socket.authorized || this.#settings.tlsAllowInsecureConnection) return true
    const shown = socket.getPeerCertificate() as { readonly subject?: unknown }
    return shown.subject === undefined
  }

  /** Looks at the files now. */
  async refresh(): Promise<void> {
    await this.#files.refresh()
  }

  close(): void {
    this.#files.close()
  }
}
