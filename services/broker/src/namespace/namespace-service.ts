import type { Clock } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import { PolicyStore } from './policies.ts'
import { Tenancy, type ClusterInfo } from './tenancy.ts'
import { TopicLists } from './topic-lists.ts'
import { TopicRecords } from './topic-records.ts'

/**
 * Names and what is agreed on about them: clusters, tenants, namespaces, their policies, and topics. All of it is rows of
 * the metadata store; nothing here opens a topic, and loading a topic needs nothing but this.
 */
export class NamespaceService {
  readonly policies: PolicyStore
  readonly tenancy: Tenancy
  readonly topics: TopicRecords
  readonly lists: TopicLists

  private constructor(options: { store: MetadataStore; settings: BrokerSettings; clock: Clock }) {
    const { store, settings, clock } = options
    this.policies = new PolicyStore(store, settings)
    this.tenancy = new Tenancy({ store, policies: this.policies, clock, clusterName: settings.clusterName })
    this.topics = new TopicRecords({ store, settings, policies: this.policies, clock })
    this.lists = new TopicLists(store, this.topics, clock)
  }

  /** Makes what must exist (`public/default`, `pulsar/system`, the cluster) and starts watching. */
  static async open(options: {
    store: MetadataStore
    /** Read at each use: some settings change at run time. */
    settings: BrokerSettings
    clock: Clock
    cluster: ClusterInfo
  }): Promise<NamespaceService> {
    const service = new NamespaceService(options)
    await service.policies.start()
    await service.tenancy.seed(options.cluster)
    return service
  }

  async close(): Promise<void> {
    this.policies.close()
    await this.topics.close()
  }
}
