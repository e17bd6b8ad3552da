import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decide, NO_GRANTS, type AccessRules, type Question, type Resource } from './decide.ts'
import { ACTIONS, type Action, type Permission } from './permission.ts'

const NAMESPACE = 't/n'
const TOPIC = 'persistent://t/n/a'
const PARTITION = 'persistent://t/n/a-partition-0'

function rules(changed: Partial<AccessRules> = {}): AccessRules {
  return {
    superUserRoles: new Set(['root']),
    tenantAdminRoles: new Set(['boss']),
    grants: NO_GRANTS,
    subscriptionAuthMode: 'None',
    allowsWildcards: false,
    ...changed
  }
}

const onTopic: Resource = { tenant: 't', namespace: NAMESPACE, topics: [PARTITION, TOPIC] }

function reasonOf(
  role: string | readonly string[],
  permission: Permission,
  resource = onTopic,
  given = rules()
): string {
  const roles = typeof role === 'string' ? [role] : role
  const { isAllowed, reason } = decide({ roles, permission, resource }, given)
  return `${isAllowed ? 'yes' : 'no'}: ${reason}`
}

const toAnn = (...actions: Action[]): ReadonlyMap<string, ReadonlySet<Action>> => new Map([['ann', new Set(actions)]])

describe('decide', () => {
  test.each<[role: string | string[], permission: Permission, expected: string]>([
    [[], 'open', 'yes: open'],
    [[], 'authenticated', 'no: nobody'],
    [[], 'produce', 'no: nobody'],
    ['', 'authenticated', 'no: nobody'],
    ['ann', 'authenticated', 'yes: authenticated'],
    ['ann', 'superuser', 'no: not-super-user'],
    ['boss', 'superuser', 'no: not-super-user'],
    ['root', 'superuser', 'yes: super-user'],
    ['ann', 'tenant-admin', 'no: not-tenant-admin'],
    ['boss', 'tenant-admin', 'yes: tenant-admin'],
    ['boss', 'produce', 'yes: tenant-admin'],
    ['boss', 'packages', 'yes: tenant-admin'],
    ['root', 'consume', 'yes: super-user'],
    ['ann', 'lookup', 'no: not-granted'],
    [['root', 'ann'], 'produce', 'no: not-granted'],
    [['root', 'boss'], 'produce', 'yes: tenant-admin']
  ])('without grants: %j %s', (role, permission, expected) => {
    expect(reasonOf(role, permission)).toBe(expected)
  })

  test('any of produce and consume lets look up', () => {
    for (const action of ACTIONS) {
      const given = rules({ grants: { ...NO_GRANTS, namespace: toAnn(action) } })
      const mayLookUp = action === 'produce' || action === 'consume'
      expect(reasonOf('ann', 'lookup', onTopic, given)).toBe(mayLookUp ? 'yes: granted' : 'no: not-granted')
    }
  })

  test('a grant on a topic is for its partitions, and for no namespace', () => {
    const given = rules({ grants: { ...NO_GRANTS, topics: new Map([[TOPIC, toAnn('produce')]]) } })
    expect(reasonOf('ann', 'produce', onTopic, given)).toBe('yes: granted')
    expect(reasonOf('ann', 'produce', { ...onTopic, topics: [TOPIC] }, given)).toBe('yes: granted')
    expect(reasonOf('ann', 'produce', { ...onTopic, topics: ['persistent://t/n/ab'] }, given)).toBe('no: not-granted')
    expect(reasonOf('ann', 'produce', { tenant: 't', namespace: NAMESPACE }, given)).toBe('no: not-granted')
    expect(reasonOf('ann', 'consume', onTopic, given)).toBe('no: not-granted')
  })

  test('a subscription that is kept for others', () => {
    const subscriptions = new Map([
      ['hers', new Set(['ann'])],
      ['nobodys', new Set<string>()]
    ])
    const namespace = new Map([...toAnn('consume'), ['bob', new Set<Action>(['consume'])] as const])
    const given = rules({ grants: { namespace, topics: new Map(), subscriptions } })
    const on = (subscription: string): Resource => ({ ...onTopic, subscription })
    expect(reasonOf('ann', 'consume', on('hers'), given)).toBe('yes: granted')
    expect(reasonOf('bob', 'consume', on('hers'), given)).toBe('no: subscription-of-others')
    expect(reasonOf('bob', 'consume', on('nobodys'), given)).toBe('yes: granted')
    expect(reasonOf('bob', 'consume', on('other'), given)).toBe('yes: granted')
    expect(reasonOf('boss', 'consume', on('hers'), given)).toBe('yes: tenant-admin')
    const alone = rules({ grants: { ...NO_GRANTS, subscriptions } })
    expect(reasonOf('ann', 'consume', on('hers'), alone)).toBe('no: not-granted')
  })

  test('subscriptions that begin with the role', () => {
    const given = rules({ grants: { ...NO_GRANTS, namespace: toAnn('consume') }, subscriptionAuthMode: 'Prefix' })
    expect(reasonOf('ann', 'consume', { ...onTopic, subscription: 'ann-1' }, given)).toBe('yes: granted')
    expect(reasonOf('ann', 'consume', { ...onTopic, subscription: 'x' }, given)).toBe('no: subscription-without-prefix')
    expect(reasonOf('boss', 'consume', { ...onTopic, subscription: 'x' }, given)).toBe('yes: tenant-admin')
  })

  test.each<[pattern: string, role: string, isMatch: boolean]>([
    ['team-*', 'team-a', true],
    ['team-*', 'a-team-', false],
    ['*-team', 'a-team', true],
    ['*', 'anybody', true],
    ['team-a', 'team-a', true],
    ['te*-a', 'team-a', false]
  ])('a grant to %s for %s', (pattern, role, isMatch) => {
    const namespace = new Map([[pattern, new Set<Action>(['produce'])]])
    const grants = { ...NO_GRANTS, namespace }
    const wild = rules({ grants, allowsWildcards: true })
    expect(reasonOf(role, 'produce', onTopic, wild)).toBe(isMatch ? 'yes: granted' : 'no: not-granted')
    expect(reasonOf(role, 'consume', onTopic, wild)).toBe('no: not-granted')
    const plain = pattern === role ? 'yes: granted' : 'no: not-granted'
    expect(reasonOf(role, 'produce', onTopic, rules({ grants }))).toBe(plain)
  })
})

