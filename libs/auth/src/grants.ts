import {
  decodeSegment,
  encodeSegment,
  rowCodec,
  transactUntilAnswered,
  type Change,
  type Compare,
  type MetadataRecord,
  type MetadataStore,
  type Watch
} from '@strata/metadata'
import type { NamespaceGrants } from './decide.ts'
import { authError } from './errors.ts'
import { GrantRowSchema } from './generated/auth_pb.ts'
import { isAction, type Action } from './permission.ts'

/** What something is granted on. Namespaces are `tenant/namespace`. */
export type GrantScope =
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'topic'; readonly namespace: string; readonly domain: string; readonly localName: string }
  | { readonly kind: 'subscription'; readonly namespace: string; readonly subscription: string }

const PREFIX = 'grants/'
/** A key holds a topic and a role, and ends at 4 KB. */
export const ROLE_CHARS_MAX = 256
const PAGE_RECORDS = 1000
/** Of one transaction of the store. */
const CHANGES_MAX = 100
/** Clients may ask about any namespace, also about such as do not exist. */
const CACHED_NAMESPACES_MAX = 10_000

const codec = rowCodec({
  version: 1,
  unreadable: ({ reason, cause }, key) => authError('GRANT_UNREADABLE', `metadata row ${key}: ${reason}`, cause)
})

/**
 * Grants: rows of the metadata store, one for each scope and role, so that two who grant at once never undo each other.
 * Reads come from a cache that the store's own watch keeps true and that can be dropped at any time; writers go straight to
 * the store. A grant names the version of a row that its scope depends on (`fence`), so that none is left behind by a
 * deletion and waits for the next namespace of the name.
 */
export class GrantStore {
  readonly #store: MetadataStore
  readonly #cache = new Map<string, Promise<NamespaceGrants>>()
  readonly #listeners = new Set<(namespace: string) => void>()
  #watch: Watch | undefined

  constructor(store: MetadataStore) {
    this.#store = store
  }

