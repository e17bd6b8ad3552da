import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts, startPeer, waitReady, type PeerProcess } from '../peers/process.ts'

export interface PulsarCluster {
  readonly brokerPort: number
  readonly webPort: number
  pids(): number[]
  stop(): Promise<void>
}

export interface PulsarClusterOptions {
  /** The `pulsar` script. */
  readonly script: string
  /** Data, configuration and logs are below it. */
  readonly data: string
  /** Heap options of each process; empty: the distribution's own. */
  readonly memory: { readonly zookeeper: string; readonly bookie: string; readonly broker: string }
}

const BOOKIES = 3
const READY_TIMEOUT_MS = 240_000
const CLUSTER = 'bench'
const LOOPBACK = '127.0.0.1'

/** Apache Pulsar as a cluster: ZooKeeper, three bookies that sync, one broker with E=3 Qw=3 Qa=2, on this machine. */
export async function startPulsarCluster(options: PulsarClusterOptions): Promise<PulsarCluster> {
  const started: PeerProcess[] = []
  const stop = async (): Promise<void> => {
    for (const peer of started.splice(0).reverse()) await peer.stop()
  }
  try {
    const ports = await freePorts(4 + BOOKIES * 2)
    const [zookeeper = 0, zookeeperMetrics = 0, brokerPort = 0, webPort = 0, ...bookiePorts] = ports
    const cluster = await Distribution.of(options, started)
    await cluster.start('zk', 'zookeeper.conf', options.memory.zookeeper, {
      dataDir: join(options.data, 'zookeeper'),
      clientPort: zookeeper,
      'admin.enableServer': false,
      'metricsProvider.httpPort': zookeeperMetrics
    })
    await cluster.listening(zookeeper)
    const store = `zk:${LOOPBACK}:${zookeeper}`
    const web = ['--web-service-url', `http://${LOOPBACK}:${webPort}`]
    const broker = ['--broker-service-url', `pulsar://${LOOPBACK}:${brokerPort}`]
    const stores = ['--metadata-store', store, '--configuration-metadata-store', store]
    const init = ['init-cluster', '--cluster', CLUSTER, ...stores, ...web, ...broker]
    await promisify(execFile)(options.script, init, { timeout: READY_TIMEOUT_MS, maxBuffer: 64 << 20 })
    for (let index = 0; index < BOOKIES; index++) {
      const directory = join(options.data, `bookie-${index}`)
      const [port = 0, metrics = 0] = bookiePorts.slice(index * 2)
      await cluster.start('bookie', 'bookkeeper.conf', options.memory.bookie, {
        zkServers: `${LOOPBACK}:${zookeeper}`,
        journalDirectory: join(directory, 'journal'),
        ledgerDirectories: join(directory, 'ledgers'),
        journalSyncData: true,
        bookiePort: port,
        prometheusStatsHttpPort: metrics,
        advertisedAddress: LOOPBACK,
        allowLoopback: true
      })
      await cluster.listening(port)
    }
    const serving = await cluster.start('broker', 'broker.conf', options.memory.broker, {
      metadataStoreUrl: store,
      configurationMetadataStoreUrl: store,
      clusterName: CLUSTER,
      brokerServicePort: brokerPort,
      webServicePort: webPort,
      bindAddress: LOOPBACK,
      advertisedAddress: LOOPBACK,
      managedLedgerDefaultEnsembleSize: 3,
      managedLedgerDefaultWriteQuorum: 3,
      managedLedgerDefaultAckQuorum: 2
    })
    await waitReady(serving, () => isHealthy(webPort), { timeoutMs: READY_TIMEOUT_MS })
    return { brokerPort, webPort, stop, pids: () => started.flatMap(({ child }) => child.pid ?? []) }
  } catch (error) {
    await stop()
    throw error
  }
}

type Values = Readonly<Record<string, string | number | boolean>>

/** Starts processes of the distribution, each with its own copy of a configuration file. */
class Distribution {
  readonly #options: PulsarClusterOptions
  readonly #home: string
  readonly #started: PeerProcess[]

  private constructor(options: PulsarClusterOptions, home: string, started: PeerProcess[]) {
    this.#options = options
    this.#home = home
    this.#started = started
  }

  static async of(options: PulsarClusterOptions, started: PeerProcess[]): Promise<Distribution> {
    const { stdout } = await promisify(execFile)(options.script, ['install'])
    return new Distribution(options, stdout.trim(), started)
  }

  async start(kind: 'zk' | 'bookie' | 'broker', file: string, memory: string, values: Values): Promise<PeerProcess> {
    const { script, data } = this.#options
    const directory = join(data, `${kind}-${this.#started.length}`)
    await mkdir(directory, { recursive: true })
    const conf = join(directory, file)
    await writeFile(conf, withValues(await readFile(join(this.#home, 'conf', file), 'utf8'), values))
    const environment = memory === '' ? undefined : { PULSAR_MEM: memory, BOOKIE_MEM: memory }
    const peer = await startPeer([script, kind, directory, conf], {
      directory,
      ...(environment === undefined ? {} : { environment })
    })
    this.#started.push(peer)
    return peer
  }

  /** Waits for the process that was started last. */
  async listening(port: number): Promise<void> {
    const peer = this.#started.at(-1)
    if (peer === undefined) throw new Error('nothing was started')
    await waitReady(peer, () => isListening(port), { timeoutMs: READY_TIMEOUT_MS })
  }
}

/** A configuration with these lines in place of those that it has. */
function withValues(content: string, values: Values): string {
  const kept = content.split('\n').filter(line => {
    const key = /^#? ?([\w.]+)=/.exec(line)?.[1]
    return key === undefined || values[key] === undefined
  })
  return [...kept, ...Object.entries(values).map(([key, value]) => `${key}=${value}`), ''].join('\n')
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, LOOPBACK)
  try {
    await once(socket, 'connect')
    return true
  } finally {
    socket.destroy()
  }
}

async function isHealthy(webPort: number): Promise<boolean> {
  const url = `http://${LOOPBACK}:${webPort}/admin/v2/brokers/health`
  return (await fetch(url, { signal: AbortSignal.timeout(10_000) })).ok
}
