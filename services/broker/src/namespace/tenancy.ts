import type { Clock } from '@strata/base'
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { transactUntilAnswered, type Compare, type MetadataStore } from '@strata/metadata'
import {
  ClusterRowSchema,
  NamespaceRowSchema,
  TenantRowSchema,
  type ClusterRow,
  type NamespaceRow,
  type TenantRow
} from '../generated/broker_pb.ts'
import { namespaceError } from './errors.ts'
import type { PolicyStore } from './policies.ts'
import { decodeRow, encodeRow, keys, scanAll } from './rows.ts'
import { isValidEntityName, splitNamespace } from './topic-name.ts'

export interface ClusterInfo {
  readonly serviceUrl: string
  readonly serviceUrlTls: string
  readonly brokerServiceUrl: string
  readonly brokerServiceUrlTls: string
  readonly peerClusterNames: readonly string[]
  /** How whoever connects to it does so (TLS, listener, proxy), by Pulsar's names. Kept and shown; no secrets. */
  readonly client?: ClusterClient
}

export type ClusterClient = Readonly<Record<string, string | boolean>>

export interface TenantInfo {
  readonly adminRoles: readonly string[]
  readonly allowedClusters: readonly string[]
}

export interface NamespaceInfo {
  readonly createdAtMs: number
  readonly bundleCount: number
  readonly replicationClusters: readonly string[]
  readonly isDeleting: boolean
}

const BUNDLES_DEFAULT = 4
const BUNDLES_MAX = 65_536

/** Clusters, tenants and namespaces: one row each. */
export class Tenancy {
  readonly #store: MetadataStore
  readonly #policies: PolicyStore
  readonly #clock: Clock
  readonly #clusterName: string

  constructor(options: { store: MetadataStore; policies: PolicyStore; clock: Clock; clusterName: string }) {
    this.#store = options.store
    this.#policies = options.policies
    this.#clock = options.clock
    this.#clusterName = options.clusterName
  }

