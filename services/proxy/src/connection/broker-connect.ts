import type { Identity } from '@strata/auth'
import { encodeCommand, PROTOCOL_VERSION, type CommandBody } from '@strata/wire'
import type { ProxyServices } from './services.ts'

/**
 * CONNECT for a broker on behalf of a client, a whole frame: the client's own version and features, and that it comes by
 * way of a proxy, which says who it is itself. The principal is what the proxy knows of the client, never what the client
 * says of itself. @throws AuthError AUTH_SETTING_INVALID: the proxy's own credentials cannot be read any more
 */
export function brokerConnect(
  client: CommandBody<'connect'>,
  identity: Identity | undefined,
  { settings, version, own }: ProxyServices
): Buffer {
  const principal = identity?.role ?? settings.anonymousUserRole
  return encodeCommand('connect', {
    clientVersion: client.clientVersion,
    protocolVersion: Math.min(client.protocolVersion, PROTOCOL_VERSION),
    ...(own === undefined ? { authMethodName: 'none' } : { authMethodName: own.method, authData: own.data() }),
    proxyVersion: version,
    ...(client.featureFlags === undefined ? {} : { featureFlags: client.featureFlags }),
    ...(principal === '' ? {} : { originalPrincipal: principal }),
    ...(settings.forwardAuthorizationCredentials
      ? {
          originalAuthMethod: client.authMethodName,
          originalAuthData: Buffer.from(client.authData).toString('utf8')
        }
      : {})
  })
}
