import type { DecodedCommand } from '@strata/wire'
import { brokerError, brokerErrors } from '../../errors.ts'
import type { ConnectionContext } from '../context.ts'

/*
  What Strata does not have answers as an Apache Pulsar in whose configuration it is switched off.
*/

const TRANSACTIONS_OFF = 'Transactions are not enabled.'
const SCALABLE_OFF = 'Scalable topics are not enabled.'

const error = brokerErrors.NotAllowedError.wire

/** True if the command was one of these. */
export function handleSwitchedOff(connection: ConnectionContext, command: DecodedCommand): boolean {
  switch (command.case) {
    case 'tcClientConnectRequest':
    case 'newTxn':
    case 'addPartitionToTxn':
    case 'addSubscriptionToTxn':
    case 'endTxn':
    case 'endTxnOnPartition':
    case 'endTxnOnSubscription':
      connection.fail(command.value.requestId, brokerError('NotAllowedError', TRANSACTIONS_OFF))
      return true
    case 'scalableTopicLookup':
      connection.reply('scalableTopicUpdate', { sessionId: command.value.sessionId, error, message: SCALABLE_OFF })
      return true
    case 'scalableTopicSubscribe':
      connection.reply('scalableTopicSubscribeResponse', {
        requestId: command.value.requestId,
        error,
        message: SCALABLE_OFF
      })
      return true
    case 'scalableTopicUnsubscribe':
      connection.fail(command.value.requestId, brokerError('NotAllowedError', SCALABLE_OFF))
      return true
    case 'watchScalableTopics':
      connection.reply('watchScalableTopicsUpdate', { watchId: command.value.watchId, error, message: SCALABLE_OFF })
      return true
    case 'watchTcAssignments':
      connection.reply('watchTcAssignmentsUpdate', { watchId: command.value.watchId, error, message: TRANSACTIONS_OFF })
      return true
    case 'scalableTopicClose':
    case 'watchScalableTopicsClose':
    case 'watchTcAssignmentsClose':
      return true
    default:
      return false
  }
}
