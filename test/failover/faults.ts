// What can happen to a cluster of brokers, each kind in one place. At most one broker, one storage node and one member of the
// metadata store are in trouble at a time: the cluster is made to bear that.
import { setTimeout as delay } from 'node:timers/promises'
import type { FaultyProxy } from '../etcd/faulty-proxy.ts'
import type { SeededRandom } from '../support/random.ts'
import { LEASE_MS, type BrokerPlace, type FailoverCluster } from './cluster.ts'

export const FAULT_KINDS = [
  'broker: kill -9',
  'broker: stopped for longer than its lease',
  'broker: stopped for a moment',
  'broker: shut down',
  'broker: cut off from the metadata store',
  'broker: cut off from storage nodes',
  'bookie: kill -9',
  'bookie: stopped for a moment',
  'etcd member: kill -9',
  'etcd member: stopped for a moment',
  'clock: stepped',
  'bundle unloaded',
  'bundle split'
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]
type Place = 'broker' | 'bookie' | 'etcd' | 'clock' | 'bundle'

const SPLITS_MAX = 4
const HOUR_MS = 3_600_000
/** How many times more often. */
const OFTEN = 5
const NAMESPACE = 'namespaces/public/default'

export class Tormentor {
  readonly counts = new Map<FaultKind, number>()
  /** What no fault explains. */
  readonly violations: string[] = []
  /** Admin requests that failed because of another fault. */
  refusals = 0
  readonly #cluster: FailoverCluster
  readonly #random: SeededRandom
  readonly #busy = new Set<Place>()
  readonly #running = new Set<Promise<void>>()
  /** Each kind once, in a random order, before any comes again by chance. */
  readonly #due: FaultKind[]
  /** From which chance takes: a kind that is there more often comes more often. */
  readonly #kinds: readonly FaultKind[]

  constructor(options: { cluster: FailoverCluster; random: SeededRandom; often?: readonly FaultKind[] }) {
    this.#cluster = options.cluster
    this.#random = options.random
    const often = options.often ?? []
    this.#kinds = [...FAULT_KINDS, ...Array.from({ length: OFTEN }, () => often).flat()]
    this.#due = [...FAULT_KINDS].sort(() => this.#random.next() - 0.5)
  }

  /** Until the signal, and until each kind has come, which takes longer on a slow machine. Everything is put right when it resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const isOver = (): boolean => signal.aborted
    while (!isOver() || this.#due.length > 0) {
      const pauseMs = this.#random.between(500, 3_000)
      await delay(pauseMs, undefined, isOver() ? {} : { signal }).catch(() => undefined)
      this.#begin(isOver() ? this.#due : this.#kinds)
    }
    await Promise.all(this.#running)
    for (const broker of this.#cluster.brokers) this.#noteDeath(broker)
  }

  #begin(kinds: readonly FaultKind[]): void {
    if (kinds.length === 0) return
    const isFree = (kind: FaultKind): boolean => !this.#busy.has(placeOf(kind))
    const kind = this.#due.find(isFree) ?? this.#random.pick(kinds)
    if (!isFree(kind)) return
    const at = this.#due.indexOf(kind)
    if (at >= 0) this.#due.splice(at, 1)
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    const place = placeOf(kind)
    this.#busy.add(place)
    const task = this.#do(kind)
      .catch((error: unknown) => {
        this.violations.push(`${kind}: ${String(error)}`)
      })
      .finally(() => {
        this.#busy.delete(place)
        this.#running.delete(task)
      })
    this.#running.add(task)
  }

  #do(kind: FaultKind): Promise<void> {
    const broker = this.#random.pick(this.#cluster.brokers)
    switch (kind) {
      case 'broker: kill -9':
        return this.#withBroker(broker, () => broker.kill())
      case 'broker: shut down':
        return this.#withBroker(broker, () => this.#shutDown(broker))
      case 'broker: stopped for longer than its lease':
        return this.#pause(broker, LEASE_MS + this.#random.between(1_000, 4_000))
      case 'broker: stopped for a moment':
        return this.#pause(broker, this.#random.between(100, 2_000))
      case 'broker: cut off from the metadata store':
        return this.#cutOff(broker, broker.proxies)
      case 'broker: cut off from storage nodes':
        return this.#cutOffStorage(broker)
      case 'bookie: kill -9':
        return this.#killBookie()
      case 'bookie: stopped for a moment':
        return this.#pauseBookie()
      case 'etcd member: kill -9':
        return this.#killMember()
      case 'etcd member: stopped for a moment':
        return this.#pauseMember()
      case 'clock: stepped':
        return this.#stepClock()
      case 'bundle unloaded':
        return this.#admin(bundle => `${NAMESPACE}/${bundle}/unload`)
      case 'bundle split':
        return this.#admin(bundle => `${NAMESPACE}/${bundle}/split?unload=true`, SPLITS_MAX)
    }
  }

  async #withBroker(broker: BrokerPlace, end: () => Promise<void>): Promise<void> {
    this.#noteDeath(broker)
    broker.isBusy = true
    try {
      await end()
      await delay(this.#random.between(0, 4_000))
      await broker.start()
    } finally {
      broker.isBusy = false
    }
  }

  async #shutDown(broker: BrokerPlace): Promise<void> {
    const { process } = broker
    const code = await broker.stop()
    if (code !== 0)
      this.violations.push(`${broker.name} ended with ${code} when it was shut down:\n${process.log().slice(-3_000)}`)
  }

  async #pause(broker: BrokerPlace, forMs: number): Promise<void> {
    this.#noteDeath(broker)
    broker.isBusy = true
    broker.process.signal('SIGSTOP')
    await delay(forMs)
    broker.process.signal('SIGCONT')
    broker.isBusy = false
  }

  /** Its connections stand, and nothing comes through, in either direction. */
  async #cutOff(broker: BrokerPlace, proxies: readonly FaultyProxy[]): Promise<void> {
    this.#noteDeath(broker)
    broker.isBusy = true
    for (const proxy of proxies) proxy.silence()
    await delay(LEASE_MS + this.#random.between(1_000, 6_000))
    for (const proxy of proxies) proxy.heal()
    broker.isBusy = false
  }

