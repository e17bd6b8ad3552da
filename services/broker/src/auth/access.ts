import {
  decide,
  NO_GRANTS,
  namesOf,
  type AccessRules,
  type Decision,
  type GrantStore,
  type Permission,
  type Resource
} from '@strata/auth'
import type { MetadataStore, Watch } from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import type { NamespaceService } from '../namespace/namespace-service.ts'
import { keys } from '../namespace/rows.ts'
import type { TopicName } from '../namespace/topic-name.ts'

const NO_ROLES: ReadonlySet<string> = new Set()
const NAMESPACE = /^[^/]+\/[^/]+$/
const CACHED_TENANTS_MAX = 10_000

/** A tenant, or a namespace as `tenant/namespace`, in which somebody may now do more or less than before. */
export type ChangedScope = string

/**
 * The rows that decisions are made from: grants, admins of tenants, how subscriptions are kept apart. All of it is cached
 * until the store's watch says that it changed; `version` grows with each change.
 */
export class Access {
  readonly #grants: GrantStore
  readonly #store: MetadataStore
  readonly #settings: BrokerSettings
  readonly #namespaces: NamespaceService
  readonly #superUserRoles: ReadonlySet<string>
  readonly #tenantAdmins = new Map<string, Promise<ReadonlySet<string>>>()
  readonly #listeners = new Set<(scope: ChangedScope) => void>()
  #watch: Watch | undefined
  #version = 0

  constructor(options: {
    store: MetadataStore
    grants: GrantStore
    settings: BrokerSettings
    namespaces: NamespaceService
  }) {
    this.#store = options.store
    this.#settings = options.settings
    this.#namespaces = options.namespaces
    this.#grants = options.grants
    this.#superUserRoles = new Set(namesOf(options.settings.superUserRoles))
  }

  async start(): Promise<void> {
    this.#grants.onChanged(namespace => {
      this.#changed(namespace)
    })
    this.#namespaces.policies.onChanged(namespace => {
      this.#changed(namespace)
    })
    this.#watch = await this.#store.watch(keys.tenants, events => {
      for (const { key } of events) {
        const tenant = key.slice(keys.tenants.length)
        this.#tenantAdmins.delete(tenant)
        this.#changed(tenant)
      }
    })
  }

  close(): void {
    this.#watch?.close()
    this.#listeners.clear()
  }

  get version(): number {
    return this.#version
  }

  onChanged(listener: (scope: ChangedScope) => void): void {
    this.#listeners.add(listener)
  }

  /** @throws MetadataError, AuthError GRANT_UNREADABLE: what cannot be read is neither allowed nor refused */
  async decide(roles: readonly string[], permission: Permission, resource: Resource): Promise<Decision> {
    return decide({ roles, permission, resource }, await this.#rulesOf(resource))
  }

  async #rulesOf({ tenant, namespace, subscription }: Resource): Promise<AccessRules> {
    // What comes from a path may be no name at all; rows are looked for under names alone.
    const named = namespace !== undefined && NAMESPACE.test(namespace) ? namespace : undefined
    const [tenantAdminRoles, grants, mode] = await Promise.all([
      tenant === undefined ? NO_ROLES : this.#adminsOf(tenant),
      named === undefined ? NO_GRANTS : this.#grants.of(named),
      named === undefined || subscription === undefined
        ? undefined
        : this.#namespaces.policies.get(named, 'subscriptionAuthMode')
    ])
    return {
      superUserRoles: this.#superUserRoles,
      tenantAdminRoles,
      grants,
      subscriptionAuthMode: mode === 'Prefix' ? 'Prefix' : 'None',
      allowsWildcards: this.#settings.authorizationAllowWildcardsMatching
    }
  }

  /** As the grants: never older than what was known to have changed when it resolves. */
  async #adminsOf(tenant: string): Promise<ReadonlySet<string>> {
    for (;;) {
      const loading = this.#tenantAdmins.get(tenant) ?? this.#loadAdmins(tenant)
      const admins = await loading
      if (this.#tenantAdmins.get(tenant) === loading) return admins
    }
  }

  #loadAdmins(tenant: string): Promise<ReadonlySet<string>> {
    const loading = this.#namespaces.tenancy.tenant(tenant).then(info => new Set(info?.adminRoles ?? []))
    if (this.#tenantAdmins.size >= CACHED_TENANTS_MAX) this.#tenantAdmins.clear()
    this.#tenantAdmins.set(tenant, loading)
    loading.catch(() => {
      if (this.#tenantAdmins.get(tenant) === loading) this.#tenantAdmins.delete(tenant)
    })
    return loading
  }

  #changed(scope: ChangedScope): void {
    this.#version++
    for (const listener of this.#listeners) listener(scope)
  }
}

/** A grant on a partitioned topic is for its partitions too. */
export function resourceOf(name: TopicName, subscription?: string): Resource {
  const { tenant, namespace } = name
  const topics = name.isPartition ? [name.toString(), name.base.toString()] : [name.toString()]
  return { tenant, namespace, topics, ...(subscription === undefined ? {} : { subscription }) }
}

export function resourceOfNamespace(namespace: string): Resource {
  return { tenant: namespace.slice(0, namespace.indexOf('/')), namespace }
}