const ROLES = ['ann', 'bob', 'eve'] as const
const TOPICS = ['persistent://t/n/a', 'persistent://t/n/b'] as const
const grantArb = fc.record({
  role: fc.constantFrom(...ROLES),
  on: fc.constantFrom('namespace', ...TOPICS),
  action: fc.constantFrom(...ACTIONS)
})

type Grant = { readonly role: string; readonly on: string; readonly action: Action }

function grantsOf(rows: readonly Grant[]): AccessRules['grants'] {
  const namespace = new Map<string, Set<Action>>()
  const topics = new Map<string, Map<string, Set<Action>>>()
  for (const { role, on, action } of rows) {
    const scope = on === 'namespace' ? namespace : (topics.get(on) ?? new Map<string, Set<Action>>())
    if (on !== 'namespace') topics.set(on, scope)
    scope.set(role, (scope.get(role) ?? new Set()).add(action))
  }
  return { namespace, topics, subscriptions: new Map() }
}

test('whoever was granted something may do exactly that, and no more once it is revoked', () => {
  const arb = fc.tuple(fc.array(grantArb, { maxLength: 12 }), grantArb)
  fc.assert(
    fc.property(arb, ([rows, { role, on, action }]) => {
      const topics = on === 'namespace' ? [] : [on]
      const question: Question = {
        roles: [role],
        permission: action,
        resource: { tenant: 't', namespace: NAMESPACE, topics }
      }
      const isThis = (row: Grant): boolean =>
        row.role === role && row.action === action && (row.on === 'namespace' || row.on === on)
      expect(decide(question, rules({ grants: grantsOf(rows) })).isAllowed).toBe(rows.some(isThis))
      const granted = [...rows, { role, on, action }]
      expect(decide(question, rules({ grants: grantsOf(granted) })).isAllowed).toBe(true)
      const revoked = granted.filter(row => !isThis(row))
      expect(decide(question, rules({ grants: grantsOf(revoked) })).isAllowed).toBe(false)
    })
  )
})
