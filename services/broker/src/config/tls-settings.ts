import { boolean, number, text } from '@strata/base'

/** TLS of both ports, and of what brokers ask of each other. Names and meanings are Apache Pulsar's. */
export const tlsSettings = {
  brokerServicePortTls: number({
    default: -1,
    min: -1,
    max: 65_535,
    doc: 'Port of the binary protocol over TLS; 0 takes a free one, -1: none.'
  }),
  webServicePortTls: number({
    default: -1,
    min: -1,
    max: 65_535,
    doc: 'Port of HTTPS; 0 takes a free one, -1: none.'
  }),
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
  tlsHostnameVerificationEnabled: boolean({
    default: true,
    doc: "A broker that connects to another one with TLS checks that the host's name is in its certificate."
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
  }),
  brokerClientTlsEnabled: boolean({ default: false, doc: 'Brokers ask each other over HTTPS.' }),
  brokerClientTrustCertsFilePath: text({
    default: '',
    doc: "Authorities of other brokers' certificates (PEM); empty: those that Node knows."
  }),
  brokerClientCertificateFilePath: text({ default: '', doc: 'Certificate that a broker shows to other ones (PEM).' }),
  brokerClientKeyFilePath: text({ default: '', doc: 'Key of that certificate (PEM, no passphrase).' }),
  brokerClientTlsProtocols: text({ default: '', doc: 'The same as tlsProtocols, towards other brokers.' }),
  brokerClientTlsCiphers: text({ default: '', doc: 'The same as tlsCiphers, towards other brokers.' })
} as const
