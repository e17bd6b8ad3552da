// The cluster that is tormented: storage nodes and an etcd, each in a process of its own, and clients of it.
import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { silentLogger, systemClock } from '@strata/base'
import { createLedgerClient, type FollowingLedgerClient, type RegistryBookieDirectory } from '@strata/ledger-client'
import { openBookieRegistry } from '@strata/ledger-client/grpc'
import { EtcdMetadataStore } from '@strata/metadata/etcd'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { startBookie, type BookieProcess } from '../support/bookie-process.ts'

export const QUORUM = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
/** Short, so that a node that stands still is missed soon. */
export const LEASE_MS = 3_000
const PREFIX = '/strata/'
/** Without an ack quorum a writer ends soon, and its ledger is recovered: both are to happen often. */
const STALLED_MS_MAX = 8_000
/** Of the node that has a file system of its own: filled on purpose. */
const SMALL_DISK = '192m'
const run = promisify(execFile)

/** One node and the directories that it comes back to. */
export class ChaosNode {
  readonly name: string
  readonly data: string
  /** A file system of its own, and small. */
  readonly isSmall: boolean
  /** A fault is being done to it. */
  isBusy = false
  readonly #metadataUrl: string
  #process: BookieProcess | undefined

  constructor(options: { name: string; data: string; isSmall: boolean; metadataUrl: string }) {
    this.name = options.name
    this.data = options.data
    this.isSmall = options.isSmall
    this.#metadataUrl = options.metadataUrl
  }

  get directories(): { journal: string; ledgers: string } {
    return { journal: join(this.data, 'journal'), ledgers: join(this.data, 'ledgers') }
  }

  get isRunning(): boolean {
    return this.#process !== undefined
  }

  get log(): string {
    return this.#process?.log() ?? ''
  }

  get clusterId(): string {
    return this.#process?.clusterId ?? assert.fail(`${this.name} does not run`)
  }

  /** Has its process ended though nobody ended it? */
  get hasDied(): boolean {
    if (this.#process === undefined) return false
    try {
      process.kill(this.#process.pid, 0)
      return false
    } catch {
      return true
    }
  }

  /** @throws Error with its log when it ends before it is ready */
  async start(): Promise<void> {
    const set = {
      bookieId: this.name,
      metadataStoreSessionTimeoutMillis: LEASE_MS,
      journalMaxSizeMB: 8,
      strataJournalTotalMB: 64,
      strataLogLevel: 'warn'
    }
    this.#process = await startBookie({ data: this.data, metadataUrl: this.#metadataUrl, set })
  }

  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    await running?.kill()
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.signal(name)
  }

  /** For the end of this process: no node outlives it. */
  killNow(): void {
    const pid = this.#process?.pid
    if (pid !== undefined && !this.hasDied) process.kill(pid, 'SIGKILL')
  }
}

export interface ChaosClient {
  readonly ledgers: FollowingLedgerClient
  readonly directory: RegistryBookieDirectory
  close(): Promise<void>
}

export class ChaosCluster {
  readonly etcd: EtcdPeers
  readonly nodes: readonly ChaosNode[]
  readonly #mounts: readonly string[]
  readonly #onExit = (): void => {
    for (const node of this.nodes) node.killNow()
  }

  private constructor(etcd: EtcdPeers, nodes: readonly ChaosNode[], mounts: readonly string[]) {
    this.etcd = etcd
    this.nodes = nodes
    this.#mounts = mounts
    process.once('exit', this.#onExit)
  }

  /** All nodes run when this resolves. @param options.root An empty directory. @param options.scripts The folder of peers. */
  static async start(options: { root: string; scripts: string; nodeCount: number }): Promise<ChaosCluster> {
    const etcd = await startEtcd({ scripts: options.scripts })
    const metadataUrl = `etcd:http://${etcd.endpoints.join()}${PREFIX}`
    const small = join(options.root, `node-${options.nodeCount}`)
    const mounts = (await mountSmall(small)) ? [small] : []
    const nodes = Array.from({ length: options.nodeCount }, (_, i) => {
      const data = join(options.root, `node-${i + 1}`)
      return new ChaosNode({ name: `node-${i + 1}`, data, isSmall: mounts.includes(data), metadataUrl })
    })
    const cluster = new ChaosCluster(etcd, nodes, mounts)
    try {
      await Promise.all(nodes.map(node => node.start()))
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  async openClient(random: () => number): Promise<ChaosClient> {
    const doors = { clock: systemClock, logger: silentLogger }
    const metadata = await EtcdMetadataStore.open({ ...doors, endpoints: this.etcd.endpoints, prefix: PREFIX })
    const clusterId = this.nodes.find(({ isRunning }) => isRunning)?.clusterId ?? assert.fail('no node runs')
    const directory = await openBookieRegistry({ ...doors, metadata, clusterId, timeoutMs: 3_000 })
    const times = { stalledMsMax: STALLED_MS_MAX }
    const ledgers = createLedgerClient({ ...doors, metadata, directory, quorum: QUORUM, random, times })
    return {
      ledgers,
      directory,
      close: async () => {
        directory.close()
        await metadata.close()
      }
    }
  }

  async stop(): Promise<void> {
    process.off('exit', this.#onExit)
    for (const node of this.nodes) node.signal('SIGCONT')
    await Promise.all(this.nodes.map(node => node.kill()))
    await this.etcd.stop()
    for (const path of this.#mounts) await run('umount', [path])
    for (const { data } of this.nodes) await rm(data, { recursive: true, force: true })
  }
}

/** False: not allowed here. */
async function mountSmall(path: string): Promise<boolean> {
  await mkdir(path, { recursive: true })
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK}`, 'tmpfs', path])
    return true
  } catch {
    return false
  }
}
