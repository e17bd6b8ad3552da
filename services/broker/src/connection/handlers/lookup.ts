import {
  CommandLookupTopicResponse_LookupType,
  CommandPartitionedTopicMetadataResponse_LookupType,
  type CommandBody
} from '@strata/wire'
import { brokerError, wireErrorOf } from '../../errors.ts'
import { asClientError, wireAnswerOf } from '../../topic/client-error.ts'
import { TopicName } from '../../namespace/topic-name.ts'
import type { ConnectionContext } from '../context.ts'

/*
  protocol.md section 0, "Errors that say too much" and "Lookup". ServiceNotReady in one of these answers makes clients drop
  the connection, so whatever may pass is told as MetadataError; only an unknown listener keeps it, for its text.
*/

/** The topic need not exist and is not created: even a regex may be looked up. */
export function handleLookup(connection: ConnectionContext, lookup: CommandBody<'lookupTopic'>): void {
  const { requestId } = lookup
  const { services } = connection
  const refuse = (error: unknown): void => {
    connection.reply('lookupTopicResponse', {
      requestId,
      response: CommandLookupTopicResponse_LookupType.Failed,
      ...wireAnswerOf(error)
    })
  }
  try {
    requireLookupRoom(connection)
    TopicName.parse(lookup.topic)
    const route = services.listeners.route({
      listenerName: lookup.advertisedListenerName !== '' ? lookup.advertisedListenerName : connection.listenerName,
      localAddress: connection.localAddress,
      remoteAddress: connection.remoteAddress,
      port: services.ports.broker,
      webPort: services.ports.web
    })
    connection.reply('lookupTopicResponse', {
      requestId,
      response: CommandLookupTopicResponse_LookupType.Connect,
      authoritative: true,
      ...(route.brokerUrl === undefined ? {} : { brokerServiceUrl: route.brokerUrl }),
      ...(route.brokerUrlTls === undefined ? {} : { brokerServiceUrlTls: route.brokerUrlTls }),
      proxyThroughServiceUrl: route.isProxied
    })
  } catch (error) {
    refuse(error)
  }
}

export function handlePartitionedMetadata(
  connection: ConnectionContext,
  request: CommandBody<'partitionMetadata'>
): void {
  const { requestId } = request
  const { services } = connection
  const refuse = (error: unknown): void => {
    connection.reply('partitionMetadataResponse', {
      requestId,
      response: CommandPartitionedTopicMetadataResponse_LookupType.Failed,
      ...wireAnswerOf(inLookup(asClientError(error)))
    })
  }
  connection.answerWith(async () => {
    requireLookupRoom(connection)
    services.lookups.pending++
    try {
      const name = TopicName.parse(request.topic)
      const mayCreate = request.metadataAutoCreationEnabled
      const partitions = await services.namespaces.topics.partitionsOf(name, { mayCreate })
      connection.reply('partitionMetadataResponse', {
        requestId,
        response: CommandPartitionedTopicMetadataResponse_LookupType.Success,
        partitions
      })
    } finally {
      services.lookups.pending--
    }
  }, refuse)
}

function requireLookupRoom(connection: ConnectionContext): void {
  const { lookups, settings } = connection.services
  if (lookups.pending < settings.maxConcurrentLookupRequest) return
  throw brokerError('TooManyRequests', 'Failed due to too many pending lookup requests')
}

function inLookup(error: unknown): unknown {
  const { code, message } = wireErrorOf(error)
  return code === 'ServiceNotReady' || code === 'UnknownError' ? brokerError('MetadataError', message, error) : error
}
