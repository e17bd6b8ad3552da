import { MemoryMetadataStore, type Compare } from '@strata/metadata'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { NamespaceGrants } from './decide.ts'
import { isAuthError } from './errors.ts'
import { GrantStore, type GrantScope } from './grants.ts'

const NAMESPACE_ROW = 'namespaces/t/n'
const onNamespace: GrantScope = { kind: 'namespace', namespace: 't/n' }
const onTopic = { kind: 'topic', namespace: 't/n', domain: 'persistent', localName: 'a/b.c' } as const
const onSubscription = { kind: 'subscription', namespace: 't/n', subscription: 's' } as const

let store: MemoryMetadataStore
let grants: GrantStore
let others: GrantStore
let fence: Compare

beforeEach(async () => {
  store = new MemoryMetadataStore()
  const put = { kind: 'put' as const, key: NAMESPACE_ROW, value: Buffer.of(1) }
  const result = await store.transact({ compares: [], changes: [put] })
  fence = { key: NAMESPACE_ROW, version: result.committed ? result.revision : -1 }
  grants = new GrantStore(store)
  others = new GrantStore(store)
  await grants.start()
  await others.start()
})

afterEach(async () => {
  grants.close()
  others.close()
  await store.close()
})

function shown({ namespace, topics, subscriptions }: NamespaceGrants): unknown {
  return {
    namespace: [...namespace].map(([role, actions]) => [role, ...actions]),
    topics: [...topics].map(([topic, roles]) => [topic, ...[...roles].map(([role, actions]) => [role, ...actions])]),
    subscriptions: [...subscriptions].map(([subscription, roles]) => [subscription, ...roles])
  }
}

test('what is granted is seen by all, and what is revoked is not', async () => {
  await others.of('t/n')
  await grants.grant(onNamespace, { role: 'a/b', actions: ['produce', 'consume'], fence })
  await grants.grant(onTopic, { role: '.', actions: ['produce'], fence })
  await grants.keepSubscriptionFor(onSubscription, { roles: ['x', 'y'], fence })
  const all = {
    namespace: [['a/b', 'produce', 'consume']],
    topics: [['persistent://t/n/a/b.c', ['.', 'produce']]],
    subscriptions: [['s', 'x', 'y']]
  }
  expect(shown(await grants.of('t/n'))).toEqual(all)
  expect(shown(await others.of('t/n'))).toEqual(all)
  await others.grant(onNamespace, { role: 'a/b', actions: ['consume'], fence })
  await others.revoke(onTopic, '.')
  await others.keepSubscriptionFor(onSubscription, { roles: ['y', 'z'], fence })
  const left = { namespace: [['a/b', 'consume']], topics: [], subscriptions: [['s', 'y', 'z']] }
  expect(shown(await grants.of('t/n'))).toEqual(left)
  expect(shown(await grants.of('t/n2'))).toEqual({ namespace: [], topics: [], subscriptions: [] })
})

test('two who grant at once both succeed', async () => {
  await Promise.all([
    grants.grant(onNamespace, { role: 'a', actions: ['produce'], fence }),
    others.grant(onNamespace, { role: 'b', actions: ['consume'], fence })
  ])
  expect([...(await grants.of('t/n')).namespace.keys()].sort()).toEqual(['a', 'b'])
})

test('nothing is granted on what changed meanwhile', async () => {
  await store.transact({ compares: [], changes: [{ kind: 'delete', key: NAMESPACE_ROW }] })
  const granted = grants.grant(onNamespace, { role: 'a', actions: ['produce'], fence })
  await expect(granted).rejects.toSatisfy(error => isAuthError(error, 'SCOPE_CHANGED'))
  expect((await grants.of('t/n')).namespace.size).toBe(0)
})

test('what is gone leaves no grants behind', async () => {
  for (let role = 0; role < 150; role++) {
    await grants.grant(onNamespace, { role: `r${role}`, actions: ['produce'], fence })
  }
  await grants.grant(onTopic, { role: 'a', actions: ['produce'], fence })
  await grants.removeAll(onTopic)
  expect((await grants.of('t/n')).topics.size).toBe(0)
  await grants.removeAll({ kind: 'namespace', namespace: 't/n' })
  expect((await grants.of('t/n')).namespace.size).toBe(0)
})

test('whoever listens hears of the namespace', async () => {
  const heard = new Promise<string>(resolve => {
    others.onChanged(resolve)
  })
  await grants.grant(onTopic, { role: 'a', actions: ['produce'], fence })
  expect(await heard).toBe('t/n')
})
