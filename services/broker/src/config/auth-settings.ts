import { boolean, number, text } from '@strata/base'

/** Who clients are, and what they may do. Names and meanings are Apache Pulsar's. */
export const authSettings = {
  authenticationEnabled: boolean({ default: false, doc: 'Ask clients who they are.' }),
  authenticationProviders: text({
    default: '',
    doc: 'Java class names, comma-separated, of org.apache.pulsar.broker.authentication: AuthenticationProviderToken, AuthenticationProviderTls, AuthenticationProviderBasic, oidc.AuthenticationProviderOpenID.'
  }),
  authenticationRefreshCheckSeconds: number({
    default: 60,
    min: 1,
    unit: 's',
    doc: 'How often it is looked whether the credentials of a connection have expired; its client is then asked for others.'
  }),
  authenticateMetricsEndpoint: boolean({
    default: false,
    doc: 'Ask who reads /metrics, too: names of topics are among its labels.'
  }),
  anonymousUserRole: text({
    default: '',
    doc: 'Role of clients that do not say who they are; empty: they are refused.'
  }),
  authorizationEnabled: boolean({
    default: false,
    doc: 'Check what a client may do. Needs authenticationEnabled.'
  }),
  authorizationAllowWildcardsMatching: boolean({
    default: false,
    doc: 'Grants to name* and *name are for all roles that begin and end so.'
  }),
  superUserRoles: text({ default: '', doc: 'Roles that may everything, comma-separated.' }),
  proxyRoles: text({
    default: '',
    doc: 'Roles of proxies, comma-separated: they ask for others, whom they name, and both must be allowed.'
  }),
  authenticateOriginalAuthData: boolean({
    default: false,
    doc: 'Check the credentials that a proxy passes on, and go by them; otherwise the role that it names is believed.'
  }),
  tokenSecretKey: text({
    default: '',
    doc: 'Secret that signs tokens (HS256, HS384, HS512): file:///path, data:;base64,…, a path, or base64.'
  }),
  tokenPublicKey: text({
    default: '',
    doc: 'Public key of what signs tokens, as DER or PEM: file:///path, data:;base64,…, a path, or base64.'
  }),
  tokenPublicAlg: text({
    default: 'RS256',
    oneOf: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'],
    doc: "An algorithm of the public key's kind."
  }),
  tokenAuthClaim: text({ default: 'sub', doc: 'The claim of a token that is the role.' }),
  tokenAudienceClaim: text({ default: '', doc: 'The claim of a token that says whom it is for; empty: not checked.' }),
  tokenAudience: text({ default: '', doc: 'What that claim must be, or hold.' }),
  tokenAllowedClockSkewSeconds: number({
    default: 0,
    unit: 's',
    doc: 'How far the clock of whoever signs tokens may be off.'
  }),
  basicAuthConf: text({
    default: '',
    doc: 'Users and passwords as htpasswd writes them (bcrypt, apr1): file:///path, data:;base64,…, a path, or base64.'
  }),
  openIDAllowedTokenIssuers: text({ default: '', doc: 'URLs of OpenID Connect issuers, comma-separated.' }),
  openIDAllowedAudiences: text({ default: '', doc: 'Audiences, comma-separated, of which a token must have one.' }),
  openIDRoleClaim: text({ default: 'sub', doc: "The claim of an issuer's token that is the role." }),
  openIDAcceptedTimeLeewaySeconds: number({
    default: 0,
    unit: 's',
    doc: 'How far the clock of an issuer may be off.'
  }),
  openIDRequireIssuersUseHttps: boolean({ default: true, doc: 'Refuse issuers, and keys of theirs, without TLS.' }),
  openIDCacheExpirationSeconds: number({
    default: 86_400,
    min: 1,
    unit: 's',
    doc: 'How long keys of an issuer are used before they are asked for again.'
  }),
  openIDKeyIdCacheMissRefreshSeconds: number({
    default: 300,
    min: 1,
    unit: 's',
    doc: 'How long an issuer is not asked again after a token named a key that it does not have.'
  }),
  openIDHttpConnectionTimeoutMillis: number({
    default: 10_000,
    min: 1,
    unit: 'ms',
    doc: 'How long an issuer may take to answer.'
  }),
  brokerClientAuthenticationPlugin: text({
    default: '',
    doc: 'How brokers say to each other who they are, as a Java class name that ends in AuthenticationToken or AuthenticationBasic.'
  }),
  brokerClientAuthenticationParameters: text({
    default: '',
    doc: 'What they say: token:…, file:///path of a token, or {"userId":"…","password":"…"}. Their role must be a super user.'
  })
} as const
