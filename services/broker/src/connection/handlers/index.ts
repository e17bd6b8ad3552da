import type { DecodedCommand } from '@strata/wire'
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
import { handleSwitchedOff } from './switched-off.ts'
import { handleGetTopicsOfNamespace, handleWatchTopicList, handleWatchTopicListClose } from './topic-list.ts'

/** Every command that is not sent once a message. Closes the connection for what only a broker may send. */
export function handleCommand(connection: ConnectionContext, command: DecodedCommand): void {
  switch (command.case) {
    case 'lookupTopic':
      return handleLookup(connection, command.value)
    case 'partitionMetadata':
      return handlePartitionedMetadata(connection, command.value)
    case 'producer':
      return handleProducer(connection, command.value)
    case 'closeProducer':
      return handleCloseProducer(connection, command.value)
    case 'subscribe':
      return handleSubscribe(connection, command.value)
    case 'closeConsumer':
      return handleCloseConsumer(connection, command.value)
    case 'redeliverUnacknowledgedMessages':
      return handleRedeliver(connection, command.value)
    case 'unsubscribe':
      return handleUnsubscribe(connection, command.value)
    case 'seek':
      return handleSeek(connection, command.value)
    case 'consumerStats':
      return handleConsumerStats(connection, command.value)
    case 'getLastMessageId':
      return handleGetLastMessageId(connection, command.value)
    case 'getTopicsOfNamespace':
      return handleGetTopicsOfNamespace(connection, command.value)
    case 'watchTopicList':
      return handleWatchTopicList(connection, command.value)
    case 'watchTopicListClose':
      return handleWatchTopicListClose(connection, command.value)
    case 'getSchema':
      return handleGetSchema(connection, command.value)
    case 'getOrCreateSchema':
      return handleGetOrCreateSchema(connection, command.value)
    case 'authResponse':
      return // nobody was challenged
    case 'unknown':
      connection.logger.debug({ event: 'command.unknown', type: command.type }, 'passed over a command nobody knows')
      return
    default:
      if (!handleSwitchedOff(connection, command)) connection.close(`a client does not send ${command.case}`)
  }
}
