import {
  ACTIONS,
  isAction,
  isAuthError,
  ROLE_CHARS_MAX,
  type Action,
  type GrantScope,
  type GrantStore
} from '@strata/auth'
import type { Compare } from '@strata/metadata'
import { resourceOf } from '../../auth/access.ts'
import { requireFor } from '../../auth/http-gate.ts'
import { TopicName } from '../../namespace/topic-name.ts'
import {
  bodyOf,
  done,
  isObject,
  json,
  param,
  textOf,
  textsOf,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredNamespace, requiredRecord, topicNotFound, topicOf } from './names.ts'

/*
  Grants: who may produce to, consume from and look after what. They are kept whether or not authorization is on.
*/

const ATTEMPTS_MAX = 10

type Roles = Record<string, Action[]>

export async function getNamespacePermissions(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const { namespace } = await grantsOf(request).of(name)
  return json(shown(namespace))
}

export async function grantOnNamespace(request: AdminRequest): Promise<AdminReply> {
  const { name: namespace } = await requiredNamespace(request)
  const actions = actionsOf(bodyOf(request) ?? refuse(400, 'Actions should not be null'))
  await grant(request, { kind: 'namespace', namespace }, { role: roleOf(request), actions })
  return done()
}

export async function revokeOnNamespace(request: AdminRequest): Promise<AdminReply> {
  const { name: namespace } = await requiredNamespace(request)
  await grantsOf(request).revoke({ kind: 'namespace', namespace }, roleOf(request))
  return done()
}

export async function getSubscriptionPermissions(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const { subscriptions } = await grantsOf(request).of(name)
  return json(rolesBySubscription(subscriptions))
}

export async function grantSubscription(request: AdminRequest): Promise<AdminReply> {
  const { name: namespace } = await requiredNamespace(request)
  const roles = textsOf(bodyOf(request)).map(checkedRole)
  if (roles.length > MAX_ROLES) refuse(412, `A subscription is kept for ${MAX_ROLES} roles at most`)
  const scope = { kind: 'subscription', namespace, subscription: param(request, 'subscription') } as const
  await whileUnchanged(request, namespace, fence => grantsOf(request).keepSubscriptionFor(scope, { roles, fence }))
  return done()
}

export async function revokeSubscription(request: AdminRequest): Promise<AdminReply> {
  const { name: namespace } = await requiredNamespace(request)
  const scope = { kind: 'subscription', namespace, subscription: param(request, 'subscription') } as const
  await grantsOf(request).revoke(scope, roleOf(request))
  return done()
}

/** As they stand in Pulsar's Policies object. */
export async function authPoliciesOf(request: AdminRequest, name: string): Promise<Record<string, unknown>> {
  const { namespace, topics, subscriptions } = await grantsOf(request).of(name)
  return {
    namespace_auth: shown(namespace),
    destination_auth: Object.fromEntries([...topics].map(([topic, roles]) => [topic, shown(roles)])),
    subscription_auth_roles: rolesBySubscription(subscriptions)
  }
}

function rolesBySubscription(subscriptions: ReadonlyMap<string, ReadonlySet<string>>): Record<string, string[]> {
  return Object.fromEntries([...subscriptions].map(([subscription, roles]) => [subscription, [...roles]]))
}

/** Of the namespace and of the topic, as tools of Apache Pulsar expect to see them in one. */
export async function getTopicPermissions(request: AdminRequest): Promise<AdminReply> {
  const topic = topicOf(request)
  await requiredRecord(request, topic)
  const { namespace, topics } = await grantsOf(request).of(topic.namespace)
  const roles = shown(namespace)
  for (const own of resourceOf(topic).topics ?? []) {
    for (const [role, actions] of topics.get(own) ?? [])
      roles[role] = [...new Set([...(roles[role] ?? []), ...actions])]
  }
  return json(roles)
}

export async function grantOnTopic(request: AdminRequest): Promise<AdminReply> {
  const topic = topicOf(request)
  await requiredRecord(request, topic)
  await grant(request, scopeOf(topic), { role: roleOf(request), actions: actionsOf(bodyOf(request)) })
  return done()
}

