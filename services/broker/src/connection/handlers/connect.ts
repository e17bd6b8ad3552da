import { PROTOCOL_VERSION, type CommandBody } from '@strata/wire'
import type { ConnectionContext } from '../context.ts'

/** Lengths that a name of a client may have; what is longer is cut in what we keep. */
const CLIENT_VERSION_CHARS_MAX = 256

/** Authentication is off: any method is accepted, as in a Pulsar that is configured so. */
export function handleConnect(connection: ConnectionContext, connect: CommandBody<'connect'>): void {
  const { settings, serverVersion } = connection.services
  const flags = connect.featureFlags
  const protocolVersion = Math.min(PROTOCOL_VERSION, connect.protocolVersion)
  connection.becomeConnected({
    version: connect.clientVersion.slice(0, CLIENT_VERSION_CHARS_MAX).replaceAll(/\s+/g, '-'),
    protocolVersion,
    supportsBrokerEntryMetadata: flags?.supportsBrokerEntryMetadata ?? false,
    supportsPartialProducer: flags?.supportsPartialProducer ?? false,
    supportsTopicWatchers: flags?.supportsTopicWatchers ?? false
  })
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
