// etcd as a peer: one member or several, that tests kill, start again, fill up and lock.
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts, peerDirectory, startPeer, waitReady, type PeerProcess } from './process.ts'

const READY_TIMEOUT_MS = 300_000 // the first start builds or fetches the server

export interface EtcdOptions {
  /** The folder of the `etcd` script. */
  readonly scripts: string
  readonly members?: number
  /** Further arguments of every member. Without white space. */
  readonly arguments?: readonly string[]
  /** Paths of PEM files: the server's certificate and key, and who signed those of clients. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa: string }
}

/** Nothing of a test's data is worth a sync. */
const ARGUMENTS = ['--unsafe-no-fsync', '--auth-token-ttl=2', '--bcrypt-cost=4']

export class EtcdMember {
  /** host:port for clients. */
  readonly endpoint: string
  /** Where its data is. */
  readonly directory: string
  readonly #scripts: string
  readonly #ports: { readonly client: number; readonly peer: number }
  readonly #arguments: readonly string[]
  #process: PeerProcess | undefined

  constructor(options: {
    scripts: string
    directory: string
    ports: { client: number; peer: number }
    arguments: readonly string[]
  }) {
    this.#scripts = options.scripts
    this.directory = options.directory
    this.#ports = options.ports
    this.#arguments = options.arguments
    this.endpoint = `127.0.0.1:${options.ports.client}`
  }

  /** Of the process, or the script that runs it; undefined: it does not run. */
  get pid(): number | undefined {
    return this.#process?.child.pid
  }

  /** Starts it on the data that it has. Returns when it listens and has a leader. */
  async start(): Promise<void> {
    const { client, peer } = this.#ports
    const script = join(this.#scripts, 'etcd')
    const environment = { STRATA_ETCD_ARGS: this.#arguments.join(' ') }
    // its data outlives the process, and so the directory that is removed with it
    const directory = await peerDirectory('etcd-log')
    const process = await startPeer([script, 'run', this.directory, `${client}`, `${peer}`], {
      directory,
      environment
    })
    this.#process = process
    await waitReady(process, () => this.#isHealthy(), { timeoutMs: READY_TIMEOUT_MS })
  }

  /** Ends it without a farewell (SIGKILL), and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    const child = this.#process?.child
    if (child?.exitCode === null && child.signalCode === null) await once(child, 'exit')
    await this.stop()
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.#process?.child.pid
    if (pid !== undefined) process.kill(-pid, signal)
  }

  async stop(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    await running?.stop()
  }

  /** One call of etcd's HTTP gateway. */
  async post<Answer>(path: string, body: object, token = ''): Promise<Answer> {
    const headers = token === '' ? {} : { authorization: token }
    const options = { method: 'POST', body: JSON.stringify(body), headers, signal: AbortSignal.timeout(20_000) }
    const response = await fetch(`http://${this.endpoint}/v3/${path}`, options)
    const text = await response.text()
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`)
    return JSON.parse(text) as Answer
  }

  /** Behind TLS there is no health check that needs no certificate: that it listens must do. */
  async #isHealthy(): Promise<boolean> {
    if (this.#arguments.some(argument => argument.startsWith('--cert-file'))) {
      const log = (await this.#process?.log()) ?? ''
      return log.includes('serving client traffic')
    }
    return (await fetch(`http://${this.endpoint}/health`, { signal: AbortSignal.timeout(2_000) })).ok
  }
}

export class EtcdPeers {
  readonly members: readonly EtcdMember[]
  readonly #directories: readonly string[]

  constructor(members: readonly EtcdMember[], directories: readonly string[]) {
    this.members = members
    this.#directories = directories
  }

  get endpoints(): string[] {
    return this.members.map(({ endpoint }) => endpoint)
  }

  /** The first member. */
  get first(): EtcdMember {
    const [first] = this.members
    if (first === undefined) throw new Error('no member')
    return first
  }

  async leader(): Promise<EtcdMember> {
    for (const member of this.members) {
      const { leader, header } = await member.post<{ leader: string; header: { member_id: string } }>(
        'maintenance/status',
        {}
      )
      if (leader === header.member_id) return member
    }
    throw new Error('no leader')
  }

  async stop(): Promise<void> {
    // what it would tidy up and hand over is gone with its directory
    await Promise.all(this.members.map(member => member.kill()))
    for (const directory of this.#directories) await rm(directory, { recursive: true, force: true })
  }
}

/** Starts a cluster on ports and in directories of its own. */
export async function startEtcd(options: EtcdOptions): Promise<EtcdPeers> {
  const count = options.members ?? 1
  const ports = await freePorts(count * 2)
  const directories: string[] = []
  const peerUrls = ports.slice(count).map((port, i) => `member${i}=http://127.0.0.1:${port}`)
  const members: EtcdMember[] = []
  for (let i = 0; i < count; i++) {
    const directory = await peerDirectory('etcd')
    directories.push(directory)
    const own = [
      ...ARGUMENTS,
      `--name=member${i}`,
      `--initial-cluster=${peerUrls.join()}`,
      ...(options.arguments ?? [])
    ]
    const { tls, scripts } = options
    const client = ports[i] ?? 0
    if (tls !== undefined) {
      own.push(`--cert-file=${tls.cert}`, `--key-file=${tls.key}`)
      own.push('--client-cert-auth', `--trusted-ca-file=${tls.clientCa}`)
      own.push(
        `--listen-client-urls=https://127.0.0.1:${client}`,
        `--advertise-client-urls=https://127.0.0.1:${client}`
      )
      own.push('--log-level=info')
    }
    members.push(
      new EtcdMember({
        scripts,
        directory: join(directory, 'data'),
        ports: { client, peer: ports[count + i] ?? 0 },
        arguments: own
      })
    )
  }
  const peers = new EtcdPeers(members, directories)
  try {
    await Promise.all(members.map(member => member.start()))
    return peers
  } catch (error) {
    await peers.stop()
    throw error
  }
}
