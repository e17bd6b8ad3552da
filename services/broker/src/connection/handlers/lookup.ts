import {
  CommandLookupTopicResponse_LookupType,
  CommandPartitionedTopicMetadataResponse_LookupType,
  type CommandBody
} from '@strata/wire'
import { resourceOf } from '../../auth/access.ts'
import { requireAllowed } from '../../auth/require.ts'
import { brokerError, isBrokerError, wireErrorOf } from '../../errors.ts'
import { isNamespaceError } from '../../namespace/errors.ts'
import { TopicName } from '../../namespace/topic-name.ts'
import type { BrokerAddress } from '../../ownership/contract.ts'
import { asClientError, wireAnswerOf } from '../../topic/client-error.ts'
import type { Whereabouts } from '../../topic/homes.ts'
import type { ConnectionContext } from '../context.ts'
import { unknownListener, type ListenerUrls, type Route } from '../listeners.ts'

/*
  protocol.md section 0, "Errors that say too much" and "Lookup". ServiceNotReady in one of these answers makes clients drop
  the connection, so whatever may pass is told as MetadataError; only an unknown listener keeps it, for its text, and a broker
  that is suspended, which all clients should leave.
*/

/**
 * The owner's address, straight away or once there is an owner: clients back off exponentially, so an early error would only
 * lengthen an outage. The topic need not exist and is not created: even a regex may be looked up.
 */
export function handleLookup(connection: ConnectionContext, lookup: CommandBody<'lookupTopic'>): void {
  const { requestId } = lookup
  const { services } = connection
  const refuse = (error: unknown): void => {
    services.lookups.failures++
    connection.reply('lookupTopicResponse', {
      requestId,
      response: CommandLookupTopicResponse_LookupType.Failed,
      ...wireAnswerOf(error)
    })
  }
  connection.answerWith(async () => {
    requireLookupRoom(connection)
    const name = TopicName.parse(lookup.topic)
    const { advertisedListenerName } = lookup
    const listenerName = advertisedListenerName !== '' ? advertisedListenerName : connection.listenerName
    services.lookups.pending++
    const sinceMs = services.clock.nowMs()
    try {
      await requireAllowed(connection, () => ({
        permission: 'lookup',
        resource: resourceOf(name),
        asking: 'Lookup',
        originalRole: lookup.originalPrincipal
      }))
      const where = await whereabouts(connection, name, { take: lookup.authoritative })
      const { brokerUrl, brokerUrlTls, isProxied } = urlsFor(connection, where, listenerName)
      connection.lookupListener = listenerName
      connection.reply('lookupTopicResponse', {
        requestId,
        response: CommandLookupTopicResponse_LookupType.Connect,
        authoritative: true,
        ...(brokerUrl === undefined ? {} : { brokerServiceUrl: brokerUrl }),
        ...(brokerUrlTls === undefined ? {} : { brokerServiceUrlTls: brokerUrlTls }),
        proxyThroughServiceUrl: isProxied
      })
      services.lookups.onAnswer({ isElsewhere: where?.kind === 'there', tookMs: services.clock.nowMs() - sinceMs })
    } finally {
      services.lookups.pending--
    }
  }, refuse)
}

/** Where nothing is, any broker may say so: undefined for a namespace that does not exist. */
async function whereabouts(
  { services: { homes, topics } }: ConnectionContext,
  name: TopicName,
  options: { take: boolean }
): Promise<Whereabouts | undefined> {
  try {
    return await homes.find(name, options)
  } catch (error) {
    if (isNamespaceError(error, 'NAMESPACE_NOT_FOUND')) return undefined
    if (isBrokerError(error, 'TooManyRequests')) throw error
    // the one case in which every client should drop its connection, and ask another broker
    if (topics.isSuspended) throw brokerError('ServiceNotReady', 'This broker is out of touch with its cluster', error)
    throw inLookup(asClientError(error))
  }
}

function urlsFor(
  connection: ConnectionContext,
  where: Whereabouts | undefined,
  listenerName: string
): Pick<ListenerUrls, 'brokerUrl' | 'brokerUrlTls'> & { readonly isProxied: boolean } {
  const { services } = connection
  if (where?.kind === 'there') return { ...urlsOf(where.broker, listenerName), isProxied: false }
  const { homes } = services
  if (!homes.isAlone) return { ...urlsOf(homes.ownership.self, listenerName), isProxied: false }
  return wayHere(connection, listenerName)
}

/** To a broker that is the only one: among several, the way that a client came by may lead to another one next time. */
function wayHere({ services, localAddress, remoteAddress }: ConnectionContext, listenerName: string): Route {
  return services.listeners.route({ listenerName, localAddress, remoteAddress, ports: services.ports })
}

/** @throws BrokerError ServiceNotReady: it has no such listener, in words that clients look for */
export function urlsOf(broker: BrokerAddress, listenerName: string): ListenerUrls {
  if (listenerName === '') return broker.urls
  return broker.listeners.get(listenerName) ?? unknownListener(listenerName)
}

/**
 * What CLOSE says of where to go: what a lookup would answer. Nothing where it is not known by which listener or under which
 * address the client reaches brokers: one that it cannot reach would cost it more than a lookup. Clients that do not know
 * the fields pass over them.
 */
export function assignedUrls(connection: ConnectionContext, next: BrokerAddress | undefined): AssignedUrls {
  const { lookupListener: name } = connection
  if (next === undefined || (name === '' && next.listeners.size > 1)) return {}
  const { homes } = connection.services
  if (homes.isAlone && next.instance === homes.ownership.self.instance && !next.listeners.has(name)) {
    const { isProxied, ...urls } = wayHere(connection, '')
    return isProxied ? {} : assignedOf(urls)
  }
  return assignedOf(name === '' ? next.urls : (next.listeners.get(name) ?? next.urls))
}

interface AssignedUrls {
  assignedBrokerServiceUrl?: string
  assignedBrokerServiceUrlTls?: string
}

function assignedOf({ brokerUrl, brokerUrlTls }: Pick<ListenerUrls, 'brokerUrl' | 'brokerUrlTls'>): AssignedUrls {
  return {
    ...(brokerUrl === undefined ? {} : { assignedBrokerServiceUrl: brokerUrl }),
    ...(brokerUrlTls === undefined ? {} : { assignedBrokerServiceUrlTls: brokerUrlTls })
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
      await requireAllowed(connection, () => ({
        permission: 'lookup',
        resource: resourceOf(name),
        asking: 'Get Partition Metadata',
        originalRole: request.originalPrincipal
      }))
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
