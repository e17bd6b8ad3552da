import { bookieId, CodedError, silentLogger, type BookieId } from '@strata/base'
import {
  bundleOfHash,
  bundlesBetween,
  encodeRow,
  evenBoundaries,
  hashOf,
  keys,
  NamespaceRowSchema,
  TopicName,
  type BundleName,
  type ClusterOwnership,
  type PeerListener
} from '@strata/broker/testing'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory, type ManagedLedgerFactory } from '@strata/managed-ledger'
import { encodeSegment } from '@strata/metadata'
import { Random, Scheduler, SimMetadata, SimNetwork, type SimProcess } from '@strata/sim'
import { Calls } from './call.ts'
import { Consumer, Publisher } from './clients.ts'
import { inject } from './faults.ts'
import { History } from './history.ts'
import type { Plan } from './plan.ts'
import { SimBroker, type Cluster } from './sim-broker.ts'
import { StoreView } from './store-view.ts'

const NAMESPACE = 'public/default'
const OBSERVE_MS = 100
const NOTICE_MS_MAX = 30
const QUICK_MS = 1_500
/** How long a bundle may take to come to the one that asked for it. */
const MOVE_MS = 12_000

/** Brokers, clients, storage nodes and a metadata store. Everything in it follows from the plan. */
export class World implements Cluster {
  readonly plan: Plan
  readonly scheduler = new Scheduler()
  readonly random: Random
  readonly history: History
  readonly network: SimNetwork
  readonly metadata: SimMetadata
  readonly calls: Calls
  readonly view: StoreView
  readonly topics: readonly TopicName[]
  readonly brokers: readonly SimBroker[]
  readonly clients: readonly (Publisher | Consumer)[]
  readonly bookies: readonly BookieId[] = [0, 1, 2].map(index => bookieId(`bookie-${index}`))
  readonly #nodes: readonly MemoryBookieNode[]
  isHealed = false
  #isJudging = false
  #onOpening: ((opening: SimBroker) => void) | undefined
  /** When the metadata store was last seen in trouble. */
  #troubledMs = 0

  constructor(plan: Plan, options: { isTold: boolean }) {
    this.plan = plan
    this.random = Random.ofSeed(plan.seed).fork('world')
    this.history = new History(this.scheduler, options.isTold)
    this.network = new SimNetwork(this.scheduler, this.random.fork('network'))
    this.metadata = new SimMetadata(this.scheduler, this.random.fork('metadata'))
    this.calls = new Calls(this.scheduler, this.random.fork('calls'))
    this.topics = topicsOf(plan.bundles)
    const hashes = new Map(this.topics.map(topic => [encodeSegment(topic.storageName), hashOf(topic)]))
    this.view = new StoreView(this.history, {
      hashOfLog: log => hashes.get(log) ?? -1,
      onGiven: (by, bundle) => this.brokers.find(({ name }) => name === by)?.checkGiven(bundle)
    })
    this.#nodes = this.bookies.map(id => new MemoryBookieNode(id, this.scheduler.createProcess(id)))
    this.brokers = Array.from({ length: plan.brokers }, (_, i) => new SimBroker(this, `broker-${i}`))
    this.clients = this.topics.flatMap((topic, i) => [
      new Publisher(this, `publisher-${i}`, topic),
      new Consumer(this, `consumer-${i}`, topic)
    ])
  }

  /** Something of the world itself, which no process has to be alive for. */
  later(delayMs: number, run: () => void): void {
    this.scheduler.post(undefined, delayMs, run)
  }

  get isStoreTroubled(): boolean {
    const { lost, ambiguous, late, isDown, slowness } = this.metadata.trouble
    return lost + ambiguous + late > 0 || isDown || slowness > 1
  }

