import { PROTOCOL_VERSION, type CommandBody } from '@strata/wire'
import type { Guard } from '../../auth/guard.ts'
import { causeOf, Session, type SessionHost } from '../../auth/session.ts'
import { NO_REQUEST, type ClientInfo, type ConnectionContext } from '../context.ts'

/** Lengths that a name of a client may have; what is longer is cut in what we keep. */
const CLIENT_VERSION_CHARS_MAX = 256

/** While authentication is off any method is accepted, as in a Pulsar that is configured so. */
export function handleConnect(connection: ConnectionContext, connect: CommandBody<'connect'>): void {
  const { guard } = connection.services
  if (guard === undefined) accept(connection, connect, undefined)
  else introduce(connection, connect, guard)
}

function introduce(connection: ConnectionContext, connect: CommandBody<'connect'>, guard: Guard): void {
  guard.introduce(connect, connection).then(
    known => {
      if (connection.isClosed) return
      accept(connection, connect, new Session(guard, known, hostOf(connection)))
    },
    (error: unknown) => {
      const fields = { event: 'session.refused', method: methodOf(connect), reason: causeOf(error) }
      connection.logger.info(fields, 'a client was not believed')
      refuse(connection, error)
    }
  )
}

/** For the log; a client may write anything there, so only what looks like a method is repeated. */
function methodOf({ authMethodName }: CommandBody<'connect'>): string {
  return /^[\w-]{1,32}$/.test(authMethodName) ? authMethodName : 'unknown'
}

function refuse(connection: ConnectionContext, error: unknown): void {
  connection.fail(NO_REQUEST, error)
  connection.close('its credentials were refused')
}

function hostOf(connection: ConnectionContext): SessionHost {
  const { clock, settings, serverVersion } = connection.services
  return {
    clock,
    logger: connection.logger,
    checkIntervalMs: settings.authenticationRefreshCheckSeconds * 1000,
    get canRefresh() {
      return connection.client.supportsAuthRefresh
    },
    challenge: challenge => {
      const { protocolVersion } = connection.client
      connection.reply('authChallenge', { serverVersion, protocolVersion, ...challenge })
    },
    refuse: error => {
      refuse(connection, error)
    },
    close: reason => {
      connection.close(reason)
    }
  }
}

function accept(connection: ConnectionContext, connect: CommandBody<'connect'>, session: Session | undefined): void {
  const { settings, serverVersion } = connection.services
  const protocolVersion = Math.min(PROTOCOL_VERSION, connect.protocolVersion)
  connection.becomeConnected(clientOf(connect, protocolVersion), session)
  const watches = settings.enableBrokerSideSubscriptionPatternEvaluation && settings.enableBrokerTopicListWatcher
  connection.reply('connected', {
    serverVersion,
    protocolVersion,
    maxMessageSize: settings.maxMessageSize,
    featureFlags: {
      supportsTopicWatchers: watches,
      supportsTopicWatcherReconcile: watches,
      supportsGetPartitionedMetadataWithoutAutoCreation: true
    }
  })
}

function clientOf(connect: CommandBody<'connect'>, protocolVersion: number): ClientInfo {
  const flags = connect.featureFlags
  return {
    version: connect.clientVersion.slice(0, CLIENT_VERSION_CHARS_MAX).replaceAll(/\s+/g, '-'),
    protocolVersion,
    supportsBrokerEntryMetadata: flags?.supportsBrokerEntryMetadata ?? false,
    supportsPartialProducer: flags?.supportsPartialProducer ?? false,
    supportsTopicWatchers: flags?.supportsTopicWatchers ?? false,
    supportsAuthRefresh: flags?.supportsAuthRefresh ?? false
  }
}
