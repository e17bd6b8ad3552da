import type { BrokerSettings } from '../../config/settings.ts'
import {
  defaultQuota,
  QUOTA_ACTIONS,
  QUOTA_KINDS,
  type BacklogQuotaValue,
  type QuotaPolicies
} from '../../namespace/policy-quotas.ts'
import type { PolicyValues, SetPolicies } from '../../namespace/policy-table.ts'
import { appliedValue } from '../../namespace/effective-policies.ts'
import { done, flag, json, noSuchPath, objectBody, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredNamespace, requiredTopicRecord, reachOf } from './names.ts'

/*
  Backlog quotas: two policies under one path, told apart by `?backlogQuotaType=`, and shown as one map.
*/

type Kind = keyof typeof QUOTA_KINDS
const KINDS = Object.keys(QUOTA_KINDS) as readonly Kind[]

export async function getNamespaceQuotas(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const stored = await request.backend.namespaces.policies.stored(name)
  return json(mapOf(kind => stored[QUOTA_KINDS[kind]]))
}

export async function setNamespaceQuota(request: AdminRequest): Promise<AdminReply> {
  const policy = policyOf(request)
  const { name } = await requiredNamespace(request)
  const { policies } = request.backend.namespaces
  const quota = quotaFrom(request, name)
  const { retention } = await policies.stored(name)
  requireBelow(policy, { quota, retention, settings: request.backend.settings, of: 'namespace' })
  await policies.set(name, policy, quota)
  return done()
}

export async function removeNamespaceQuota(request: AdminRequest): Promise<AdminReply> {
  // Pulsar has no words for a kind that is none here, unlike everywhere else
  if (kindOf(request) === undefined) return done(404)
  const policy = policyOf(request)
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.remove(name, policy)
  return done()
}

/** `?applied=true`: with what holds where the topic says nothing. */
export async function getTopicQuotas(request: AdminRequest): Promise<AdminReply> {
  const topic = await requiredTopicRecord(request)
  const { policies } = request.backend.namespaces
  if (!flag(request, 'applied')) {
    const stored = await policies.storedOfTopic(topic, reachOf(request))
    return json(mapOf(kind => stored[QUOTA_KINDS[kind]]))
  }
  const layers = await policies.layersOf(topic)
  return json(mapOf(kind => appliedValue(QUOTA_KINDS[kind], layers, request.backend.settings)))
}

export async function setTopicQuota(request: AdminRequest): Promise<AdminReply> {
  const policy = policyOf(request)
  const topic = await requiredTopicRecord(request)
  const { policies } = request.backend.namespaces
  const quota = quotaFrom(request, topic.name.namespace)
  const { retention } = await policies.storedOfTopic(topic, reachOf(request))
  requireBelow(policy, { quota, retention, settings: request.backend.settings, of: 'topic' })
  await policies.setOfTopic(topic.name, reachOf(request), policy, quota)
  return done()
}

export async function removeTopicQuota(request: AdminRequest): Promise<AdminReply> {
  const policy = policyOf(request)
  const { name } = await requiredTopicRecord(request)
  await request.backend.namespaces.policies.removeOfTopic(name, reachOf(request), policy)
  return done()
}

export async function checkBacklogs({ backend }: AdminRequest): Promise<AdminReply> {
  await backend.sweeper.checkBacklogs()
  return done()
}

/** @throws RestError 412: a backlog that may be as large as what is retained would never be full. */
export function requireRetentionAbove(
  retention: PolicyValues['retention'] | undefined,
  stored: SetPolicies,
  { settings, of }: { settings: BrokerSettings; of: 'namespace' | 'topic' }
): void {
  const { backlogQuotaSize, backlogQuotaAge } = stored
  // what the broker allows counts for a topic, but not for a namespace on which nothing is set
  if (of === 'namespace' && backlogQuotaSize === undefined && backlogQuotaAge === undefined) return
  if (isBelow(backlogQuotaSize ?? defaultQuota(settings), retention)) return
  const advice = of === 'topic' ? ' Please increase retention quota and retry' : ''
  refuse(412, `Retention Quota must exceed configured backlog quota for ${of}.${advice}`)
}

function requireBelow(
  policy: keyof QuotaPolicies,
  check: {
    quota: BacklogQuotaValue
    retention: PolicyValues['retention'] | undefined
    settings: BrokerSettings
    of: 'namespace' | 'topic'
  }
): void {
  const quota = policy === 'backlogQuotaSize' ? check.quota : defaultQuota(check.settings)
  if (isBelow(quota, check.retention)) return
  refuse(
    412,
    `Backlog Quota exceeds configured retention quota for ${check.of}. Please increase retention quota and retry`
  )
}

function isBelow(quota: BacklogQuotaValue, retention: PolicyValues['retention'] | undefined): boolean {
  if (retention === undefined) return true
  const { retentionSizeInMB: megabytes, retentionTimeInMinutes: minutes } = retention
  const isSmaller = megabytes <= 0 || quota.limitSize < megabytes * 1024 * 1024
  return isSmaller && (minutes <= 0 || quota.limitTime < minutes * 60)
}

function mapOf(valueOf: (kind: Kind) => BacklogQuotaValue | undefined): Record<string, BacklogQuotaValue> {
  const shown: Record<string, BacklogQuotaValue> = {}
  for (const kind of KINDS) {
    const value = valueOf(kind)
    if (value !== undefined) shown[kind] = value
  }
  return shown
}

/** @throws PlainAnswer 404: there is no such kind */
function policyOf(request: AdminRequest): keyof QuotaPolicies {
  return QUOTA_KINDS[kindOf(request) ?? noSuchPath(request)]
}

function kindOf({ query }: AdminRequest): Kind | undefined {
  const asked = query.backlogQuotaType ?? 'destination_storage'
  return KINDS.find(known => known === asked)
}

/** @throws RestError 400 */
function quotaFrom(request: AdminRequest, namespace: string): BacklogQuotaValue {
  const body = objectBody(request)
  const isKnown = QUOTA_ACTIONS.some(action => action === body.policy)
  if (isKnown) return body as unknown as BacklogQuotaValue
  refuse(
    400,
    `Set namespace[${namespace}] backlog quota failed because the data validation failed. the attribute policy cannot be null`
  )
}
