export { Authenticator, type AuthenticatorSettings, type HttpIntroduction, type Introduction } from './authenticator.ts'
export {
  decide,
  NO_GRANTS,
  type AccessRules,
  type Decision,
  type NamespaceGrants,
  type Question,
  type Reason,
  type Resource
} from './decide.ts'
export { authError, isAuthError, type AuthErrorCode } from './errors.ts'
export { GrantStore, ROLE_CHARS_MAX, type GrantScope } from './grants.ts'
export { readKeySource } from './key-source.ts'
export { certificateOf, type ClientCertificate, type Identity } from './identity.ts'
export { type LoginCounts, TOKEN_MINUTES_BOUNDS } from './login-counts.ts'
export { LoginLimit } from './login-limit.ts'
export { namesOf } from './names.ts'
export { ACTIONS, isAction, type Action, type Permission } from './permission.ts'
export { askingRoles } from './proxying.ts'
export { ClientTls, type ClientTlsSettings } from './tls/client-tls.ts'
export { ServerTls, type ServerTlsSettings } from './tls/server-tls.ts'
export { clientTlsSettings, serverTlsSettings } from './tls/tls-settings.ts'
export { ownCredentials, type OwnCredentials, type OwnCredentialsSettings } from './own-credentials.ts'
export { ownCredentialsSettings, providerSettings } from './provider-settings.ts'
