import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBookie, type BookieOptions, type BookieProcess } from './bookie-process.ts'
import { NodeClient, type NodeClientOptions } from './node-client.ts'
import { startStrataCommand } from './strata-command.ts'

export interface NodeClusterOptions {
  /** host:port of each etcd. */
  readonly endpoints: readonly string[]
  /** Of the cluster's metadata; another one, another cluster. */
  readonly prefix: string
  /** Settings of every node. */
  readonly set?: BookieOptions['set']
}

/** Of each node. */
const TOLD_LINES = 60

export interface CommandEnd {
  readonly code: number | null
  /** Lines of standard output, which the command printed as JSON. */
  readonly records: readonly Record<string, unknown>[]
  readonly stderr: string
}

/** Storage nodes in processes of their own, by name, on disks that outlive these. */
export class NodeCluster {
  readonly root = mkdtempSync(join(tmpdir(), 'strata-nodes-'))
  readonly metadataUrl: string
  readonly running = new Map<string, BookieProcess>()
  readonly #options: NodeClusterOptions
  readonly #clients: NodeClient[] = []
  /** All that ever ran, in order. */
  readonly #started: { readonly name: string; readonly log: () => string }[] = []
  #clusterId: string | undefined

  constructor(options: NodeClusterOptions) {
    this.#options = options
    this.metadataUrl = `etcd:http://${options.endpoints.join(',')}${options.prefix}`
  }

  get clusterId(): string {
    return this.#clusterId ?? assert.fail('no node has run')
  }

  dataOf(name: string): string {
    return join(this.root, name)
  }

  /** The node of this name, on the disk that it had. Ready when this resolves. @throws Error with its log */
  async start(name: string, set: BookieOptions['set'] = {}): Promise<BookieProcess> {
    const { metadataUrl } = this
    const own = { bookieId: name, ...this.#options.set, ...set }
    const bookie = await startBookie({ data: this.dataOf(name), metadataUrl, set: own })
    this.running.set(name, bookie)
    this.#started.push({ name, log: bookie.log })
    this.#clusterId = bookie.clusterId
    return bookie
  }

  startAll(...names: string[]): Promise<BookieProcess[]> {
    return Promise.all(names.map(name => this.start(name)))
  }

  node(name: string): BookieProcess {
    return this.running.get(name) ?? assert.fail(`node ${name} does not run`)
  }

  /** Ctrl-C, and wait: its index has everything. */
  async stop(name: string): Promise<void> {
    const bookie = this.node(name)
    this.running.delete(name)
    await bookie.stop()
  }

  /** kill -9, and wait. */
  async kill(...names: string[]): Promise<void> {
    await Promise.all(
      names.map(async name => {
        const bookie = this.node(name)
        this.running.delete(name)
        await bookie.kill()
      })
    )
  }

  /** With its disk. */
  async destroy(name: string): Promise<void> {
    await this.kill(name)
    rmSync(this.dataOf(name), { recursive: true })
  }

  /** Closed with the cluster, if not before. */
  async openClient(options: Partial<NodeClientOptions> = {}): Promise<NodeClient> {
    const { endpoints, prefix } = this.#options
    const client = await NodeClient.open({ endpoints, prefix, clusterId: this.clusterId, ...options })
    this.#clients.push(client)
    return client
  }

  /** Runs `strata`, the line split at blanks, with the cluster's metadata. */
  async strata(line: string): Promise<CommandEnd> {
    const args = [...line.split(' '), '--json', '--metadata', this.metadataUrl]
    const { code, stdout, stderr } = await startStrataCommand(args).ended
    const lines = stdout.split('\n').slice(0, -1)
    return { code, stderr, records: lines.map(each => JSON.parse(each) as Record<string, unknown>) }
  }

  /** One request to a node's HTTP. */
  async ask(name: string, path: string, method = 'GET'): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.node(name).httpUrl}/api/v1/${path}`, { method })
    assert(answer.ok, `${path} of ${name}: ${answer.status}`)
    return (await answer.json()) as Record<string, unknown>
  }

  /** To standard error, when a test failed: what the nodes said is gone with them. */
  tell(): void {
    for (const { name, log } of this.#started) {
      const lines = log().trim().split('\n').slice(-TOLD_LINES)
      process.stderr.write(`node ${name}${this.running.has(name) ? '' : ', ended'}\n${lines.join('\n')}\n`)
    }
  }

  /** Ends everything, and removes the disks. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.close()
    await this.kill(...this.running.keys())
    rmSync(this.root, { recursive: true, force: true })
  }
}
