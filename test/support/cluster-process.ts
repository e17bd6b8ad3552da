import { join } from 'node:path'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { startBookie, type BookieOptions, type BookieProcess } from './bookie-process.ts'
import { settingFlags, startServerProcess, type ServerOptions, type ServerProcess } from './server-process.ts'

export type Settings = Readonly<Record<string, string | number | boolean>>

interface BrokerReady {
  readonly pid: number
  readonly brokerUrl: string
  readonly webUrl: string
  readonly clusterId: string
  readonly bookies: number
}

export type BrokerProcess = ServerProcess<BrokerReady>

export interface BrokerOptions extends ServerOptions {
  readonly metadataUrl: string
  readonly set?: Settings
}

export const THREE_COPIES = {
  managedLedgerDefaultEnsembleSize: 3,
  managedLedgerDefaultWriteQuorum: 3,
  managedLedgerDefaultAckQuorum: 2
} as const

export function brokerArguments({ metadataUrl, set }: BrokerOptions): string[] {
  const settings = { metadataStoreUrl: metadataUrl, brokerServicePort: 0, webServicePort: 0, ...THREE_COPIES, ...set }
  return ['broker', '--json', ...settingFlags(settings)]
}

/** A real `strata broker` on free ports of the loopback, ready when this resolves. */
export function startBroker(options: BrokerOptions): Promise<BrokerProcess> {
  return startServerProcess<BrokerReady>(brokerArguments(options), options)
}

/** What one node has that others have not. */
type OfBookie = Pick<BookieOptions, 'set' | 'nodeArguments'>

/** Storage nodes by index, each on a disk of its own that outlives its process. */
export class BookieSet {
  readonly #data: string
  readonly #metadataUrl: string
  readonly #set: Settings
  readonly #own: (index: number) => OfBookie
  readonly #running: (BookieProcess | undefined)[] = []

  constructor(options: { data: string; metadataUrl: string; set?: Settings; own?: (index: number) => OfBookie }) {
    this.#data = options.data
    this.#metadataUrl = options.metadataUrl
    this.#set = options.set ?? {}
    this.#own = options.own ?? (() => ({}))
  }

  get running(): readonly BookieProcess[] {
    return this.#running.filter(bookie => bookie !== undefined)
  }

  /** Starts the node of this index anew, on the disk that it had. */
  async start(index: number, options: Pick<ServerOptions, 'strata'> = {}): Promise<BookieProcess> {
    const data = join(this.#data, `bookie-${index}`)
    const { set = {}, ...how } = this.#own(index)
    const bookie = await startBookie({
      ...{ data, metadataUrl: this.#metadataUrl, set: { ...this.#set, ...set } },
      ...how,
      ...options
    })
    this.#running[index] = bookie
    return bookie
  }

  at(index: number): BookieProcess {
    const bookie = this.#running[index]
    if (bookie === undefined) throw new Error(`node ${index} does not run`)
    return bookie
  }

  /** kill -9, and wait. */
  async kill(index: number): Promise<void> {
    const bookie = this.at(index)
    this.#running[index] = undefined
    await bookie.kill()
  }

  async stopAll(): Promise<void> {
    const running = this.running
    this.#running.length = 0
    await Promise.all(running.map(bookie => bookie.stop()))
  }

  async killAll(): Promise<void> {
    const running = this.running
    this.#running.length = 0
    await Promise.all(running.map(bookie => bookie.kill()))
  }
}

/** A whole cluster in processes of its own: a metadata store, storage nodes, one broker. */
export interface ClusterProcesses {
  readonly etcd: EtcdPeers
  readonly metadataUrl: string
  readonly bookies: BookieSet
  readonly broker: BrokerProcess
  /** Of every process that serves. */
  pids(): number[]
  stop(): Promise<void>
}

export interface ClusterOptions {
  /** The folder of the `etcd` script. */
  readonly scripts: string
  /** Disks of storage nodes are below it. */
  readonly data: string
  readonly bookieCount?: number
  readonly set?: Settings
  readonly bookieSet?: Settings
  /** Further arguments of etcd, which runs without syncing unless they say otherwise. */
  readonly etcdArguments?: readonly string[]
}

/** Ready when this resolves; what was started before something failed is ended again. */
export async function startCluster(options: ClusterOptions): Promise<ClusterProcesses> {
  const closing: (() => Promise<unknown>)[] = []
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).reverse()) await close()
  }
  try {
    const { scripts, data, set = {}, bookieSet = {}, etcdArguments = [] } = options
    const etcd = await startEtcd({ scripts, arguments: etcdArguments })
    closing.push(() => etcd.stop())
    const metadataUrl = `etcd:http://${etcd.endpoints.join(',')}/strata`
    const bookies = new BookieSet({ data, metadataUrl, set: bookieSet })
    closing.push(() => bookies.stopAll())
    await Promise.all(Array.from({ length: options.bookieCount ?? 3 }, (_, index) => bookies.start(index)))
    const broker = await startBroker({ metadataUrl, set })
    closing.push(() => broker.stop())
    const pids = (): number[] => [
      ...etcd.members.flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
      ...bookies.running.map(({ pid }) => pid),
      broker.pid
    ]
    return { etcd, metadataUrl, bookies, broker, pids, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
