import { boolean, number, text } from '@strata/base'

/** Of a service that others connect to with TLS. Names and meanings are Apache Pulsar's. */
export const serverTlsSettings = {
  tlsCertificateFilePath: text({ default: '', doc: 'Certificate that clients are shown, with its chain (PEM).' }),
  tlsKeyFilePath: text({ default: '', doc: 'Key of that certificate (PEM, no passphrase).' }),
  tlsTrustCertsFilePath: text({
    default: '',
    doc: 'Authorities (PEM) whose certificates say who a client is; empty: no client is asked for a certificate.'
  }),
  tlsRequireTrustedClientCertOnConnect: boolean({
    default: false,
    doc: 'Refuse clients without a certificate of those authorities during the handshake.'
  }),
  tlsAllowInsecureConnection: boolean({
    default: false,
    doc: 'Let clients in whose certificate is of no such authority, and take any certificate of another broker. It says of nobody who they are.'
  }),
  tlsProtocols: text({ default: '', doc: 'TLSv1.3, TLSv1.2, or both, comma-separated; empty: both.' }),
  tlsCiphers: text({
    default: '',
    doc: "Ciphers by the names of OpenSSL or Java, comma-separated, best first; empty: Node's."
  }),
  tlsCertRefreshCheckDurationSec: number({
    default: 300,
    unit: 's',
    doc: 'How often the files are looked at; connections made after a change go by the new ones. 0: each second.'
  })
} as const

/** Of a service that connects to brokers with TLS, beside `serverTlsSettings`. */
export const clientTlsSettings = {
  tlsHostnameVerificationEnabled: boolean({
    default: true,
    doc: 'Check, when connecting to a broker, that the name of its host is in its certificate.'
  }),
  brokerClientTrustCertsFilePath: text({
    default: '',
    doc: "Authorities of brokers' certificates (PEM); empty: those that Node knows."
  }),
  brokerClientCertificateFilePath: text({ default: '', doc: 'Certificate that brokers are shown (PEM).' }),
  brokerClientKeyFilePath: text({ default: '', doc: 'Key of that certificate (PEM, no passphrase).' }),
  brokerClientTlsProtocols: text({ default: '', doc: 'The same as tlsProtocols, towards brokers.' }),
  brokerClientTlsCiphers: text({ default: '', doc: 'The same as tlsCiphers, towards brokers.' })
} as const
