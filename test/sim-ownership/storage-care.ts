import { silentLogger, type BookieId } from '@strata/base'
import {
  hashOf,
  StorageProbe,
  StorageWatch,
  type ClusterOwnership,
  type PeerAnswer,
  type StorageCounts,
  type TopicName
} from '@strata/broker/testing'
import type { RemoteNode, Scheduler, SimNetwork, SimProcess } from '@strata/sim'
import type { History } from './history.ts'
import type { StoreView } from './store-view.ts'

/** A broker gives its bundles up when it stored nothing for so long: the time of its lease, as in production. */
export const GIVE_UP_MS = 5_000
/** From there on, until its peers have the bundles. */
const MOVE_MS = 5_000
/** An answer that a peer reaches storage is no older. */
const ANSWER_MS = 1_500
/** What was decided may be carried out as late as that. */
const CARRIED_OUT_MS = 30_000

/** Whose care it is, or one of the others. */
interface CaredFor {
  readonly name: string
  readonly isWell: boolean
  readonly care: Pick<StorageCare, 'wasSeenReaching'> | undefined
}

interface Surroundings {
  readonly scheduler: Scheduler
  readonly history: History
  readonly network: SimNetwork
  readonly view: StoreView
  readonly bookies: readonly BookieId[]
  readonly topics: readonly TopicName[]
  readonly isStoreTroubled: boolean
  readonly brokers: readonly CaredFor[]
}

export interface StorageCareOptions {
  readonly world: Surroundings
  readonly broker: CaredFor
  readonly process: SimProcess
  readonly nodes: ReadonlyMap<BookieId, RemoteNode>
  readonly ackQuorum: number
  readonly ownership: ClusterOwnership
  readonly counts: () => StorageCounts
  readonly ask: (peer: string) => Promise<PeerAnswer>
}

/** Rule 11 of one process: production's watch and probe, and what is promised of them. */
export class StorageCare {
  readonly #options: StorageCareOptions
  readonly #probe: StorageProbe
  /** When it was last seen to reach storage, or not to be alone in not reaching it, or not to be well. */
  #excusedMs: number
  #seenMs = -Infinity
  #gaveUpMs = -Infinity

  constructor(options: StorageCareOptions) {
    const { process, nodes, ackQuorum, ownership, counts, ask } = options
    this.#options = options
    this.#excusedMs = options.world.scheduler.nowMs
    const directory = {
      writable: () => [...nodes.keys()].map(bookieId => ({ bookieId })),
      node: (id: BookieId) => nodes.get(id),
      onChange: () => () => undefined
    }
    this.#probe = new StorageProbe({ directory, ackQuorum, clock: process })
    new StorageWatch({
      ...{ clock: process, logger: silentLogger, giveUpMs: GIVE_UP_MS, counts },
      door: { reaches: () => this.#probe.reaches(), ask: ({ id }) => ask(id) },
      ownership: {
        self: ownership.self,
        brokers: () => ownership.brokers(),
        giveUp: () => this.#giveUp(),
        setDraining: isDraining => ownership.setDraining(isDraining)
      }
    }).start()
  }

  /** Does it run and reach storage, or was it just now seen to? Even if it was killed since. */
  get wasSeenReaching(): boolean {
    this.#look()
    return this.#options.world.scheduler.nowMs - this.#seenMs < ANSWER_MS
  }

  /** It drops what it has for that reason. */
  get isGivingUp(): boolean {
    return this.#options.world.scheduler.nowMs - this.#gaveUpMs < CARRIED_OUT_MS
  }

  /** What it answers to a peer. */
  async reaches(): Promise<boolean> {
    this.#look()
    const reaches = await this.#probe.reaches()
    this.#look()
    return reaches
  }

  /** How it is now; asked now and then. */
  observe(): void {
    const { world, broker } = this.#options
    const { nowMs } = world.scheduler
    const isReaching = this.#look()
    const canGive = world.brokers.some(
      other => other !== broker && other.isWell && other.care?.wasSeenReaching === true
    )
    if (isReaching || !broker.isWell || !canGive || world.isStoreTroubled) this.#excusedMs = nowMs
    if (nowMs - this.#excusedMs < GIVE_UP_MS + MOVE_MS) return
    const kept = world.topics.find(topic => world.view.ownerOfHash(hashOf(topic)) === broker.name)
    if (kept === undefined) return
    world.history.violate('stranded', `${broker.name} alone does not reach storage, and keeps ${kept.toString()}`)
  }

  #look(): boolean {
    const { world, broker, process, ackQuorum } = this.#options
    const reached = world.bookies.filter(bookie => !world.network.isCut(broker.name, bookie))
    const isReaching = reached.length >= ackQuorum
    if (isReaching && !process.isDead && !process.isPaused) this.#seenMs = world.scheduler.nowMs
    return isReaching
  }

  async #giveUp(): Promise<void> {
    const { world, broker, ownership } = this.#options
    world.history.counts.givenUp++
    world.history.tell(broker.name, 'gives up: storage is out of reach')
    this.#gaveUpMs = world.scheduler.nowMs
    if (!world.brokers.some(other => other !== broker && other.care?.wasSeenReaching === true)) {
      world.history.violate('undisturbed', `${broker.name} gives up, and nobody else reaches storage`)
    }
    await ownership.giveUp()
  }
}
