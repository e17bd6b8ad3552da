import { silentLogger, systemClock } from '@strata/base'
import {
  createLedgerClient,
  type FollowingLedgerClient,
  type LedgerClientOptions,
  type RegistryBookieDirectory
} from '@strata/ledger-client'
import { openBookieRegistry, type NodeSecurity } from '@strata/ledger-client/grpc'
import { EtcdMetadataStore } from '@strata/metadata/etcd'

export const THREE_OF_THREE = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }

export interface NodeClientOptions {
  /** host:port of each etcd. */
  readonly endpoints: readonly string[]
  /** Of the cluster's metadata. */
  readonly prefix: string
  readonly clusterId: string
  readonly security?: NodeSecurity
  /** How long a node may take to answer. */
  readonly timeoutMs?: number
  readonly quorum?: LedgerClientOptions['quorum']
  readonly random?: () => number
  readonly times?: NonNullable<LedgerClientOptions['times']>
}

/** Another process, as far as storage nodes can tell: a session of its own with the metadata store, and connections of its own. */
export class NodeClient {
  readonly metadata: EtcdMetadataStore
  readonly directory: RegistryBookieDirectory
  readonly ledgers: FollowingLedgerClient

  private constructor(metadata: EtcdMetadataStore, directory: RegistryBookieDirectory, ledgers: FollowingLedgerClient) {
    this.metadata = metadata
    this.directory = directory
    this.ledgers = ledgers
  }

  static async open(options: NodeClientOptions): Promise<NodeClient> {
    const { endpoints, prefix, clusterId, security, timeoutMs, times } = options
    const doors = { clock: systemClock, logger: silentLogger }
    const metadata = await EtcdMetadataStore.open({ ...doors, endpoints, prefix })
    const directory = await openBookieRegistry({
      ...{ ...doors, metadata, clusterId },
      ...(security === undefined ? {} : { security }),
      ...(timeoutMs === undefined ? {} : { timeoutMs })
    })
    const ledgers = createLedgerClient({
      ...{ ...doors, metadata, directory, clusterId },
      ...{ quorum: options.quorum ?? THREE_OF_THREE, random: options.random ?? (() => 0.5) },
      ...(times === undefined ? {} : { times })
    })
    return new NodeClient(metadata, directory, ledgers)
  }

  /** Waits for the registry to say so. */
  async until(isTrue: (directory: RegistryBookieDirectory) => boolean): Promise<void> {
    while (!isTrue(this.directory)) {
      await new Promise<void>(resolve => {
        const cancel = this.directory.onChange(() => {
          cancel()
          resolve()
        })
      })
    }
  }

  /** Waits until so many nodes take new ledgers. */
  async writable(count: number): Promise<void> {
    await this.until(directory => directory.writable().length === count)
  }

  async close(): Promise<void> {
    this.directory.close()
    await this.metadata.close()
  }
}
