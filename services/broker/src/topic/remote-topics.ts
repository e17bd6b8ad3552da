import type { TopicName } from '../namespace/topic-name.ts'
import type { BrokerAddress } from '../ownership/contract.ts'

/** Partitions of a topic may be served by several brokers: what the one that deletes it asks of the others. */
export interface RemoteTopics {
  /**
   * Nobody begins to use it there for a while; `unblock` ends that.
   * @throws NamespaceError NOT_EMPTY: clients are connected and `force` is not set; BrokerError MetadataError: no answer
   */
  block(broker: BrokerAddress, name: TopicName, options: { force: boolean }): Promise<void>
  unblock(broker: BrokerAddress, name: TopicName): Promise<void>
  /** Drops its memory and its data. @throws BrokerError MetadataError */
  erase(broker: BrokerAddress, name: TopicName): Promise<void>
}
