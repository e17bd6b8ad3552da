// The cluster that is tormented: storage nodes and an etcd, each in a process of its own, and clients of it.
import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { startBookie, type BookieProcess } from '../support/bookie-process.ts'
import { NodeClient } from '../support/node-client.ts'
import { NodeNetwork, type NodePlace } from './network.ts'

/** Short, so that a node that stands still is missed soon. */
export const LEASE_MS = 3_000
const PREFIX = '/strata/'
/** Without an ack quorum a writer ends soon, and its ledger is recovered: both are to happen often. */
const STALLED_MS_MAX = 8_000
/** Of the node that has a file system of its own: filled on purpose. */
const SMALL_DISK = '192m'
/** In a network of their own nodes serve nobody who does not know it. */
const SECRET = 'of the tormented cluster alone, and of nobody else'
const run = promisify(execFile)

/** One node and the directories that it comes back to. */
export class ChaosNode {
  readonly name: string
  readonly data: string
  /** A file system of its own, and small. */
  readonly isSmall: boolean
  /** A fault is being done to it. */
  isBusy = false
  /** undefined: on the loopback, as everyone else. */
  readonly place: NodePlace | undefined
  readonly #metadataUrl: string
  readonly #secretFile: string
  #process: BookieProcess | undefined

  constructor(options: {
    name: string
    data: string
    isSmall: boolean
    place: NodePlace | undefined
    metadataUrl: string
    secretFile: string
  }) {
    this.name = options.name
    this.data = options.data
    this.isSmall = options.isSmall
    this.place = options.place
    this.#metadataUrl = options.metadataUrl
    this.#secretFile = options.secretFile
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
      strataLogLevel: 'warn',
      strataClusterSecretFile: this.#secretFile,
      ...(this.place === undefined ? {} : { bindAddress: this.place.address })
    }
    const { data, place } = this
    this.#process = await startBookie({ data, metadataUrl: this.#metadataUrl, set, wrap: place?.wrap ?? [] })
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

export class ChaosCluster {
  readonly etcd: EtcdPeers
  readonly nodes: readonly ChaosNode[]
  readonly #mounts: readonly string[]
  readonly #network: NodeNetwork | undefined
  readonly #onExit = (): void => {
    for (const node of this.nodes) node.killNow()
  }

  private constructor(parts: {
    etcd: EtcdPeers
    nodes: readonly ChaosNode[]
    mounts: readonly string[]
    network: NodeNetwork | undefined
  }) {
    this.etcd = parts.etcd
    this.nodes = parts.nodes
    this.#mounts = parts.mounts
    this.#network = parts.network
    process.once('exit', this.#onExit)
  }

  /** All nodes run when this resolves. @param options.root An empty directory. @param options.scripts The folder of peers. */
  static async start({
    root,
    scripts,
    nodeCount
  }: {
    root: string
    scripts: string
    nodeCount: number
  }): Promise<ChaosCluster> {
    const etcd = await startEtcd({ scripts })
    const network = await NodeNetwork.create({ count: nodeCount, server: etcd.first.endpoint })
    const metadataUrl = `etcd:http://${network?.serverEndpoint ?? etcd.first.endpoint}${PREFIX}`
    const secretFile = join(root, 'secret')
    await writeFile(secretFile, SECRET)
    const small = join(root, `node-${nodeCount}`)
    const mounts = (await mountSmall(small)) ? [small] : []
    const nodes = Array.from({ length: nodeCount }, (_, i) => {
      const data = join(root, `node-${i + 1}`)
      const place = network?.places[i]
      return new ChaosNode({
        name: `node-${i + 1}`,
        data,
        isSmall: mounts.includes(data),
        place,
        metadataUrl,
        secretFile
      })
    })
    const cluster = new ChaosCluster({ etcd, nodes, mounts, network })
    try {
      await Promise.all(nodes.map(node => node.start()))
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  openClient(random: () => number): Promise<NodeClient> {
    const clusterId = this.nodes.find(({ isRunning }) => isRunning)?.clusterId ?? assert.fail('no node runs')
    return NodeClient.open({
      ...{ endpoints: this.etcd.endpoints, prefix: PREFIX, clusterId, random, timeoutMs: 3_000 },
      security: { secrets: [SECRET], tls: undefined },
      times: { stalledMsMax: STALLED_MS_MAX }
    })
  }

  async stop(): Promise<void> {
    process.off('exit', this.#onExit)
    for (const node of this.nodes) {
      node.signal('SIGCONT')
      await node.place?.heal()
    }
    await Promise.all(this.nodes.map(node => node.kill()))
    await this.#network?.remove()
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