  /** From all of them as often as from some. It keeps its lease all the while. */
  async #cutOffStorage(broker: BrokerPlace): Promise<void> {
    const count = this.#random.next() < 0.5 ? broker.storage.length : this.#random.between(1, broker.storage.length - 1)
    const first = this.#random.between(0, broker.storage.length - 1)
    const cut = broker.storage.filter((_, i) => (i - first + broker.storage.length) % broker.storage.length < count)
    const ways = this.#cluster.brokers.flatMap(({ storage }) => storage)
    if (ways.every(({ connectionCount }) => connectionCount === 0))
      this.violations.push('brokers reach the storage nodes by other ways than those that are cut')
    await this.#cutOff(broker, cut)
  }

  /** Of a broker's or a storage node's machine; it goes on from there, until it steps again. */
  async #stepClock(): Promise<void> {
    this.#random.pick(this.#cluster.worlds).setClock(this.#random.between(-HOUR_MS, HOUR_MS))
    await delay(this.#random.between(0, 2_000))
  }

  async #killBookie(): Promise<void> {
    const index = this.#random.between(0, this.#cluster.bookies.running.length - 1)
    await this.#cluster.bookies.kill(index)
    await delay(this.#random.between(0, 4_000))
    await this.#cluster.bookies.start(index)
  }

  async #pauseBookie(): Promise<void> {
    const bookie = this.#cluster.bookies.at(this.#random.between(0, this.#cluster.bookies.running.length - 1))
    bookie.signal('SIGSTOP')
    await delay(this.#random.between(100, 8_000))
    bookie.signal('SIGCONT')
  }

  async #killMember(): Promise<void> {
    const member = this.#random.pick(this.#cluster.etcd.members)
    await member.kill()
    await delay(this.#random.between(0, 4_000))
    await member.start()
  }

  async #pauseMember(): Promise<void> {
    const member = this.#random.pick(this.#cluster.etcd.members)
    member.signal('SIGSTOP')
    await delay(this.#random.between(100, 5_000))
    member.signal('SIGCONT')
  }

  /** Of a bundle by chance. It may well fail: whoever owns the bundle may be in trouble. */
  async #admin(pathOf: (bundle: string) => string, timesMax = Infinity): Promise<void> {
    if ((this.counts.get('bundle split') ?? 0) > timesMax) return
    try {
      const { boundaries } = (await this.#cluster.admin('GET', `${NAMESPACE}/bundles`)) as { boundaries: string[] }
      const index = this.#random.between(0, boundaries.length - 2)
      await this.#cluster.admin('PUT', pathOf(`${boundaries[index]}_${boundaries[index + 1]}`))
    } catch {
      this.refusals++
    }
  }

  /** A process that nobody ended must run. */
  #noteDeath(broker: BrokerPlace): void {
    if (broker.hasDied) this.violations.push(`${broker.name} ended by itself:\n${broker.log.slice(-3_000)}`)
  }
}

function placeOf(kind: FaultKind): Place {
  if (kind.startsWith('broker')) return 'broker'
  if (kind.startsWith('bookie')) return 'bookie'
  if (kind.startsWith('clock')) return 'clock'
  return kind.startsWith('etcd') ? 'etcd' : 'bundle'
}
