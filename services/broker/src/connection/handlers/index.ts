import type { CommandBody, CommandName, DecodedCommand } from '@strata/wire'
import type { ConnectionContext } from '../context.ts'
import {
  handleConsumerStats,
  handleGetLastMessageId,
  handleRedeliver,
  handleSeek,
  handleUnsubscribe
} from './consumer.ts'
import { handleLookup, handlePartitionedMetadata } from './lookup.ts'
import { handleCloseProducer, handleProducer } from './producer.ts'
import { handleGetOrCreateSchema, handleGetSchema } from './schema.ts'
import { handleCloseConsumer, handleSubscribe } from './subscribe.ts'
import { switchedOff } from './switched-off.ts'
import { handleGetTopicsOfNamespace, handleWatchTopicList, handleWatchTopicListClose } from './topic-list.ts'

type Handlers = {
  readonly [Name in CommandName]?: (connection: ConnectionContext, body: CommandBody<Name>) => void
}

/** Every command that is not sent once a message. */
const handlers: Handlers = {
  ...switchedOff,
  lookupTopic: handleLookup,
  partitionMetadata: handlePartitionedMetadata,
  producer: handleProducer,
  closeProducer: handleCloseProducer,
  subscribe: handleSubscribe,
  closeConsumer: handleCloseConsumer,
  redeliverUnacknowledgedMessages: handleRedeliver,
  unsubscribe: handleUnsubscribe,
  seek: handleSeek,
  consumerStats: handleConsumerStats,
  getLastMessageId: handleGetLastMessageId,
  getTopicsOfNamespace: handleGetTopicsOfNamespace,
  watchTopicList: handleWatchTopicList,
  watchTopicListClose: handleWatchTopicListClose,
  getSchema: handleGetSchema,
  getOrCreateSchema: handleGetOrCreateSchema,
  authResponse: (connection, response) => connection.session?.respond(response)
}

/** What clients send besides CONNECT, SEND, ACK, FLOW, PING and PONG. */
export const COMMANDS = Object.keys(handlers) as readonly CommandName[]

/**
 * Closes the connection for what only a broker may send, and, as Apache Pulsar's broker does (its decoder takes a type it
 * does not know for a missing one), for a command of an unknown type: its sender may wait for an answer for ever.
 */
export function handleCommand(connection: ConnectionContext, command: DecodedCommand): void {
  if (command.case === 'unknown') {
    connection.close(`a command of the unknown type ${command.type}`)
    return
  }
  // The table's type says that handler and body belong together; the compiler cannot follow that through the look-up.
  const handler = handlers[command.case] as ((connection: ConnectionContext, body: unknown) => void) | undefined
  if (handler === undefined) connection.close(`a client does not send ${command.case}`)
  else handler(connection, command.value)
}
