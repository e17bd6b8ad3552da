import { boolean, number, text } from '@strata/base'

/** How clients say who they are, and what is believed. Names and meanings are Apache Pulsar's. */
export const providerSettings = {
  authenticationProviders: text({
    default: '',
    doc: 'Java class names, comma-separated, of org.apache.pulsar.broker.authentication: AuthenticationProviderToken, AuthenticationProviderTls, AuthenticationProviderBasic, oidc.AuthenticationProviderOpenID.'
  }),
  anonymousUserRole: text({
    default: '',
    doc: 'Role of clients that do not say who they are; empty: they are refused.'
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
  })
} as const

/** Who a service is to brokers. */
export const ownCredentialsSettings = {
  brokerClientAuthenticationPlugin: text({
    default: '',
    doc: 'How it is said to brokers who asks, as a Java class name that ends in AuthenticationToken, AuthenticationBasic or AuthenticationTls (with the certificate of brokerClientCertificateFilePath).'
  }),
  brokerClientAuthenticationParameters: text({
    default: '',
    doc: 'What is said: token:…, file:///path of a token, which is read at each use, or {"userId":"…","password":"…"}. Of a broker the role must be a super user, of a proxy one of proxyRoles.'
  })
} as const
