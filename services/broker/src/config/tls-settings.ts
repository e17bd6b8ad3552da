import { clientTlsSettings, serverTlsSettings } from '@strata/auth'
import { boolean, number } from '@strata/base'

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
  ...serverTlsSettings,
  brokerClientTlsEnabled: boolean({ default: false, doc: 'Brokers ask each other over HTTPS.' }),
  ...clientTlsSettings
} as const
