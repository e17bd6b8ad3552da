import type { AuthenticatorSettings } from '../authenticator.ts'

const PACKAGE = 'org.apache.pulsar.broker.authentication.'

export const CLASSES = {
  token: `${PACKAGE}AuthenticationProviderToken`,
  tls: `${PACKAGE}AuthenticationProviderTls`,
  basic: `${PACKAGE}AuthenticationProviderBasic`,
  openId: `${PACKAGE}oidc.AuthenticationProviderOpenID`
}

/** As a broker has them that is told nothing else. */
export function authSettings(changed: Partial<AuthenticatorSettings>): AuthenticatorSettings {
  return {
    authenticationProviders: '',
    anonymousUserRole: '',
    basicAuthConf: '',
    tokenSecretKey: '',
    tokenPublicKey: '',
    tokenPublicAlg: 'RS256',
    tokenAuthClaim: 'sub',
    tokenAudienceClaim: '',
    tokenAudience: '',
    tokenAllowedClockSkewSeconds: 0,
    openIDAllowedTokenIssuers: '',
    openIDAllowedAudiences: '',
    openIDRoleClaim: 'sub',
    openIDAcceptedTimeLeewaySeconds: 0,
    openIDRequireIssuersUseHttps: true,
    openIDCacheExpirationSeconds: 86_400,
    openIDKeyIdCacheMissRefreshSeconds: 300,
    openIDHttpConnectionTimeoutMillis: 10_000,
    ...changed
  }
}

export const dataUrl = (bytes: Uint8Array): string => `data:;base64,${Buffer.from(bytes).toString('base64')}`
