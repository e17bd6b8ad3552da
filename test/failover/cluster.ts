// The cluster that is tormented: brokers, storage nodes and a metadata store of three members, each in a process of its own.
import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { FaultyProxy } from '../etcd/faulty-proxy.ts'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freePorts } from '../peers/process.ts'
import { AlteredWorld } from '../support/altered-world.ts'
import { BookieSet, startBroker, type BrokerProcess } from '../support/cluster-process.ts'

const BOOKIES = 3
/** The default of `metadataStoreSessionTimeoutMillis` for brokers. */
export const LEASE_MS = 5_000
/** Nothing is trimmed before it was read back. */
const KEEP_ALL = { retentionTimeInMinutes: -1, retentionSizeInMB: -1 }

/** One broker: its ports, and its own ways to the metadata store and to the storage nodes. */
export class BrokerPlace {
  readonly name: string
  readonly brokerPort: number
  readonly webPort: number
  /** To the members of the metadata store. */
  readonly proxies: readonly FaultyProxy[]
  /** To the storage nodes. */
  readonly storage: readonly FaultyProxy[]
  readonly world: AlteredWorld | undefined
  /** A fault is being done to it. */
  isBusy = false
  readonly #hasWatchdog: boolean
  readonly #metadataUrl: string | undefined
  #process: BrokerProcess | undefined

  constructor(options: {
    name: string
    ports: { broker: number; web: number }
    proxies: readonly FaultyProxy[]
    storage: readonly FaultyProxy[]
    world: AlteredWorld | undefined
    watchdog: boolean
    /** Of the metadata store itself, past `proxies`. */
    metadataUrl?: string
  }) {
    this.#metadataUrl = options.metadataUrl
    this.name = options.name
    this.#hasWatchdog = options.watchdog
    this.brokerPort = options.ports.broker
    this.webPort = options.ports.web
    this.proxies = options.proxies
    this.storage = options.storage
    this.world = options.world
  }

  get webUrl(): string {
    return `http://127.0.0.1:${this.webPort}`
  }

  get process(): BrokerProcess {
    return this.#process ?? assert.fail(`${this.name} does not run`)
  }

  get log(): string {
    return this.#process?.log() ?? ''
  }

  async start(): Promise<void> {
    const endpoints = this.proxies.map(({ endpoint }) => endpoint).join(',')
    this.#process = await startBroker({
      metadataUrl: this.#metadataUrl ?? `etcd:http://${endpoints}/strata`,
      nodeArguments: this.world?.nodeArguments ?? [],
      set: {
        brokerServicePort: this.brokerPort,
        webServicePort: this.webPort,
        advertisedAddress: '127.0.0.1',
        metadataStoreSessionTimeoutMillis: LEASE_MS,
        strataWatchdogEnabled: this.#hasWatchdog
      }
    })
  }

  /** SIGINT, and wait: the exit code, which is 0 for a broker that drained. */
  async stop(): Promise<number | null> {
    const running = this.#process
    this.#process = undefined
    return (await running?.stop()) ?? null
  }

  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    await running?.kill()
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
}

export class FailoverCluster {
  readonly etcd: EtcdPeers
  readonly bookies: BookieSet
  readonly brokers: readonly BrokerPlace[]
  /** Of each broker and of each storage node, which are on machines of their own, by their clocks. */
  readonly worlds: readonly AlteredWorld[]

  private constructor(parts: {
    etcd: EtcdPeers
    bookies: BookieSet
    brokers: readonly BrokerPlace[]
    worlds: readonly AlteredWorld[]
  }) {
    this.etcd = parts.etcd
    this.bookies = parts.bookies
    this.brokers = parts.brokers
    this.worlds = parts.worlds
  }

  static async start(options: {
    root: string
    scripts: string
    brokers: number
    etcdMembers: number
    /** Without it a broker that was stopped past its lease comes back as a zombie. */
    watchdog: boolean
    /** Clocks can be set, and brokers be cut off from storage nodes; it costs a little time on every way. */
    altered: boolean
    /** Brokers cannot be cut off from the metadata store, and what they ask of it does not come through this process. */
    direct?: boolean
  }): Promise<FailoverCluster> {
    const etcd = await startEtcd({ scripts: options.scripts, members: options.etcdMembers })
    const metadataUrl = `etcd:http://${etcd.endpoints.join(',')}/strata`
    const ports = await freePorts(BOOKIES + options.brokers * 2)
    const bookiePorts = ports.splice(0, BOOKIES)
    const directoryOf = (name: string): string => join(options.root, 'worlds', name)
    const bookieWorlds = options.altered
      ? bookiePorts.map(port => new AlteredWorld({ directory: directoryOf(`bookie-${port}`) }))
      : []
    const bookies = new BookieSet({
      ...{ data: join(options.root, 'bookies'), metadataUrl },
      own: i => ({ set: { bookiePort: bookiePorts[i] ?? 0 }, nodeArguments: bookieWorlds[i]?.nodeArguments ?? [] })
    })
    const brokers = await Promise.all(
      Array.from({ length: options.brokers }, async (_, i) => {
        const name = `broker-${i + 1}`
        const proxies = await Promise.all(etcd.endpoints.map(endpoint => FaultyProxy.open(endpoint)))
        const cuttable = options.altered ? bookiePorts : []
        const storage = await Promise.all(cuttable.map(port => FaultyProxy.open(`127.0.0.1:${port}`)))
        const routes = new Map(cuttable.map((port, i) => [port, storage[i]?.port ?? 0]))
        const world = options.altered ? new AlteredWorld({ directory: directoryOf(name), routes }) : undefined
        const own = { broker: ports[2 * i] ?? 0, web: ports[2 * i + 1] ?? 0 }
        const straight = options.direct === true ? { metadataUrl } : {}
        return new BrokerPlace({ name, ports: own, proxies, storage, world, watchdog: options.watchdog, ...straight })
      })
    )
    const worlds = [...brokers.flatMap(({ world }) => world ?? []), ...bookieWorlds]
    const cluster = new FailoverCluster({ etcd, bookies, brokers, worlds })
    try {
      await Promise.all(Array.from({ length: BOOKIES }, (_, i) => bookies.start(i)))
      await Promise.all(brokers.map(broker => broker.start()))
      await cluster.admin('POST', 'namespaces/public/default/retention', KEEP_ALL)
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** Of all brokers, as clients take several. */
  get brokerUrl(): string {
    return `pulsar://${this.brokers.map(({ brokerPort }) => `127.0.0.1:${brokerPort}`).join(',')}`
  }

  /** One admin request to a broker that is in order. @throws Error naming the status */
  async admin(method: string, path: string, body?: unknown): Promise<unknown> {
    const { webUrl } = this.brokers.find(({ isBusy }) => !isBusy) ?? assert.fail('all brokers are busy')
    const response = await fetch(`${webUrl}/admin/v2/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      signal: AbortSignal.timeout(15_000)
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  async stop(): Promise<void> {
    await Promise.all(this.brokers.map(broker => broker.kill()))
    await this.bookies.killAll()
    const proxies = this.brokers.flatMap(({ proxies, storage }) => [...proxies, ...storage])
    await Promise.all(proxies.map(proxy => proxy.close()))
    await this.etcd.stop()
  }
}
