import { encodeCommand, PROTOCOL_VERSION, type CommandBody } from '@strata/wire'
import type { ProxyServices } from './services.ts'

/**
 * CONNECT for a broker on behalf of a client, a whole frame: the client's own version and features, and that it comes by
 * way of a proxy. The principal is what the proxy knows of the client, never what the client says of itself.
 */
export function brokerConnect(client: CommandBody<'connect'>, { settings, version }: ProxyServices): Buffer {
  const { anonymousUserRole, forwardAuthorizationCredentials } = settings
  return encodeCommand('connect', {
    clientVersion: client.clientVersion,
    protocolVersion: Math.min(client.protocolVersion, PROTOCOL_VERSION),
    authMethodName: 'none',
    proxyVersion: version,
    ...(client.featureFlags === undefined ? {} : { featureFlags: client.featureFlags }),
    ...(anonymousUserRole === '' ? {} : { originalPrincipal: anonymousUserRole }),
    ...(forwardAuthorizationCredentials
      ? {
          originalAuthMethod: client.authMethodName,
          originalAuthData: Buffer.from(client.authData).toString('utf8')
        }
      : {})
  })
}
