// What can happen to a cluster, each kind in one place. Only one node is ever robbed of data that it had synced: that is Qa - 1.
import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '../support/random.ts'
import { LEASE_MS, type ChaosCluster, type ChaosNode } from './cluster.ts'
import { fillDisk, flipBytes, wipe } from './damage.ts'

const FLIPPED_BYTES = 64

export const FAULT_KINDS = [
  'kill -9',
  'kill -9 of two at once',
  'stopped for longer than the lease',
  'stopped for a moment',
  'etcd stopped',
  'network cut for longer than the lease',
  'network cut for a moment',
  'disk full',
  'bytes of the journal flipped',
  'bytes of entry logs and index flipped',
  'journal directory removed',
  'ledger directory removed',
  'volume wiped'
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export interface FaultLog {
  readonly counts: Map<FaultKind, number>
  /** Starts that a node refused after its files were damaged; it was then given an empty disk. */
  refusedStarts: number
  /** What no fault explains. */
  readonly violations: string[]
}

/** Does faults, as long as it is told to, and puts everything right when it has ended. */
export class Tormentor {
  readonly #cluster: ChaosCluster
  readonly #random: SeededRandom
  readonly #log: FaultLog
  /** The only one whose data are damaged. */
  readonly #victim: ChaosNode
  readonly #running = new Set<Promise<void>>()
  #isEtcdBusy = false
  /** Each kind once, in a random order, before any comes again by chance. */
  readonly #due: FaultKind[]

  constructor(options: { cluster: ChaosCluster; random: SeededRandom; log: FaultLog }) {
    this.#cluster = options.cluster
    this.#random = options.random
    this.#log = options.log
    this.#victim = options.cluster.nodes[0] as ChaosNode
    this.#due = [...FAULT_KINDS].sort(() => this.#random.next() - 0.5)
  }

  /** Kinds that this machine does not allow: a file system of its own takes a privilege. */
  get impossible(): FaultKind[] {
    const { nodes } = this.#cluster
    const cuts = FAULT_KINDS.filter(kind => kind.startsWith('network cut'))
    return [
      ...(nodes.some(({ isSmall }) => isSmall) ? [] : (['disk full'] as const)),
      ...(nodes.some(({ place }) => place !== undefined) ? [] : cuts)
    ]
  }

  /** Each kind that this machine allows has begun. */
  get hasDoneAll(): boolean {
    return this.#due.every(kind => this.impossible.includes(kind))
  }

  async run(signal: AbortSignal): Promise<void> {
    const isOver = (): boolean => signal.aborted
    while (!isOver()) {
      await delay(this.#random.between(300, 1_500), undefined, { signal }).catch(() => undefined)
      if (!isOver()) this.#begin()
    }
    await Promise.all(this.#running)
  }

  #begin(): void {
    const idle = this.#cluster.nodes.filter(({ isBusy }) => !isBusy)
    // Two at a time at most: more, and writers would only wait.
    if (this.#cluster.nodes.length - idle.length >= 2) return
    const kind = this.#due.find(it => this.#canBegin(it, idle)) ?? this.#random.pick(FAULT_KINDS)
    if (!this.#canBegin(kind, idle)) return
    if (this.#due.includes(kind)) this.#due.splice(this.#due.indexOf(kind), 1)
    this.#log.counts.set(kind, (this.#log.counts.get(kind) ?? 0) + 1)
    const task = this.#do(kind, idle).catch((error: unknown) => {
      this.#log.violations.push(`${kind}: ${String(error)}`)
    })
    this.#running.add(task)
    void task.then(() => this.#running.delete(task))
  }

  #canBegin(kind: FaultKind, idle: readonly ChaosNode[]): boolean {
    switch (kind) {
      case 'kill -9':
      case 'stopped for longer than the lease':
      case 'stopped for a moment':
        return idle.length > 0
      case 'kill -9 of two at once':
        return idle.length === this.#cluster.nodes.length
      case 'etcd stopped':
        return !this.#isEtcdBusy
      case 'network cut for longer than the lease':
      case 'network cut for a moment':
        return idle.some(({ place }) => place !== undefined)
      case 'disk full':
        return idle.some(({ isSmall }) => isSmall)
      default:
        return idle.includes(this.#victim)
    }
  }

  async #do(kind: FaultKind, idle: readonly ChaosNode[]): Promise<void> {
    const { journal, ledgers } = this.#victim.directories
    switch (kind) {
      case 'kill -9':
        return this.#restart(this.#random.pick(idle))
      case 'kill -9 of two at once': {
        const first = this.#random.pick(idle)
        const second = this.#random.pick(idle.filter(node => node !== first))
        await Promise.all([this.#restart(first), this.#restart(second)])
        return
      }
      case 'stopped for longer than the lease':
        return this.#pause(this.#random.pick(idle), LEASE_MS + this.#random.between(500, 3_000))
      case 'stopped for a moment':
        return this.#pause(this.#random.pick(idle), this.#random.between(50, 1_500))
      case 'etcd stopped':
        return this.#pauseEtcd()
      case 'network cut for longer than the lease':
        return this.#cut(this.#random.pick(idle), LEASE_MS + this.#random.between(500, 3_000))
      case 'network cut for a moment':
        return this.#cut(this.#random.pick(idle), this.#random.between(50, 1_500))
      case 'disk full':
        return this.#fill(idle.find(({ isSmall }) => isSmall) as ChaosNode)
      case 'bytes of the journal flipped':
        return this.#damage(() => flipBytes(journal, { random: this.#random, count: FLIPPED_BYTES }))
      case 'bytes of entry logs and index flipped':
        return this.#damage(() => flipBytes(ledgers, { random: this.#random, count: FLIPPED_BYTES }))
      case 'journal directory removed':
        return this.#damage(() => rm(journal, { recursive: true }))
      case 'ledger directory removed':
        return this.#damage(() => rm(ledgers, { recursive: true }))
      case 'volume wiped':
        return this.#damage(() => wipe(this.#victim))
    }
  }

  async #busy(node: ChaosNode, run: () => Promise<void>): Promise<void> {
    this.noteDeaths(node)
    node.isBusy = true
    try {
      await run()
    } finally {
      node.isBusy = false
    }
  }

  /** A process that nobody killed must run. */
  noteDeaths(node: ChaosNode): void {
    if (node.hasDied) this.#log.violations.push(`${node.name} ended by itself:\n${node.log.slice(-3_000)}`)
  }

  #restart(node: ChaosNode): Promise<void> {
    return this.#busy(node, async () => {
      await node.kill()
      await delay(this.#random.between(0, 2_500))
      await node.start()
    })
  }

  #pause(node: ChaosNode, durationMs: number): Promise<void> {
    return this.#busy(node, async () => {
      node.signal('SIGSTOP')
      await delay(durationMs)
      node.signal('SIGCONT')
    })
  }

  /** It goes on, and hears of nobody; nor does anybody of it. */
  #cut(node: ChaosNode, durationMs: number): Promise<void> {
    return this.#busy(node, async () => {
      await node.place?.cut()
      await delay(durationMs)
      await node.place?.heal()
    })
  }

  async #pauseEtcd(): Promise<void> {
    this.#isEtcdBusy = true
    this.#cluster.etcd.first.signal('SIGSTOP')
    await delay(this.#random.between(200, 2_500))
    this.#cluster.etcd.first.signal('SIGCONT')
    this.#isEtcdBusy = false
  }

  #fill(node: ChaosNode): Promise<void> {
    return this.#busy(node, async () => {
      const empty = await fillDisk(node)
      await delay(this.#random.between(1_000, 3_000))
      // A write that failed is never tried again as if nothing had happened: it takes a start.
      await node.kill()
      await empty()
      await node.start()
    })
  }

  #damage(run: () => Promise<unknown>): Promise<void> {
    return this.#busy(this.#victim, async () => {
      await this.#victim.kill()
      await run()
      try {
        await this.#victim.start()
      } catch {
        // It says that its files are not what it wrote; its operator gives it an empty disk.
        this.#log.refusedStarts += 1
        await wipe(this.#victim)
        await this.#victim.start()
      }
    })
  }
}
