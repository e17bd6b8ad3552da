import { CodedError, silentLogger, type BookieId } from '@strata/base'
import {
  ClusterOwnership,
  hashOf,
  parseBundlePath,
  type BrokerAddress,
  type BundleName,
  type PeerAnswer,
  type PeerDoor,
  type PeerListener,
  type Placement,
  type TopicName
} from '@strata/broker/testing'
import { createLedgerClient } from '@strata/ledger-client'
import { createManagedLedgerFactory, type ManagedLedgerFactory } from '@strata/managed-ledger'
import {
  RemoteNode,
  type Random,
  type Scheduler,
  type SimMetadata,
  type SimNetwork,
  type SimProcess
} from '@strata/sim'
import { BrokerStore } from './broker-store.ts'
import type { Calls } from './call.ts'
import type { History } from './history.ts'
import { SimTopics } from './sim-topics.ts'
import { StorageCare } from './storage-care.ts'
import type { StoreView } from './store-view.ts'

/** The world, as those who live in it see it. */
export interface Cluster {
  readonly scheduler: Scheduler
  readonly random: Random
  readonly history: History
  readonly network: SimNetwork
  readonly metadata: SimMetadata
  readonly calls: Calls
  readonly view: StoreView
  readonly bookies: readonly BookieId[]
  readonly topics: readonly TopicName[]
  /** The metadata store is slow, or loses something. */
  readonly isStoreTroubled: boolean
  readonly brokers: readonly SimBroker[]
  later(delayMs: number, run: () => void): void
  onKilled(killed: SimBroker): void
  onWatch(watcher: SimBroker, watched: { peer: string; listener: PeerListener }): void
  /** Once. */
  atNextOpening(run: (opening: SimBroker) => void): void
  onOpening(opening: SimBroker): void
  administer(what: 'unload' | 'split' | 'merge', topic: number, to?: string): void
}

export const LEASE_MS = 5_000
const STORAGE_TIMEOUT_MS = 150
const QUORUM = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
const ASK_TIMEOUT_MS = 1_000
const NOTICE_MS = 30
/** How long a broker may go on after its lease ended, until it has heard from its peers. */
const GRACE_MS = 3_000

/** One broker, start after start: the real ownership and the real logs of one process. */
export class SimBroker implements PeerDoor {
  readonly name: string
  readonly #world: Cluster
  #process: SimProcess
  #store: BrokerStore | undefined
  #ownership: ClusterOwnership | undefined
  #topics: SimTopics | undefined
  #care: StorageCare | undefined
  #isWanted = false
  #registrations = 0
  #asked = 0
  /** Questions that are not answered, and since when. */
  readonly #questions = new Map<number, number>()
  readonly #listeners = new Map<PeerListener, { readonly watcher: SimProcess; readonly peer: string }>()
  /** When it was last seen without the store, not running, or just started. */
  #unwellMs = 0
  readonly #foreignSinceMs = new Map<string, number>()
  /** When it was last seen with a lease, or not running. */
  #leasedMs = 0

  constructor(world: Cluster, name: string) {
    this.#world = world
    this.name = name
    this.#process = world.scheduler.createProcess(name)
  }

  get process(): SimProcess {
    return this.#process
  }

  get store(): BrokerStore | undefined {
    return this.#store
  }

  get ownership(): ClusterOwnership | undefined {
    return this.#ownership
  }

  get care(): StorageCare | undefined {
    return this.#care
  }

  get isUp(): boolean {
    return !this.#process.isDead && this.#topics?.ownership !== undefined
  }