  async start(): Promise<void> {
    const { store } = this.metadata
    await this.view.follow(store)
    const value = encodeRow(NamespaceRowSchema, { bundleCount: this.plan.bundles })
    await store.transact({ compares: [], changes: [{ kind: 'put', key: keys.namespace(NAMESPACE), value }] })
    for (const node of this.#nodes)
      this.network.listen(node.bookieId, this.scheduler.createProcess(node.bookieId), node)
    for (const broker of this.brokers) broker.start()
    for (const client of this.clients) client.start()
    for (const { atMs, ...fault } of this.plan.faults) {
      this.later(atMs, () => {
        if (this.isHealed) return
        this.history.tell('world', () => `fault: ${JSON.stringify(fault)}`)
        inject(this, fault)
      })
    }
    const observe = (): void => {
      if (this.isStoreTroubled) this.#troubledMs = this.scheduler.nowMs
      for (const broker of this.brokers) broker.observe()
      this.later(OBSERVE_MS, observe)
    }
    observe()
    this.later(this.plan.activeMs, () => this.#heal())
  }

  /** Its peers notice at once: their connections break, and its port refuses. */
  onKilled(killed: SimBroker): void {
    if (!this.#isJudging) this.#expectDeclared(killed)
    for (const broker of this.brokers) {
      for (const listener of broker.listenersTo(killed.name)) {
        broker.process.post(this.random.between(1, NOTICE_MS_MAX), () => {
          if (!killed.isUp) listener.onDown()
        })
      }
    }
  }

  /** It is declared dead soon, if enough others can tell. */
  #expectDeclared(killed: SimBroker): void {
    const { view, scheduler } = this
    const doomed = view.registrationsOf(killed.name)
    const words = view.registeredCount >= 3 ? 2 : 1
    const sinceMs = scheduler.nowMs
    this.later(QUICK_MS, () => {
      const still = doomed.filter(instance => view.isRegistered(instance))
      const witnesses = this.brokers.filter(broker => broker !== killed && broker.isWell)
      if (still.length === 0 || killed.isUp || witnesses.length < words || this.#troubledMs > sinceMs - 1_000) return
      this.history.violate('quick', `${still.join()} is dead, and was not declared so`)
    })
  }

  /** A new connection to a peer that is not there is refused. */
  onWatch(watcher: SimBroker, { peer, listener }: { peer: string; listener: PeerListener }): void {
    watcher.process.post(NOTICE_MS_MAX, () => {
      const watched = this.brokers.find(({ name }) => name === peer)
      if (watched?.process.isDead === true) listener.onDown()
    })
  }

  atNextOpening(run: (opening: SimBroker) => void): void {
    this.#onOpening = run
  }

  onOpening(opening: SimBroker): void {
    const run = this.isHealed ? undefined : this.#onOpening
    this.#onOpening = undefined
    run?.(opening)
  }

  /** As an operator does, at whoever has the bundle. */
  administer(what: 'unload' | 'split' | 'merge', topic: number, to?: string): void {
    const name = this.topics[topic]
    if (name === undefined) return
    for (const { ownership, process, isUp } of this.brokers) {
      if (ownership === undefined || !isUp) continue
      process.post(1, () => {
        const run = async (): Promise<void> => {
          const bundle = await ownership.bundleOf(name)
          if (ownership.holdOf(bundle) === undefined) return
          if (what === 'unload') await ownership.unload(bundle, to === undefined ? {} : { to })
          else if (what === 'merge') await this.#merge({ ownership, process, topic }, bundle)
          else await ownership.split(bundle, [Math.floor((bundle.start + bundle.end) / 2)], { unload: topic % 2 === 0 })
        }
        run().catch((error: unknown) => {
          if (!(error instanceof CodedError)) this.scheduler.fail(error)
        })
      })
    }
  }

  /** With its neighbour, as the request for it does: the other half comes here first. Another one is split at the same time. */
  async #merge(
    at: { ownership: ClusterOwnership; process: SimProcess; topic: number },
    bundle: BundleName
  ): Promise<void> {
    const { ownership, process, topic } = at
    const all = await ownership.bundlesOf(NAMESPACE)
    const index = all.findIndex(({ range }) => range === bundle.range)
    const [left, right] = index === all.length - 1 ? [all[index - 1], bundle] : [bundle, all[index + 1]]
    if (index === -1 || left === undefined || right === undefined) return
    const other = left === bundle ? right : left
    const placement = await ownership.locate(other, { take: true })
    if (placement.kind === 'there') {
      const owner = this.brokers.find(({ name }) => name === placement.broker.id)
      const run = async (): Promise<void> => await owner?.ownership?.unload(other, { to: ownership.self.id })
      if (owner !== undefined) await this.calls.call(process, owner, { timeoutMs: MOVE_MS, run })
      await ownership.locate(other, { take: true })
    }
    this.administer('split', topic + 2)
    await new Promise<void>(resolve => void process.post(1, resolve))
    await ownership.merge(left, right)
    this.history.counts.merges++
  }

  /** Ends every broker. Reads logs with nothing in its way. */
  judge(): ManagedLedgerFactory {
    this.#isJudging = true
    for (const broker of this.brokers) broker.kill()
    const metadata = this.metadata.store
    const clock = this.scheduler.createProcess('judge')
    const ledgers = createLedgerClient({
      ...{ metadata, clock, logger: silentLogger, random: () => 0, directory: directoryOf(this.#nodes) },
      quorum: { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }
    })
    return createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 1024 * 1024, clock })
  }

  #heal(): void {
    this.isHealed = true
    this.history.tell('world', 'all faults end')
    this.network.heal()
    this.metadata.heal()
    for (const broker of this.brokers) {
      broker.process.resume()
      broker.store?.mend()
      broker.start()
    }
    for (const client of this.clients) client.finish()
  }
}

/** One in each bundle. */
function topicsOf(bundleCount: number): TopicName[] {
  const bundles = bundlesBetween(NAMESPACE, evenBoundaries(bundleCount))
  return bundles.map(bundle => {
    for (let i = 0; ; i++) {
      const name = TopicName.of('persistent', NAMESPACE, `t${i}`)
      if (bundleOfHash(bundles, hashOf(name)) === bundle) return name
    }
  })
}