export async function revokeOnTopic(request: AdminRequest): Promise<AdminReply> {
  const topic = topicOf(request)
  await requiredRecord(request, topic)
  const role = roleOf(request)
  const { topics } = await grantsOf(request).of(topic.namespace)
  if (topics.get(topic.toString())?.has(role) === true) await grantsOf(request).revoke(scopeOf(topic), role)
  return done()
}

/** The topics are in the body: each is asked about before anything is changed. */
export async function grantOnTopics(request: AdminRequest): Promise<AdminReply> {
  const entries = await entriesOf(request)
  for (const { topic, role, actions } of entries) await grant(request, scopeOf(topic), { role, actions })
  return done()
}

export async function revokeOnTopics(request: AdminRequest): Promise<AdminReply> {
  for (const { topic, role, actions } of await entriesOf(request)) {
    const { topics } = await grantsOf(request).of(topic.namespace)
    const left = [...(topics.get(topic.toString())?.get(role) ?? [])].filter(action => !actions.includes(action))
    if (actions.length > 0 && left.length > 0) await grant(request, scopeOf(topic), { role, actions: left })
    else await grantsOf(request).revoke(scopeOf(topic), role)
  }
  return done()
}

interface Entry {
  readonly topic: TopicName
  readonly role: string
  readonly actions: readonly Action[]
}

async function entriesOf(request: AdminRequest): Promise<Entry[]> {
  const body = bodyOf(request) ?? []
  if (!Array.isArray(body) || !body.every(isObject)) refuse(400, 'A list of topics, roles and actions is needed')
  const entries = body.map(({ topic, role, actions }) => ({
    topic: parsedTopic(textOf(topic)),
    role: checkedRole(textOf(role)),
    actions: actionsOf(actions)
  }))
  // who may not ask learns of none whether it exists
  for (const { topic } of entries) await requireFor(request, 'tenant-admin', resourceOf(topic))
  for (const { topic } of entries) {
    const record = await request.backend.namespaces.topics.find(topic)
    if (record === undefined || record.isDeleting) topicNotFound(topic)
  }
  return entries
}

function parsedTopic(text: string): TopicName {
  try {
    return TopicName.parse(text)
  } catch {
    return refuse(412, 'Topic name is not valid')
  }
}

function grantsOf({ backend }: AdminRequest): GrantStore {
  return backend.grants
}

function shown(roles: ReadonlyMap<string, ReadonlySet<Action>>): Roles {
  return Object.fromEntries([...roles].map(([role, actions]) => [role, [...actions]]))
}

function scopeOf(topic: TopicName): GrantScope & { kind: 'topic' } {
  const { namespace, domain, localName } = topic
  return { kind: 'topic', namespace, domain, localName }
}

const MAX_ROLES = 50

function roleOf(request: AdminRequest): string {
  return checkedRole(param(request, 'role'))
}

function checkedRole(role: string): string {
  if (role.trim() === '' || role.length > ROLE_CHARS_MAX) refuse(412, 'The role is not valid')
  return role
}

function actionsOf(value: unknown): Action[] {
  return textsOf(value).map(text =>
    isAction(text) ? text : refuse(400, `There is no such action; there are ${ACTIONS.join(', ')}`)
  )
}

async function grant(
  request: AdminRequest,
  scope: GrantScope,
  given: { role: string; actions: readonly Action[] }
): Promise<void> {
  await whileUnchanged(request, scope.namespace, fence => grantsOf(request).grant(scope, { ...given, fence }))
}

/** A grant is made against the namespace's row as it was read: a namespace that is being deleted gets none. */
async function whileUnchanged(
  { backend }: AdminRequest,
  namespace: string,
  write: (fence: Compare) => Promise<void>
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const fence = await backend.namespaces.tenancy.fenceOf(namespace)
    try {
      await write(fence)
      return
    } catch (error) {
      if (!isAuthError(error, 'SCOPE_CHANGED')) throw error
      if (attempt >= ATTEMPTS_MAX) refuse(409, 'Concurrent modification')
    }
  }
}