  async start(): Promise<void> {
    this.#watch = await this.#store.watch(PREFIX, events => {
      const changed = new Set(events.map(({ key }) => key.split('/').slice(1, 3).join('/')))
      for (const namespace of changed) {
        this.#cache.delete(namespace)
        for (const listener of this.#listeners) listener(namespace)
      }
    })
  }

  close(): void {
    this.#watch?.close()
    this.#listeners.clear()
  }

  /** Calls with the namespace whenever something was granted or revoked in it, here or elsewhere. */
  onChanged(listener: (namespace: string) => void): void {
    this.#listeners.add(listener)
  }

  /** Never older than what was known to have changed when it resolves. @throws AuthError GRANT_UNREADABLE, MetadataError */
  async of(namespace: string): Promise<NamespaceGrants> {
    for (;;) {
      const loading = this.#cache.get(namespace) ?? this.#load(namespace)
      const grants = await loading
      if (this.#cache.get(namespace) === loading) return grants
    }
  }

  /** Replaces what the role had there. @throws AuthError SCOPE_CHANGED: read the fence again, and try again */
  async grant(scope: GrantScope, grant: { role: string; actions: Iterable<Action>; fence: Compare }): Promise<void> {
    const { role, actions, fence } = grant
    const value = codec.encode(GrantRowSchema, { actions: [...new Set(actions)] })
    await this.#write(scope.namespace, [{ kind: 'put', key: keyOf(scope, role), value }], fence)
  }

  async revoke(scope: GrantScope, role: string): Promise<void> {
    await this.#write(scope.namespace, [{ kind: 'delete', key: keyOf(scope, role) }])
  }

  /** Keeps a subscription for these roles and no others. @throws AuthError SCOPE_CHANGED */
  async keepSubscriptionFor(
    scope: GrantScope & { kind: 'subscription' },
    grant: { roles: readonly string[]; fence: Compare }
  ): Promise<void> {
    const wanted = new Set(grant.roles.map(role => keyOf(scope, role)))
    const known = await this.#keysBelow(prefixOf(scope))
    const value = codec.encode(GrantRowSchema, {})
    const changes: Change[] = [
      ...known.filter(key => !wanted.has(key)).map(key => ({ kind: 'delete' as const, key })),
      ...[...wanted].map(key => ({ kind: 'put' as const, key, value }))
    ]
    await this.#write(scope.namespace, changes, grant.fence)
  }

  /** All that was granted on a topic, or in a namespace, which is gone or about to go. */
  async removeAll(scope: GrantScope & { kind: 'namespace' | 'topic' }): Promise<void> {
    const prefix = scope.kind === 'namespace' ? `${PREFIX}${scope.namespace}/` : prefixOf(scope)
    const keys = await this.#keysBelow(prefix)
    for (let at = 0; at < keys.length; at += CHANGES_MAX) {
      const changes = keys.slice(at, at + CHANGES_MAX).map(key => ({ kind: 'delete' as const, key }))
      await this.#write(scope.namespace, changes)
    }
  }

  async #write(namespace: string, changes: readonly Change[], fence?: Compare): Promise<void> {
    const compares = fence === undefined ? [] : [fence]
    const result = await transactUntilAnswered(this.#store, { compares, changes })
    this.#cache.delete(namespace)
    if (!result.committed) throw authError('SCOPE_CHANGED', 'What was granted on is gone, or changed meanwhile')
  }

  #load(namespace: string): Promise<NamespaceGrants> {
    const loading = this.#read(namespace)
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size < CACHED_NAMESPACES_MAX) break
      this.#cache.delete(oldest)
    }
    this.#cache.set(namespace, loading)
    loading.catch(() => {
      if (this.#cache.get(namespace) === loading) this.#cache.delete(namespace)
    })
    return loading
  }

  async #read(namespace: string): Promise<NamespaceGrants> {
    const grants = { namespace: new Map(), topics: new Map(), subscriptions: new Map() } satisfies NamespaceGrants
    for await (const record of this.#recordsBelow(`${PREFIX}${namespace}/`, false)) note(grants, namespace, record)
    return grants
  }

  async #keysBelow(prefix: string): Promise<string[]> {
    const keys: string[] = []
    for await (const { key } of this.#recordsBelow(prefix, true)) keys.push(key)
    return keys
  }

  async *#recordsBelow(prefix: string, keysOnly: boolean): AsyncGenerator<MetadataRecord, void, undefined> {
    let after: string | undefined
    do {
      const options = { prefix, limit: PAGE_RECORDS, keysOnly, ...(after === undefined ? {} : { after }) }
      const page = await this.#store.scan(options)
      yield* page.records
      after = page.next
    } while (after !== undefined)
  }
}

function prefixOf(scope: GrantScope): string {
  const place = `${PREFIX}${scope.namespace}/${scope.kind}/`
  switch (scope.kind) {
    case 'namespace':
      return place
    case 'topic':
      return `${place}${scope.domain}/${encodeSegment(scope.localName)}/`
    case 'subscription':
      return `${place}${encodeSegment(scope.subscription)}/`
  }
}

function keyOf(scope: GrantScope, role: string): string {
  return prefixOf(scope) + encodeSegment(role)
}

interface MutableGrants {
  readonly namespace: Map<string, ReadonlySet<Action>>
  readonly topics: Map<string, Map<string, ReadonlySet<Action>>>
  readonly subscriptions: Map<string, Set<string>>
}

/** What this program does not know, it does not take for a grant of something else. */
function note(grants: MutableGrants, namespace: string, record: MetadataRecord): void {
  const [, , , kind, ...segments] = record.key.split('/')
  const names = segments.map(segment => decodeSegment(segment))
  const role = names.at(-1)
  const first = names[0]
  if (role === undefined || first === undefined) return
  const actions = new Set(codec.decode(GrantRowSchema, record.value, record.key).actions.filter(isAction))
  if (kind === 'namespace' && names.length === 1) grants.namespace.set(role, actions)
  else if (kind === 'subscription' && names.length === 2) {
    grants.subscriptions.set(first, (grants.subscriptions.get(first) ?? new Set()).add(role))
  } else if (kind === 'topic' && names.length === 3 && names[1] !== undefined) {
    const topic = `${first}://${namespace}/${names[1]}`
    grants.topics.set(topic, (grants.topics.get(topic) ?? new Map<string, ReadonlySet<Action>>()).set(role, actions))
  }
}
