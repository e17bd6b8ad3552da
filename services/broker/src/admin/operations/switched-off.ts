import { bodyOf, done, json, missingBody, unreadable, type AdminRequest, type Operation } from '../operation.ts'
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

/** Of the clients of version 5: there are none, and none is made. */
export const noScalableTopics: Operation = () => json([])

export const noScalableTopic: Operation = request => refuse(404, `Scalable topic not found: ${scalable(request)}`)

export const noScalableTopicMade: Operation = () => refuse(405, 'Scalable topics are not enabled')

export const noTopicToMigrate: Operation = async request => {
  const name = topicOf(request)
  const record = await request.backend.namespaces.topics.find(name)
  return record === undefined ? refuse(404, `Topic does not exist: ${name.toString()}`) : noScalableTopicMade(request)
}

/** A segment that is not there is gone already. */
export const noSegmentLeft: Operation = () => done()

export const noSegment: Operation = request => refuse(404, `Segment topic not found: ${segment(request)}`)

export const noSegmentRead: Operation = request => refuse(404, `Segment topic not loaded: ${segment(request)}`)

export const noSegmentMoved: Operation = request => refuse(503, `Segment topic not loaded: ${segment(request)}`)

function scalable({ params }: AdminRequest): string {
  return `topic://${params.tenant ?? ''}/${params.namespace ?? ''}/${params.topic ?? ''}`
}

function segment(request: AdminRequest): string {
  return `${scalable(request).replace(/^topic/, 'segment')}/${request.params.descriptor ?? ''}`
}

/** Clients are not sent to another cluster. */
export const migrateNamespace: Operation = request => {
  const body = bodyOf(request) ?? missingBody()
  if (typeof body !== 'boolean') return unreadable('A value of true or false is needed')
  return body ? refuse(405, 'Migration to another cluster is not enabled') : done()
}

export const noClusterMigration: Operation = () => refuse(404, 'Cluster does not exist')

export const migrateCluster: Operation = () => refuse(405, 'Migration to another cluster is not enabled')

/** Metadata is where it is, and stays there. */
export const migrationStatus: Operation = () => json({ phase: 'NOT_STARTED' })

export const startMigration: Operation = request => {
  if ((request.query.target ?? '') === '') refuse(400, 'Target URL is required')
  return refuse(405, 'The metadata store cannot be changed for another')
}
