import { clientTlsSettings, ownCredentialsSettings, providerSettings, serverTlsSettings } from '@strata/auth'
import { boolean, number, text, type SettingsOf } from '@strata/base'

/** Every key of the proxy, by the names of Apache Pulsar's proxy.conf and with its meaning. The only place where they are declared. */
export const proxySettings = {
  // which brokers there are
  metadataStoreUrl: text({
    default: '',
    doc: "The cluster's metadata store, where brokers register: etcd:http://host:2379,host:2379/prefix."
  }),
  metadataStoreConfigPath: text({
    default: '',
    doc: 'File of key=value lines for etcd: tlsTrustCertsFilePath, tlsCertificateFilePath, tlsKeyFilePath, username, passwordPath.'
  }),
  brokerServiceURL: text({
    default: '',
    doc: 'Brokers to ask instead of the registered ones: pulsar://host:port,host:port.'
  }),
  brokerWebServiceURL: text({
    default: '',
    doc: 'Brokers to pass HTTP on to instead of the registered ones: http://host:port,host:port.'
  }),

  brokerServiceURLTLS: text({
    default: '',
    doc: 'The same as brokerServiceURL where tlsEnabledWithBroker is on: pulsar+ssl://host:port,host:port.'
  }),
  brokerWebServiceURLTLS: text({
    default: '',
    doc: 'The same as brokerWebServiceURL where tlsEnabledWithBroker is on: https://host:port,host:port.'
  }),

  // where it listens
  bindAddress: text({
    default: '127.0.0.1',
    doc: 'Address both ports listen on. Without authentication it stays loopback until this says otherwise.'
  }),
  servicePort: number({
    default: 6650,
    min: -1,
    max: 65_535,
    doc: 'Port of the binary protocol; 0 takes a free one, -1: none but with TLS.'
  }),
  servicePortTls: number({
    default: -1,
    min: -1,
    max: 65_535,
    doc: 'Port of the binary protocol over TLS; 0 takes a free one, -1: none.'
  }),
  webServicePort: number({
    default: 8080,
    min: -1,
    max: 65_535,
    doc: 'Port of HTTP (admin, lookup, metrics); 0 takes a free one, -1: none but with TLS.'
  }),
  webServicePortTls: number({
    default: -1,
    min: -1,
    max: 65_535,
    doc: 'Port of HTTPS; 0 takes a free one, -1: none.'
  }),
  ...serverTlsSettings,
  keepAliveIntervalSeconds: number({
    default: 30,
    min: 1,
    unit: 's',
    doc: 'Interval of pings to clients that look up; a peer silent for two of them, or without CONNECT in one, is closed.'
  }),
  statusFilePath: text({
    default: '',
    doc: 'File that must be there for /status.html to say OK, so that an operator can take the proxy out of rotation; empty: none.'
  }),

  // connections to brokers
  tlsEnabledWithBroker: boolean({
    default: false,
    doc: 'Connect to brokers with TLS, and to none without.'
  }),
  ...clientTlsSettings,
  ...ownCredentialsSettings,
  brokerProxyConnectTimeoutMs: number({
    default: 10_000,
    min: 1,
    unit: 'ms',
    doc: 'How long connecting to a broker may take, with its handshake.'
  }),
  brokerProxyReadTimeoutMs: number({
    default: 75_000,
    unit: 'ms',
    doc: 'A broker that sends nothing for so long is given up; 0: never.'
  }),
  checkActiveBrokers: boolean({
    default: false,
    doc: 'Connect clients to registered brokers only, whatever the lists of allowed addresses say.'
  }),
  brokerProxyAllowedHostNames: text({
    default: '',
    doc: 'Hosts that clients may be connected to besides registered brokers, comma-separated, * for any part; empty: none.'
  }),
  brokerProxyAllowedIPAddresses: text({
    default: '*',
    doc: 'Addresses or networks (10.0.0.0/8) that the names of such hosts must lead to, comma-separated; *: any.'
  }),
  brokerProxyAllowedTargetPorts: text({
    default: '6650,6651',
    doc: 'Ports of such hosts, comma-separated; *: any.'
  }),

  // limits
  maxConcurrentInboundConnections: number({
    default: 10_000,
    min: 1,
    doc: 'Connections of clients at once; further ones are told so and closed.'
  }),
  maxConcurrentInboundConnectionsPerIp: number({
    default: 0,
    doc: 'Connections of clients from one address; 0: no limit.'
  }),
  strataLoginFailuresPerMinute: number({
    default: 60,
    doc: 'Logins from one address (of IPv6: one network of 64 bits) that may fail in a minute; then it has to wait. 0: no limit.'
  }),
  maxConcurrentLookupRequests: number({
    default: 50_000,
    min: 1,
    doc: 'Lookups and other requests that wait for an answer of a broker; beyond it TooManyRequests.'
  }),
  httpInputMaxReplayBufferSize: number({
    default: 5_242_880,
    min: 1,
    unit: 'bytes',
    doc: 'Largest body of a request over HTTP: it is kept until no broker can redirect it any more.'
  }),
  httpMaxRequestHeaderSize: number({
    default: 8192,
    min: 1024,
    max: 1_048_576,
    unit: 'bytes',
    doc: 'Largest head of a request over HTTP.'
  }),
  httpProxyTimeout: number({
    default: 300_000,
    min: 1,
    unit: 'ms',
    doc: 'How long a broker may take to answer over HTTP.'
  }),
  maxConcurrentHttpRequests: number({
    default: 1024,
    min: 1,
    doc: 'Requests over HTTP that wait for a broker; beyond it 503.'
  }),
  maxHttpServerConnections: number({ default: 2048, doc: 'Connections over HTTP; 0: no limit.' }),

  // who the client is
  authenticationEnabled: boolean({
    default: false,
    doc: 'Ask clients who they are; brokers are told, and decide what they may do.'
  }),
  ...providerSettings,
  anonymousUserRole: text({
    default: '',
    doc: 'Role that brokers are told for clients that do not say who they are; empty: with authenticationEnabled they are refused, without it none is told.'
  }),
  forwardAuthorizationCredentials: boolean({
    default: false,
    doc: 'Hand credentials of clients on to brokers beside their role (authenticateOriginalAuthData).'
  }),

  clusterName: text({ default: '', doc: 'Name of the cluster, a label of metrics; empty: no label.' }),
  enableProxyStatsEndpoints: boolean({ default: true, doc: 'Serve /metrics.' }),
  strataLogLevel: text({
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'What is written to standard error.'
  }),

  // what Strata does not have yet: only the value that switches it off
  authorizationEnabled: boolean({ default: false, doc: 'Check what a client may do: brokers do. Only false.' }),
  haProxyProtocolEnabled: boolean({ default: false, doc: 'The PROXY protocol. Not available yet: only false.' }),
  webSocketServiceEnabled: boolean({ default: false, doc: 'The WebSocket API. Not available yet: only false.' })
} as const

export type ProxySettings = SettingsOf<typeof proxySettings>

/** Switches that must stay off: a `true` is refused by name, never ignored. */
const UNAVAILABLE_SWITCHES = [
  'authorizationEnabled',
  'haProxyProtocolEnabled',
  'webSocketServiceEnabled'
] as const satisfies readonly (keyof ProxySettings)[]

/** Switches that are on but name something Strata does not have: one sentence each. */
export function unavailableProxySwitches(settings: ProxySettings): string[] {
  return UNAVAILABLE_SWITCHES.filter(key => settings[key]).map(
    key => `${key}=true: Strata does not have this yet; set ${key}=false or leave it out`
  )
}
