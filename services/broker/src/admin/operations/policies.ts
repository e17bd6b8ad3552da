import type { PolicyLevel } from '../../namespace/policy-spec.ts'
import type { NotActing } from '../../namespace/policies.ts'
import { appliedValue } from '../../namespace/effective-policies.ts'
import { isStoredOnly, type PolicyName } from '../../namespace/policy-table.ts'
import {
  bodyOf,
  done,
  flag,
  json,
  jsonOrEmpty,
  jsonOrNothing,
  param,
  type AdminReply,
  type AdminRequest,
  type Operation
} from '../operation.ts'
import { namespaceChecks, topicChecks, valueChecks } from './policy-checks.ts'
import { reachOf, requiredNamespace, requiredTopicRecord, topicOf } from './names.ts'
import { answerOfNamespace, answerOfTopic, inItsWords, valueOf } from './policy-answers.ts'

/*
  Policies of namespaces and of topics, all alike. They are rows: whoever is asked reads and writes them, and the broker that
  serves a topic learns of it by its watch. A body that says nothing removes, as Pulsar's "null" does.
*/

export function getPolicy(policy: PolicyName, level: PolicyLevel): Operation {
  const { isOwnOnly = false } = answerOfNamespace(level)
  return async request => {
    const { name } = await requiredNamespace(request)
    const { policies } = request.backend.namespaces
    if (isOwnOnly) return jsonOrNothing(await policies.get(name, policy))
    return jsonOrEmpty((await policies.get(name, policy)) ?? level.unset?.(request.backend.settings))
  }
}

export function setPolicy(policy: PolicyName, level: PolicyLevel): Operation {
  const answer = answerOfNamespace(level)
  return async request => {
    const value = valueOf(request, answer)
    valueChecks[policy]?.(request, value)
    const { name } = await requiredNamespace(request)
    const { policies } = request.backend.namespaces
    await namespaceChecks[policy]?.(request, { namespace: name, value })
    if (value === undefined) {
      await policies.remove(name, policy)
      return done()
    }
    await inItsWords(answer, () => policies.set(name, policy, value))
    warnIfStoredOnly(request, { policy, value, of: name })
    return done(level.setStatus)
  }
}

export function removePolicy(policy: PolicyName): Operation {
  return async request => {
    const { name } = await requiredNamespace(request)
    await request.backend.namespaces.policies.remove(name, policy)
    return done()
  }
}

/** `?applied=true`: what holds, whoever set it. `?isGlobal=true`: what was set for all clusters of the topic. */
export function getTopicPolicy(policy: PolicyName, level: PolicyLevel): Operation {
  const { isOwnOnly = false, unset } = answerOfTopic(level)
  return async request => {
    const topic = await requiredTopicRecord(request)
    const { policies } = request.backend.namespaces
    const stored = await policies.storedOfTopic(topic, reachOf(request))
    if (isOwnOnly) return jsonOrNothing(stored[policy])
    const own = stored[policy]
    if (!flag(request, 'applied')) return jsonOrEmpty(own ?? unset)
    const layers =
      own === undefined
        ? await policies.layersOf(topic)
        : [{ [policy]: own }, await policies.stored(topic.name.namespace)]
    return jsonOrEmpty(appliedValue(policy, layers, request.backend.settings))
  }
}

export function setTopicPolicy(policy: PolicyName, level: PolicyLevel): Operation {
  const answer = answerOfTopic(level)
  return async request => {
    const value = valueOf(request, answer)
    const { name } = await requiredTopicRecord(request)
    const { policies } = request.backend.namespaces
    valueChecks[policy]?.(request, value)
    await topicChecks[policy]?.(request, { namespace: name.namespace, value })
    if (value === undefined) {
      await policies.removeOfTopic(name, reachOf(request), policy)
      return done()
    }
    await inItsWords(answer, () => policies.setOfTopic(name, reachOf(request), policy, value))
    warnIfStoredOnly(request, { policy, value, of: name.toString() })
    return done()
  }
}

export function removeTopicPolicy(policy: PolicyName, level: PolicyLevel): Operation {
  const { removed } = answerOfTopic(level)
  return async request => {
    const { name } = await requiredTopicRecord(request)
    const { policies } = request.backend.namespaces
    if (removed === undefined) await policies.removeOfTopic(name, reachOf(request), policy)
    else await policies.setOfTopic(name, reachOf(request), policy, removed)
    return done()
  }
}

/** Of one subscription, over what its topic says of all. */
export async function getSubscriptionDispatchRate(request: AdminRequest): Promise<AdminReply> {
  const topic = await requiredTopicRecord(request)
  const { policies } = request.backend.namespaces
  const stored = await policies.storedOfTopic(topic, reachOf(request))
  const own = stored.dispatchRateOfSubscription?.[param(request, 'subscription')]
  if (own !== undefined || !flag(request, 'applied')) return jsonOrEmpty(own)
  return jsonOrEmpty(appliedValue('subscriptionDispatchRate', await policies.layersOf(topic), request.backend.settings))
}

export async function setSubscriptionDispatchRate(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredTopicRecord(request)
  const change = { subscription: param(request, 'subscription'), value: bodyOf(request) }
  await request.backend.namespaces.policies.setOfSubscription(name, reachOf(request), change)
  return done()
}

export async function removeSubscriptionDispatchRate(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredTopicRecord(request)
  const change = { subscription: param(request, 'subscription'), value: undefined }
  await request.backend.namespaces.policies.setOfSubscription(name, reachOf(request), change)
  return done()
}

export async function removeAllTopicPolicies(request: AdminRequest): Promise<AdminReply> {
  const { policies, topics } = request.backend.namespaces
  const record = await topics.find(topicOf(request))
  if (record !== undefined && !record.isDeleting)
    await policies.removeAllOfTopic((await requiredTopicRecord(request)).name)
  return done()
}

/**
 * What is set on every topic of a namespace, in one answer, by name: what would else be a question for each policy of each topic. Topics
 * on which nothing is set are not in it.
 */
export async function topicPoliciesOfNamespace(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const { policies, topics } = request.backend.namespaces
  const found: Record<string, object> = {}
  for await (const record of topics.list(name)) {
    if (record.isDeleting) continue
    const [local, global] = await Promise.all([
      policies.storedOfTopic(record, 'local'),
      policies.storedOfTopic(record, 'global')
    ])
    if (Object.keys(local).length + Object.keys(global).length > 0) found[record.name.toString()] = { local, global }
  }
  return json(found)
}

/** One warning each time. */
export function warnIfStoredOnly(
  { backend }: AdminRequest,
  { policy, value, of }: { policy: PolicyName; value: unknown; of: string }
): void {
  if (!isStoredOnly(policy, value, backend.settings)) return
  backend.logger.warn({ event: 'policy.stored_only', policy, of }, `stored, not acting: ${policy}`)
}

/** Everything that is set, in any namespace and on any topic, and does nothing. */
export async function checkPolicies(request: AdminRequest): Promise<AdminReply> {
  const found: NotActing[] = []
  for await (const each of request.backend.namespaces.policies.notActing()) found.push(each)
  return json(found)
}
