import type { ConnectionOptions } from 'node:tls'
import type { Clock, Logger } from '@strata/base'
import { ciphersOf, versionsOf } from './ciphers.ts'
import { KeptFiles } from './kept-files.ts'

/** Keys of a service that is the client of another one, by Apache Pulsar's names and with its meanings. */
export interface ClientTlsSettings {
  readonly brokerClientTrustCertsFilePath: string
  readonly brokerClientCertificateFilePath: string
  readonly brokerClientKeyFilePath: string
  readonly brokerClientTlsProtocols: string
  readonly brokerClientTlsCiphers: string
  readonly tlsAllowInsecureConnection: boolean
  readonly tlsHostnameVerificationEnabled: boolean
  readonly tlsCertRefreshCheckDurationSec: number
}

/** The client's end of TLS. Without authorities of one's own, those that Node knows count. */
export class ClientTls {
  readonly #files: KeptFiles
  readonly #settings: ClientTlsSettings

  private constructor(files: KeptFiles, settings: ClientTlsSettings) {
    this.#files = files
    this.#settings = settings
  }

  /** @throws AuthError AUTH_SETTING_INVALID, which names the setting */
  static async open(settings: ClientTlsSettings, doors: { clock: Clock; logger: Logger }): Promise<ClientTls> {
    const ciphers = ciphersOf('brokerClientTlsCiphers', settings.brokerClientTlsCiphers)
    const at = (setting: keyof ClientTlsSettings & `${string}FilePath`) => ({ path: settings[setting], setting })
    const files = await KeptFiles.open({
      files: {
        certificate: at('brokerClientCertificateFilePath'),
        key: at('brokerClientKeyFilePath'),
        authority: at('brokerClientTrustCertsFilePath')
      },
      base: {
        ...versionsOf('brokerClientTlsProtocols', settings.brokerClientTlsProtocols),
        ...(ciphers === undefined ? {} : { ciphers })
      },
      refreshSeconds: settings.tlsCertRefreshCheckDurationSec,
      ...doors
    })
    return new ClientTls(files, settings)
  }

  /** Of a connection that is about to be made; `host` is added by who makes it. */
  get options(): ConnectionOptions {
    return {
      ...this.#files.current,
      rejectUnauthorized: !this.#settings.tlsAllowInsecureConnection,
      ...(this.#settings.tlsHostnameVerificationEnabled ? {} : { checkServerIdentity: () => undefined })
    }
  }

  close(): void {
    this.#files.close()
  }
}
