import type { CommandBody, CommandName } from '@strata/wire'
import { brokerError, brokerErrors } from '../../errors.ts'
import type { ConnectionContext } from '../context.ts'

/*
  What Strata does not have answers as an Apache Pulsar in whose configuration it is switched off.
*/

const TRANSACTIONS_OFF = 'Transactions are not enabled.'
const SCALABLE_OFF = 'Scalable topics are not enabled.'

const error = brokerErrors.NotAllowedError.wire

function refuseTransaction(connection: ConnectionContext, { requestId }: { readonly requestId: bigint }): void {
  connection.fail(requestId, brokerError('NotAllowedError', TRANSACTIONS_OFF))
}

const ignore = (): void => undefined

export const switchedOff: {
  readonly [Name in CommandName]?: (connection: ConnectionContext, body: CommandBody<Name>) => void
} = {
  tcClientConnectRequest: refuseTransaction,
  newTxn: refuseTransaction,
  addPartitionToTxn: refuseTransaction,
  addSubscriptionToTxn: refuseTransaction,
  endTxn: refuseTransaction,
  endTxnOnPartition: refuseTransaction,
  endTxnOnSubscription: refuseTransaction,
  scalableTopicLookup: (connection, { sessionId }) => {
    connection.reply('scalableTopicUpdate', { sessionId, error, message: SCALABLE_OFF })
  },
  scalableTopicSubscribe: (connection, { requestId }) => {
    connection.reply('scalableTopicSubscribeResponse', { requestId, error, message: SCALABLE_OFF })
  },
  scalableTopicUnsubscribe: (connection, { requestId }) => {
    connection.fail(requestId, brokerError('NotAllowedError', SCALABLE_OFF))
  },
  watchScalableTopics: (connection, { watchId }) => {
    connection.reply('watchScalableTopicsUpdate', { watchId, error, message: SCALABLE_OFF })
  },
  watchTcAssignments: (connection, { watchId }) => {
    connection.reply('watchTcAssignmentsUpdate', { watchId, error, message: TRANSACTIONS_OFF })
  },
  scalableTopicClose: ignore,
  watchScalableTopicsClose: ignore,
  watchTcAssignmentsClose: ignore
}
