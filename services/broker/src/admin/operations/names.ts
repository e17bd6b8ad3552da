import { strict as assert } from 'node:assert'
import type { NamespaceInfo } from '../../namespace/tenancy.ts'
import { isValidEntityName, TopicName, type TopicDomain } from '../../namespace/topic-name.ts'
import type { TopicPolicyReach } from '../../namespace/topic-policy-rows.ts'
import type { TopicRecord } from '../../namespace/topic-records.ts'
import { PersistentTopic } from '../../topic/persistent-topic.ts'
import type { Topic } from '../../topic/topic.ts'
import { done, flag, param, PlainAnswer, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { OF_TOPIC } from '../routes/absences.ts'

/** `tenant/namespace` of the path. @throws RestError 412 */
export function namespaceOf(request: AdminRequest): string {
  const tenant = param(request, 'tenant')
  const namespace = param(request, 'namespace')
  if (!isValidEntityName(tenant) || !isValidEntityName(namespace)) refuse(412, 'Namespace name is not valid')
  return `${tenant}/${namespace}`
}

/** @throws RestError 404, 412 */
export async function requiredNamespace(
  request: AdminRequest,
  reason = 'Namespace does not exist'
): Promise<{ name: string; info: NamespaceInfo }> {
  const name = namespaceOf(request)
  const info = await request.backend.namespaces.tenancy.namespace(name)
  return { name, info: info ?? (await refuseAbsent(request, reason)) }
}

/** In the words of the route. @throws RestError 404 */
async function refuseAbsent(request: AdminRequest, reason: string): Promise<never> {
  const { absence, backend } = request
  if (absence.isMute === true) refuseMutely()
  const tenant = param(request, 'tenant')
  if (absence.tenant !== undefined && (await backend.namespaces.tenancy.tenant(tenant)) === undefined) {
    refuse(404, absence.tenant)
  }
  if (absence.namespace === OF_TOPIC) topicNotFound(topicOf(request))
  return refuse(absence.status ?? 404, absence.namespace ?? reason)
}

function refuseMutely(): never {
  throw new PlainAnswer(done(404))
}

/** Schemas have none: both domains share them. */
export function domainOf(request: AdminRequest): TopicDomain {
  return request.params.domain === 'non-persistent' ? 'non-persistent' : 'persistent'
}

/** The topic of the path. @throws RestError 412 */
export function topicOf(request: AdminRequest): TopicName {
  const namespace = namespaceOf(request)
  try {
    return TopicName.of(domainOf(request), namespace, param(request, 'topic'))
  } catch {
    return refuse(412, 'Topic name is not valid')
  }
}

export function topicNotFound(name: TopicName): never {
  return refuse(404, `Topic ${name.toString()} not found`)
}

/** The record a topic or partition stands on. @throws RestError 404 */
export async function requiredRecord(request: AdminRequest, name: TopicName): Promise<TopicRecord> {
  const record = await request.backend.namespaces.topics.find(name)
  if (record !== undefined && !record.isDeleting) return record
  await requireNamespaceOfTopic(request)
  return request.absence.isMute === true ? refuseMutely() : topicNotFound(name)
}

/** @throws RestError 404 */
export async function requireNamespaceOfTopic(request: AdminRequest): Promise<void> {
  const info = await request.backend.namespaces.tenancy.namespace(namespaceOf(request))
  if (info === undefined || info.isDeleting) await refuseAbsent(request, 'Namespace not found')
}

/** The topic in memory, loaded if need be, never created. @throws RestError 404, also for a partitioned topic as a whole */
export async function requiredTopic(request: AdminRequest, name: TopicName): Promise<Topic> {
  const record = await requiredRecord(request, name)
  if (record.partitions > 0 && !name.isPartition) topicNotFound(name)
  return request.backend.topics.load(name, { mayCreate: false })
}

/** @throws RestError 404, 405 for a non-persistent one */
export async function requiredPersistent(
  request: AdminRequest,
  name: TopicName,
  what: string
): Promise<PersistentTopic> {
  if (!name.isPersistent) refuse(405, `${what} on a non-persistent topic is not allowed`)
  const topic = await requiredTopic(request, name)
  assert(topic instanceof PersistentTopic, 'the registry makes no others for a persistent name')
  return topic
}

/** The topic itself, or all partitions of a partitioned one. @throws RestError 404 */
export async function partsOfTopic(request: AdminRequest, name: TopicName): Promise<TopicName[]> {
  const { partitions } = await requiredRecord(request, name)
  if (partitions === 0 || name.isPartition) return [name]
  return Array.from({ length: partitions }, (_, index) => name.partition(index))
}

/** `?isGlobal=true`: for all clusters of the topic. */
export function reachOf(request: AdminRequest): TopicPolicyReach {
  return flag(request, 'isGlobal') ? 'global' : 'local'
}

/** The record that the policies of the path's topic hang on. @throws RestError 404, 412 */
export async function requiredTopicRecord(request: AdminRequest): Promise<TopicRecord> {
  const name = topicOf(request)
  const record = await request.backend.namespaces.topics.find(name)
  if (record !== undefined && record.name.toString() !== name.toString()) {
    refuse(412, 'Not allowed to set/get topic policy for a partition')
  }
  if (record !== undefined && !record.isDeleting) return record
  await requireNamespaceOfTopic(request)
  return topicNotFound(name)
}