  /** Questions that are held longer than they may be. */
  get overdue(): number {
    return [...this.#questions.values()].filter(sinceMs => this.#world.scheduler.nowMs - sinceMs > 22_000).length
  }

  /** It runs and reaches the store, and did so for a while. */
  get isWell(): boolean {
    const { scheduler } = this.#world
    return (
      this.isUp &&
      !this.#process.isPaused &&
      this.#store?.isCut === false &&
      scheduler.nowMs - this.#unwellMs > GRACE_MS
    )
  }

  /** How it is now; asked now and then. */
  observe(): void {
    const { nowMs } = this.#world.scheduler
    const isRunning = this.isUp && !this.#process.isPaused
    if (!isRunning || this.#store?.isCut !== false) this.#unwellMs = nowMs
    if (!isRunning || this.#store?.hasLease !== false) this.#leasedMs = nowMs
    this.#checkTopics()
    this.#care?.observe()
  }

  /** No topic stays open here for long whose bundle is another's. */
  #checkTopics(): void {
    const { view, history, scheduler } = this.#world
    const isElsewhere = (name: TopicName): boolean => (view.ownerOfHash(hashOf(name)) ?? this.name) !== this.name
    const foreign = this.isWell ? (this.#topics?.open() ?? []).filter(isElsewhere).map(String) : []
    for (const name of this.#foreignSinceMs.keys()) if (!foreign.includes(name)) this.#foreignSinceMs.delete(name)
    for (const name of foreign) {
      const sinceMs = this.#foreignSinceMs.get(name) ?? scheduler.nowMs
      this.#foreignSinceMs.set(name, sinceMs)
      if (scheduler.nowMs - sinceMs > GRACE_MS) history.violate('single', `${this.name} keeps ${name} open`)
    }
  }

  start(): void {
    this.#isWanted = true
    if (this.#store !== undefined && !this.#process.isDead) return
    const { scheduler, history } = this.#world
    if (this.#process.isDead) this.#process = scheduler.createProcess(this.name)
    this.#care = undefined
    history.tell(this.name, 'starts')
    this.observe()
    this.#process.post(0, () => void this.#boot())
    for (const [listener, { watcher, peer }] of this.#listeners) {
      if (peer === this.name) watcher.post(NOTICE_MS, () => listener.onUp())
    }
  }

  kill(): void {
    const { history, calls } = this.#world
    this.#isWanted = false
    if (this.#process.isDead) return
    history.tell(this.name, 'is killed')
    this.#process.kill()
    this.#store = undefined
    this.#topics = undefined
    this.#questions.clear()
    calls.onKilled(this.#process)
    this.#world.onKilled(this)
  }

  /** In order: what it holds goes to others first. */
  shutDown(): void {
    const ownership = this.#ownership
    if (!this.isUp || ownership === undefined) return
    const process = this.#process
    this.#world.history.tell(this.name, 'shuts down')
    process.post(0, () => {
      void ownership
        .drain()
        .then(() => ownership.close())
        .then(() => {
          if (process === this.#process) this.kill()
        })
        .catch((error: unknown) => this.#world.scheduler.fail(error))
    })
  }

  // what clients ask

  async lookup(name: TopicName): Promise<Placement> {
    if (this.#ownership === undefined) throw new CodedError('REFUSED', { retryable: true, summary: 'it starts' }, {})
    const id = this.#asked++
    this.#questions.set(id, this.#world.scheduler.nowMs)
    try {
      return await this.#ownership.locate(await this.#ownership.bundleOf(name))
    } finally {
      this.#questions.delete(id)
    }
  }

  get topics(): SimTopics {
    if (this.#topics === undefined) throw new CodedError('REFUSED', { retryable: true, summary: 'it starts' }, {})
    return this.#topics
  }

  /** It looked for something to hand to a consumer: might it? */
  checkDispatch(): void {
    const { history, brokers, scheduler } = this.#world
    if (this.#store?.hasLease !== false || scheduler.nowMs - this.#leasedMs < GRACE_MS) return
    const witness = brokers.find(other => other !== this && other.isWell)
    if (witness === undefined) return
    history.violate('suspended', `${this.name} dispatches without a lease, and ${witness.name} reaches the store`)
  }

  /** It gave the bundle to another broker: its topics are closed by then. */
  checkGiven(path: string): void {
    const bundle = parseBundlePath(path)
    const open = bundle === undefined ? [] : (this.#topics?.loaded(bundle) ?? [])
    if (open.length > 0)
      this.#world.history.violate('single', `${this.name} gives ${path} with ${String(open[0])} open`)
  }

  // what it sees of peers

  watch(peer: BrokerAddress, listener: PeerListener): () => void {
    this.#world.onWatch(this, { peer: peer.id, listener })
    const watcher = this.#process
    this.#listeners.set(listener, { watcher, peer: peer.id })
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Of this broker's listeners: those that watch `peer`. */
  listenersTo(peer: string): PeerListener[] {
    return [...this.#listeners]
      .filter(([, watched]) => watched.peer === peer && watched.watcher === this.#process)
      .map(([listener]) => listener)
  }

  ask(peer: BrokerAddress): Promise<PeerAnswer> {
    return this.#ask(peer.id, target => target.#ownership?.reachesStore())
  }

  async #ask(peer: string, run: (target: SimBroker) => Promise<boolean> | undefined): Promise<PeerAnswer> {
    const target = this.#world.brokers.find(({ name }) => name === peer)
    if (target === undefined || target.#process.isDead) return 'silent'
    try {
      const reaches = await this.#world.calls.call(this.#process, target, {
        timeoutMs: ASK_TIMEOUT_MS,
        run: () => run(target) ?? Promise.resolve(false)
      })
      return reaches ? 'reaches' : 'lost'
    } catch {
      return 'silent'
    }
  }

  async #boot(): Promise<void> {
    const { scheduler, metadata, view, history } = this.#world
    const process = this.#process
    const store = new BrokerStore({ scheduler, process, metadata, view, name: this.name })
    this.#store = store
    this.#listeners.clear()
    const nodes = this.#nodes(process)
    const factory = this.#factory({ metadata: store, process, nodes })
    const topics = new SimTopics({
      name: this.name,
      history,
      factory,
      onDrop: bundle => this.#checkDrop(bundle),
      onOpening: () => this.#world.onOpening(this)
    })
    this.#topics = topics
    const ownership = new ClusterOwnership({
      ...{ metadata: store, clock: process, logger: silentLogger, leaseMs: LEASE_MS, peers: this },
      newInstance: () => {
        const instance = `${this.name}.${++this.#registrations}`
        view.onInstance(instance, this.name)
        return instance
      }
    })
    this.#ownership = ownership
    try {
      await ownership.start({ self: this.#address(), topics })
      topics.ownership = ownership
      this.#care = new StorageCare({
        ...{ world: this.#world, broker: this, process, nodes, ackQuorum: QUORUM.ackQuorum, ownership },
        counts: () => topics.storage,
        ask: peer => this.#ask(peer, target => target.#care?.reaches())
      })
    } catch (error) {
      if (!(error instanceof CodedError)) scheduler.fail(error)
      history.tell(this.name, () => `cannot start: ${String(error)}`)
      void ownership.close().catch(() => undefined)
      this.kill()
      this.#world.later(200, () => this.start())
    }
  }

  /** O5 */
  #checkDrop(bundle: BundleName): void {
    const { view, history } = this.#world
    const instance = this.#ownership?.self.instance ?? ''
    if (this.#care?.isGivingUp === true) return
    if (!view.isRegistered(instance) || view.instanceThatOwns(String(bundle)) !== instance) return
    history.violate('undisturbed', `${this.name} drops ${String(bundle)}, is registered, and has it`)
  }

  #address(): BrokerAddress {
    const urls = {
      brokerUrl: `pulsar://${this.name}`,
      brokerUrlTls: undefined,
      httpUrl: undefined,
      httpUrlTls: undefined
    }
    const described = { id: this.name, instance: '', version: '1', startedAtMs: this.#process.wallMs() }
    return { ...described, urls, listeners: new Map(), isDraining: false }
  }

  #nodes(process: SimProcess): ReadonlyMap<BookieId, RemoteNode> {
    const { network, bookies } = this.#world
    const options = { process, timeoutMs: STORAGE_TIMEOUT_MS }
    return new Map(bookies.map(bookieId => [bookieId, new RemoteNode(network, { ...options, bookieId })]))
  }

  #factory(parts: {
    metadata: BrokerStore
    process: SimProcess
    nodes: ReadonlyMap<BookieId, RemoteNode>
  }): ManagedLedgerFactory {
    const { metadata, process, nodes } = parts
    const { bookies, random } = this.#world
    const ledgers = createLedgerClient({
      metadata,
      directory: {
        writable: () => bookies.map(bookieId => ({ bookieId })),
        node: (id: BookieId) => nodes.get(id),
        onChange: () => () => undefined
      },
      quorum: QUORUM,
      clock: process,
      logger: silentLogger,
      random: random.fork(`ledgers of ${process.name}`).next
    })
    return createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 1024 * 1024, clock: process })
  }
}