  /** What every client expects to find: the cluster itself, `public/default` and `pulsar/system`. Changes nothing that is there. */
  async seed(cluster: ClusterInfo): Promise<void> {
    const allowedClusters = [this.#clusterName]
    const namespace = this.#newNamespace({})
    await this.#putNew(keys.cluster(this.#clusterName), encodeRow(ClusterRowSchema, clusterRow(cluster)))
    for (const name of ['public/default', 'pulsar/system']) {
      const { tenant } = splitNamespace(name)
      await this.#putNew(keys.tenant(tenant), encodeRow(TenantRowSchema, { adminRoles: [], allowedClusters }))
      await this.#putNew(keys.namespace(name), namespace)
    }
  }

  // clusters

  async clusters(): Promise<string[]> {
    return this.#names(keys.clusters)
  }

  async cluster(name: string): Promise<ClusterInfo | undefined> {
    const row: ClusterRow | undefined = await this.#read(ClusterRowSchema, keys.cluster(name))
    if (row === undefined) return undefined
    return {
      serviceUrl: row.serviceUrl ?? '',
      serviceUrlTls: row.serviceUrlTls ?? '',
      brokerServiceUrl: row.brokerServiceUrl ?? '',
      brokerServiceUrlTls: row.brokerServiceUrlTls ?? '',
      peerClusterNames: row.peerClusterNames,
      ...(row.clientJson === undefined ? {} : { client: JSON.parse(row.clientJson) as ClusterClient })
    }
  }

  /** @throws NamespaceError NAME_INVALID, ALREADY_EXISTS */
  async createCluster(name: string, info: ClusterInfo): Promise<void> {
    requireName(name, 'Cluster name is not valid')
    const created = await this.#putNew(keys.cluster(name), encodeRow(ClusterRowSchema, clusterRow(info)))
    if (!created) throw namespaceError('ALREADY_EXISTS', 'Cluster already exists')
  }

  /** @throws NamespaceError CLUSTER_NOT_FOUND */
  async updateCluster(name: string, info: ClusterInfo): Promise<void> {
    if ((await this.cluster(name)) === undefined) throw namespaceError('CLUSTER_NOT_FOUND', 'Cluster does not exist')
    await this.#put(keys.cluster(name), encodeRow(ClusterRowSchema, clusterRow(info)))
  }

  /** @throws NamespaceError CLUSTER_NOT_FOUND, NOT_EMPTY for the one this is */
  async deleteCluster(name: string): Promise<void> {
    if ((await this.cluster(name)) === undefined) throw namespaceError('CLUSTER_NOT_FOUND', 'Cluster does not exist')
    if (name === this.#clusterName) throw namespaceError('NOT_EMPTY', 'Cluster not empty')
    await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'delete', key: keys.cluster(name) }] })
  }

  // tenants

  async tenants(): Promise<string[]> {
    return this.#names(keys.tenants)
  }

  async tenant(name: string): Promise<TenantInfo | undefined> {
    const row: TenantRow | undefined = await this.#read(TenantRowSchema, keys.tenant(name))
    return row === undefined ? undefined : { adminRoles: row.adminRoles, allowedClusters: row.allowedClusters }
  }

  /** @throws NamespaceError NAME_INVALID, ALREADY_EXISTS */
  async createTenant(name: string, info: TenantInfo): Promise<void> {
    requireName(name, 'Tenant name is not valid')
    await this.#requireClusters(info.allowedClusters)
    const created = await this.#putNew(keys.tenant(name), encodeRow(TenantRowSchema, tenantRow(info)))
    if (!created) throw namespaceError('ALREADY_EXISTS', 'Tenant already exist')
  }

  /** @throws NamespaceError TENANT_NOT_FOUND, NAME_INVALID */
  async updateTenant(name: string, info: TenantInfo): Promise<void> {
    if ((await this.tenant(name)) === undefined) throw namespaceError('TENANT_NOT_FOUND', 'Tenant does not exist')
    await this.#requireClusters(info.allowedClusters)
    await this.#put(keys.tenant(name), encodeRow(TenantRowSchema, tenantRow(info)))
  }

  /** @throws NamespaceError TENANT_NOT_FOUND, NOT_EMPTY */
  async deleteTenant(name: string): Promise<void> {
    const record = await this.#store.get(keys.tenant(name))
    if (record === undefined) throw namespaceError('TENANT_NOT_FOUND', 'Tenant does not exist')
    const page = await this.#store.scan({ prefix: keys.namespaces(name), limit: 1, keysOnly: true })
    if (page.records.length > 0) {
      throw namespaceError('NOT_EMPTY', 'The tenant still has active namespaces')
    }
    const result = await transactUntilAnswered(this.#store, {
      compares: [{ key: keys.tenant(name), version: record.version }],
      changes: [{ kind: 'delete', key: keys.tenant(name) }]
    })
    if (!result.committed) throw namespaceError('CHANGED_MEANWHILE', 'Concurrent modification')
  }

  // namespaces

  /** Full names, `tenant/namespace`. @throws NamespaceError TENANT_NOT_FOUND */
  async namespacesOf(tenant: string): Promise<string[]> {
    if ((await this.tenant(tenant)) === undefined) throw namespaceError('TENANT_NOT_FOUND', 'Tenant does not exist')
    const names = await this.#names(keys.namespaces(tenant))
    return names.map(name => `${tenant}/${name}`)
  }

  async namespace(namespace: string): Promise<NamespaceInfo | undefined> {
    const row: NamespaceRow | undefined = await this.#read(NamespaceRowSchema, keys.namespace(namespace))
    if (row === undefined) return undefined
    return {
      createdAtMs: Number(row.createdAtMs ?? 0n),
      bundleCount: row.bundleCount ?? BUNDLES_DEFAULT,
      replicationClusters: row.replicationClusters,
      isDeleting: row.deleting ?? false
    }
  }

  /**
   * What a change compares that must not outlive the namespace.
   * @throws NamespaceError NAMESPACE_NOT_FOUND, also of one that is being deleted
   */
  async fenceOf(namespace: string): Promise<Compare> {
    const record = await this.#store.get(keys.namespace(namespace))
    if (record === undefined || decodeRow(NamespaceRowSchema, record).deleting === true) {
      throw namespaceError('NAMESPACE_NOT_FOUND', 'Namespace does not exist')
    }
    return { key: record.key, version: record.version }
  }

  /**
   * The tenant's row is written again with the namespace, so that a tenant deleted meanwhile is noticed, and the other way round.
   * @throws NamespaceError NAME_INVALID, TENANT_NOT_FOUND, ALREADY_EXISTS
   */
  async createNamespace(
    namespace: string,
    options: { bundleCount?: number; replicationClusters?: readonly string[] }
  ): Promise<void> {
    const { tenant } = splitNamespace(namespace)
    const { bundleCount = BUNDLES_DEFAULT } = options
    if (!Number.isSafeInteger(bundleCount) || bundleCount < 1 || bundleCount > BUNDLES_MAX) {
      throw namespaceError(
        'NAME_INVALID',
        'Invalid number of bundles. Number of numbundles has to be in the range of (0, 2^32].'
      )
    }
    await this.#requireClusters(options.replicationClusters ?? [])
    const key = keys.namespace(namespace)
    for (;;) {
      const tenantRecord = await this.#store.get(keys.tenant(tenant))
      if (tenantRecord === undefined) throw namespaceError('TENANT_NOT_FOUND', 'Tenant does not exist')
      const result = await transactUntilAnswered(this.#store, {
        compares: [
          { key: tenantRecord.key, version: tenantRecord.version },
          { key, version: 0 }
        ],
        changes: [
          { kind: 'put', key: tenantRecord.key, value: tenantRecord.value },
          { kind: 'put', key, value: this.#newNamespace(options) }
        ]
      })
      if (result.committed) return
      if (result.conflicts.some(conflict => conflict.key === key)) {
        throw namespaceError('ALREADY_EXISTS', 'Namespace already exists')
      }
      // Another namespace of the tenant was created: one of those that collide always gets through, so this ends.
    }
  }

  /**
   * From here on nothing can be created in it. `finishNamespaceDelete` ends it, `cancelNamespaceDelete` opens it again.
   * @throws NamespaceError NAMESPACE_NOT_FOUND
   */
  async beginNamespaceDelete(namespace: string): Promise<void> {
    await this.#setDeleting(namespace, true)
  }

  async cancelNamespaceDelete(namespace: string): Promise<void> {
    await this.#setDeleting(namespace, false)
  }

  async finishNamespaceDelete(namespace: string): Promise<void> {
    await this.#policies.removeAll(namespace)
    await transactUntilAnswered(this.#store, {
      compares: [],
      changes: [
        { kind: 'delete', key: keys.namespace(namespace) },
        // how it was divided: one made anew under its name is not
        { kind: 'delete', key: keys.bundles(namespace) }
      ]
    })
  }

  async #setDeleting(namespace: string, deleting: boolean): Promise<void> {
    const record = await this.#store.get(keys.namespace(namespace))
    if (record === undefined) throw namespaceError('NAMESPACE_NOT_FOUND', 'Namespace does not exist')
    const row = decodeRow(NamespaceRowSchema, record)
    const result = await transactUntilAnswered(this.#store, {
      compares: [{ key: record.key, version: record.version }],
      changes: [{ kind: 'put', key: record.key, value: encodeRow(NamespaceRowSchema, { ...row, deleting }) }]
    })
    if (!result.committed) throw namespaceError('CHANGED_MEANWHILE', 'Concurrent modification')
  }

  async #requireClusters(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if ((await this.cluster(name)) === undefined) {
        throw namespaceError('NAME_INVALID', `Cluster ${name} does not exist.`)
      }
    }
  }

  async #names(prefix: string): Promise<string[]> {
    const names: string[] = []
    for await (const { key } of scanAll(this.#store, prefix, { keysOnly: true })) names.push(key.slice(prefix.length))
    return names
  }

  async #read<Desc extends DescMessage>(schema: Desc, key: string): Promise<MessageShape<Desc> | undefined> {
    const record = await this.#store.get(key)
    return record === undefined ? undefined : decodeRow(schema, record)
  }

  async #put(key: string, value: Uint8Array): Promise<void> {
    await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'put', key, value }] })
  }

  async #putNew(key: string, value: Uint8Array): Promise<boolean> {
    const result = await transactUntilAnswered(this.#store, {
      compares: [{ key, version: 0 }],
      changes: [{ kind: 'put', key, value }]
    })
    return result.committed
  }

  #newNamespace(options: { bundleCount?: number; replicationClusters?: readonly string[] }): Uint8Array {
    return encodeRow(NamespaceRowSchema, {
      createdAtMs: BigInt(Math.trunc(this.#clock.wallMs())),
      bundleCount: options.bundleCount ?? BUNDLES_DEFAULT,
      replicationClusters: [...(options.replicationClusters ?? [this.#clusterName])]
    })
  }
}

function clusterRow({ client, ...info }: ClusterInfo): MessageInitShape<typeof ClusterRowSchema> {
  return {
    ...info,
    peerClusterNames: [...info.peerClusterNames],
    ...(client === undefined ? {} : { clientJson: JSON.stringify(client) })
  }
}

function tenantRow(info: TenantInfo): MessageInitShape<typeof TenantRowSchema> {
  return { adminRoles: [...info.adminRoles], allowedClusters: [...info.allowedClusters] }
}

function requireName(name: string, message: string): void {
  if (!isValidEntityName(name)) throw namespaceError('NAME_INVALID', message)
}
