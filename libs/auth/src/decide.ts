import type { Action, Permission } from './permission.ts'

/*
  Who may do what: one function over rows. Pure, and everything is refused that no line here allows.
*/

/** What is asked about. Names as clients write them in full. */
export interface Resource {
  readonly tenant?: string
  /** `tenant/namespace` */
  readonly namespace?: string
  /** `domain://tenant/namespace/name`, and for a partition the topic that it is one of as well. */
  readonly topics?: readonly string[]
  readonly subscription?: string
}

export interface Question {
  /**
   * Who asks; all of them must be allowed, for a proxy asks for somebody. Empty: nobody is known.
   */
  readonly roles: readonly string[]
  readonly permission: Permission
  readonly resource: Resource
}

export type RolesAndActions = ReadonlyMap<string, ReadonlySet<Action>>

/** What was granted within one namespace. */
export interface NamespaceGrants {
  readonly namespace: RolesAndActions
  readonly topics: ReadonlyMap<string, RolesAndActions>
  /** Whom a subscription is kept for; one that is not here is anybody's who may consume. */
  readonly subscriptions: ReadonlyMap<string, ReadonlySet<string>>
}

/** The rows that a question is about. */
export interface AccessRules {
  readonly superUserRoles: ReadonlySet<string>
  readonly tenantAdminRoles: ReadonlySet<string>
  readonly grants: NamespaceGrants
  /** `Prefix`: a subscription's name begins with the role that uses it. */
  readonly subscriptionAuthMode: 'None' | 'Prefix'
  /** Grants to `name*` and `*name` are for all roles that begin and end so. */
  readonly allowsWildcards: boolean
}

export type Reason =
  | 'open'
  | 'authenticated'
  | 'super-user'
  | 'tenant-admin'
  | 'granted'
  | 'nobody'
  | 'not-super-user'
  | 'not-tenant-admin'
  | 'not-granted'
  | 'subscription-of-others'
  | 'subscription-without-prefix'

export interface Decision {
  readonly isAllowed: boolean
  readonly reason: Reason
}

export const NO_GRANTS: NamespaceGrants = { namespace: new Map(), topics: new Map(), subscriptions: new Map() }

export function decide(question: Question, rules: AccessRules): Decision {
  if (question.permission === 'open') return allowed('open')
  let decision = refused('nobody')
  for (const role of question.roles) {
    decision = decideFor(role, question, rules)
    if (!decision.isAllowed) return decision
  }
  return decision
}

function decideFor(role: string, { permission, resource }: Question, rules: AccessRules): Decision {
  if (role === '') return refused('nobody')
  if (rules.superUserRoles.has(role)) return allowed('super-user')
  switch (permission) {
    case 'open':
    case 'authenticated':
      return allowed('authenticated')
    case 'superuser':
      return refused('not-super-user')
    case 'tenant-admin':
      return isTenantAdmin(role, resource, rules) ? allowed('tenant-admin') : refused('not-tenant-admin')
    case 'lookup':
      return decideGrant(role, { actions: ['produce', 'consume'], resource }, rules)
    case 'consume':
      return decideConsume(role, resource, rules)
    case 'produce':
    case 'functions':
    case 'sources':
    case 'sinks':
    case 'packages':
      return decideGrant(role, { actions: [permission], resource }, rules)
  }
}

function decideConsume(role: string, resource: Resource, rules: AccessRules): Decision {
  const { subscription } = resource
  if (subscription !== undefined && subscription !== '' && !isTenantAdmin(role, resource, rules)) {
    const keptFor = rules.grants.subscriptions.get(subscription)
    if (keptFor !== undefined && keptFor.size > 0 && !keptFor.has(role)) return refused('subscription-of-others')
    if (rules.subscriptionAuthMode === 'Prefix' && !subscription.startsWith(role)) {
      return refused('subscription-without-prefix')
    }
  }
  return decideGrant(role, { actions: ['consume'], resource }, rules)
}

function decideGrant(
  role: string,
  asked: { readonly actions: readonly Action[]; readonly resource: Resource },
  rules: AccessRules
): Decision {
  const { actions, resource } = asked
  if (isTenantAdmin(role, resource, rules)) return allowed('tenant-admin')
  if (resource.namespace === undefined) return refused('not-granted')
  const { namespace, topics } = rules.grants
  const scopes = [namespace, ...(resource.topics ?? []).map(topic => topics.get(topic))]
  const isGranted = scopes.some(scope => scope !== undefined && isGrantedIn(scope, { role, actions }, rules))
  return isGranted ? allowed('granted') : refused('not-granted')
}

function isTenantAdmin(role: string, resource: Resource, rules: AccessRules): boolean {
  return resource.tenant !== undefined && rules.tenantAdminRoles.has(role)
}

function isGrantedIn(
  grants: RolesAndActions,
  wanted: { readonly role: string; readonly actions: readonly Action[] },
  rules: AccessRules
): boolean {
  const { role, actions } = wanted
  const own = grants.get(role)
  if (own !== undefined && actions.some(action => own.has(action))) return true
  if (!rules.allowsWildcards) return false
  for (const [pattern, given] of grants) {
    if (isMatch(pattern, role) && actions.some(action => given.has(action))) return true
  }
  return false
}

function isMatch(pattern: string, role: string): boolean {
  if (pattern.endsWith('*') && role.startsWith(pattern.slice(0, -1))) return true
  return pattern.startsWith('*') && role.endsWith(pattern.slice(1))
}

function allowed(reason: Reason): Decision {
  return { isAllowed: true, reason }
}

function refused(reason: Reason): Decision {
  return { isAllowed: false, reason }
}
