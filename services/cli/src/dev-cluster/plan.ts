import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { CommandFailure, usageFailure } from '../failure.ts'

export const CLUSTER_NAME = 'dev'
export const HOST = '127.0.0.1'

export type MemberKind = 'etcd' | 'bookie' | 'broker'

/** Brokers first, so that what they hold is handed to storage nodes that are there; etcd last. */
export const STOP_ORDER = ['broker', 'bookie', 'etcd'] as const satisfies readonly MemberKind[]

/** A process of the cluster. Addresses stay what they are over restarts. */
export interface MemberPlan {
  readonly name: string
  readonly kind: MemberKind
  /** For clients: etcd's, gRPC of a bookie, the binary protocol of a broker. */
  readonly port: number
  /** Of etcd: for its peers; of the others: HTTP. */
  readonly secondPort: number
  /** Program and arguments. */
  readonly command: readonly string[]
  readonly log: string
}

export interface ClusterPlan {
  readonly data: string
  readonly metadataUrl: string
  /** In the order in which they start. */
  readonly members: readonly MemberPlan[]
}

export interface Wanted {
  readonly data: string
  readonly etcd: number
  readonly bookies: number
  readonly brokers: number
  readonly basePort: number | undefined
  readonly etcdBinary: string
  /** Runs `strata`: the program and its script. */
  readonly strata: readonly string[]
  /** `key=value` of their settings. */
  readonly bookieSet: readonly string[]
  readonly brokerSet: readonly string[]
}

/** `known`: ports of an earlier start, by name; etcd has written its own down. @throws CommandFailure */
export async function planCluster(wanted: Wanted, known: ReadonlyMap<string, readonly number[]>): Promise<ClusterPlan> {
  const names = [...named('etcd', wanted.etcd), ...named('bookie', wanted.bookies), ...named('broker', wanted.brokers)]
  const ports = await portsOf(names, { basePort: wanted.basePort, known })
  const of = (name: string): readonly [number, number] => ports.get(name) ?? [0, 0]
  const etcds = named('etcd', wanted.etcd)
  const metadataUrl = `etcd:${etcds.map(name => `http://${HOST}:${of(name)[0]}`).join(',')}/${CLUSTER_NAME}`
  const initial = etcds.map(name => `${name}=http://${HOST}:${of(name)[1]}`).join(',')
  const members = names.map((name): MemberPlan => {
    const kind = name.split('-')[0] as MemberKind
    const [port, secondPort] = of(name)
    const command =
      kind === 'etcd'
        ? [wanted.etcdBinary, ...etcdArguments(name, { data: wanted.data, port, peerPort: secondPort, initial })]
        : [...wanted.strata, kind, '--json', ...settingsOf(name, { kind, port, secondPort, metadataUrl, wanted })]
    return { name, kind, port, secondPort, command, log: join(wanted.data, 'logs', `${name}.log`) }
  })
  return { data: wanted.data, metadataUrl, members }
}

function named(kind: MemberKind, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${kind}-${i + 1}`)
}

function etcdArguments(
  name: string,
  { data, port, peerPort, initial }: { data: string; port: number; peerPort: number; initial: string }
): string[] {
  const client = `http://${HOST}:${port}`
  const peer = `http://${HOST}:${peerPort}`
  const flags = {
    name,
    'data-dir': join(data, name),
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': initial,
    'initial-cluster-token': 'strata-dev',
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '1h',
    logger: 'zap',
    'log-outputs': 'stderr',
    'log-level': 'warn'
  }
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)
}

function settingsOf(
  name: string,
  options: { kind: MemberKind; port: number; secondPort: number; metadataUrl: string; wanted: Wanted }
): string[] {
  const { kind, port, secondPort, metadataUrl, wanted } = options
  const own =
    kind === 'bookie' ? bookieSettings(name, { port, secondPort, data: wanted.data }) : brokerSettings(options)
  const more = kind === 'bookie' ? wanted.bookieSet : wanted.brokerSet
  return [
    ...Object.entries({ metadataStoreUrl: metadataUrl, ...own }).map(([key, value]) => `${key}=${value}`),
    ...more
  ].flatMap(set => ['--set', set])
}

function bookieSettings(name: string, { port, secondPort, data }: { port: number; secondPort: number; data: string }) {
  return {
    journalDirectories: join(data, name, 'journal'),
    ledgerDirectories: join(data, name, 'ledgers'),
    bookiePort: port,
    httpServerPort: secondPort,
    // all of them are on one disk
    strataDiskReserveMB: 64
  }
}

/** As many copies as there are nodes, at most three. */
function brokerSettings({ port, secondPort, wanted }: { port: number; secondPort: number; wanted: Wanted }) {
  const copies = Math.min(3, wanted.bookies)
  return {
    clusterName: CLUSTER_NAME,
    brokerServicePort: port,
    webServicePort: secondPort,
    managedLedgerDefaultEnsembleSize: copies,
    managedLedgerDefaultWriteQuorum: copies,
    managedLedgerDefaultAckQuorum: Math.floor(copies / 2) + 1
  }
}

async function portsOf(
  names: readonly string[],
  { basePort, known }: { basePort: number | undefined; known: ReadonlyMap<string, readonly number[]> }
): Promise<Map<string, readonly [number, number]>> {
  if (basePort !== undefined) {
    if (basePort + names.length * 2 > 65_536)
      throw usageFailure(`--base-port ${basePort}: ${names.length * 2} ports do not fit`)
    return new Map(names.map((name, i) => [name, [basePort + i * 2, basePort + i * 2 + 1]]))
  }
  const missing = names.filter(name => known.get(name)?.length !== 2)
  const free = await freePorts(missing.length * 2)
  const found = new Map<string, readonly [number, number]>()
  for (const name of names) {
    const [first, second] = known.get(name) ?? []
    const isKnown = first !== undefined && second !== undefined
    found.set(name, isKnown ? [first, second] : [free.shift() ?? 0, free.shift() ?? 0])
  }
  return found
}

/** Ports that are free now, held together while they are chosen, so that all of them differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, HOST))
  try {
    await Promise.all(servers.map(server => once(server, 'listening')))
    return servers.map(server => (server.address() as AddressInfo).port)
  } catch (cause) {
    throw new CommandFailure('no free ports were to be had on the loopback', { cause })
  } finally {
    for (const server of servers) server.close()
  }
}
