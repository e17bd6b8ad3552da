import type { Operation } from '../operation.ts'
import { bodyOf, json, missingBody } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { topicOf } from './names.ts'

/*
  What this broker does not have answers as an Apache Pulsar that has it switched off, so that tools say why.
*/

/** Functions run in workers, and there are none. */
export const noFunctionWorker: Operation = () =>
  refuse(409, 'Pulsar Function Worker is not enabled, probably functionsWorkerEnabled is set to false')

export const noTransactions: Operation = () =>
  refuse(503, 'This Broker is not configured with transactionCoordinatorEnabled=true.')

export const noTransactionBuffer: Operation = request => refuse(404, `Topic not found ${topicOf(request).toString()}`)

export const noCoordinatorReplicas: Operation = request =>
  bodyOf(request) === undefined ? missingBody() : noTransactions(request)

/** Metadata is where it is, and stays there. */
export const migrationStatus: Operation = () => json({ phase: 'NOT_STARTED' })

export const startMigration: Operation = request => {
  if ((request.query.target ?? '') === '') refuse(400, 'Target URL is required')
  return refuse(405, 'The metadata store cannot be changed for another')
}
