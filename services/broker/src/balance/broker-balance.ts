import { setImmediate } from 'node:timers/promises'
import type { Clock, Logger } from '@strata/base'
import type { NodeChoice } from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import type { BrokerAddress, BundleName, Ownership } from '../ownership/contract.ts'
import { placeByHash, type Place } from '../ownership/placement.ts'
import type { HttpPeers } from '../peers/http-peers.ts'
import type { Topic } from '../topic/topic.ts'
import { createHttpActions } from './actions.ts'
import { Balancer, noCounts, type BalanceCounts } from './balancer.ts'
import { affinityGroups } from './bookie-affinity.ts'
import { ClusterRules } from './cluster-rules.ts'
import { DecisionLog } from './decision-log.ts'
import { collectLoad, type CollectedLoad, type LoadedTopic } from './load-collector.ts'
import { LoadDigest } from './load-digest.ts'
import { createLoadPlacement } from './load-placement.ts'
import { LoadReporter } from './load-reporter.ts'
import { NO_RULES, type PlacementRules } from './rules.ts'
import { PlacementStore } from './placement-store.ts'
import { ratesOf } from './topic-rates.ts'
import { openProcessGauge, type ProcessGauge } from './process-gauge.ts'

export interface BrokerBalanceOptions {
  readonly store: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: BrokerSettings
  readonly topics: () => Iterable<Topic>
  readonly pools: readonly { readonly bytesHeld: number; readonly bytesMax: number }[]
  readonly peers: Pick<HttpPeers, 'call'>
  /** Asked only once it has begun. */
  readonly ownership: () => Ownership
}

/**
 * The part of one broker in balance: keeps the rules of operators at hand, places bundles, tells the load of this broker,
 * and, while it leads, decides for all. `open` comes before ownership begins, so that no bundle is placed against a rule;
 * `start` after it. A broker that is alone in its cluster only opens.
 */
export class BrokerBalance {
  readonly rows: PlacementStore
  readonly log: DecisionLog
  readonly #options: BrokerBalanceOptions
  readonly #nodes = new Map<string, NodeChoice>()
  #rules: ClusterRules | undefined
  #digest: LoadDigest | undefined
  #reporter: LoadReporter | undefined
  #balancer: Balancer | undefined
  #gauge: ProcessGauge | undefined
  #place: Place = placeByHash

  constructor(options: BrokerBalanceOptions) {
    this.#options = options
    this.rows = new PlacementStore(options.store)
    this.log = new DecisionLog(options.store, options.clock)
  }

  /** Before it is open: by hash. */
  readonly place: Place = request => this.#place(request)

  /** @throws MetadataError */
  async open(): Promise<void> {
    const { store, logger, settings } = this.#options
    const sources = {
      bundlesOf: async (namespace: string) => await this.#ownership.bundlesOf(namespace),
      ownerOf: (bundle: BundleName): BrokerAddress | undefined => this.#ownership.ownerOf(bundle)
    }
    const rules = await ClusterRules.open({ store, settings, logger, sources })
    this.#rules = rules
    this.#digest = await LoadDigest.open(store, logger)
    this.#place = createLoadPlacement({ settings, rules, digest: this.#digest })
  }

  /** What operators said, as far as it is known here. */
  rules(): PlacementRules {
    return this.#rules?.rules() ?? NO_RULES
  }

  start(): void {
    const { store, clock, logger, settings, peers } = this.#options
    const rules = this.#rules
    if (rules === undefined) return
    const instance = (): string => this.#ownership.self.instance
    this.#reporter = new LoadReporter({ store, clock, logger, settings, instance, collect: () => this.#collect() })
    this.#reporter.start()
    const doors = { store, clock, logger, settings, rules, log: this.log }
    this.#balancer = new Balancer({ ...doors, ownership: this.#ownership, actions: createHttpActions(peers) })
    this.#balancer.start()
  }

  /** As it was told last, or as it is where it is told to nobody. */
  async load(): Promise<CollectedLoad> {
    return this.#reporter?.latest ?? (await this.#collect())
  }

  counts(): BalanceCounts {
    return this.#balancer?.counts ?? noCounts()
  }

  /** Which groups of storage nodes the ledgers of a namespace go to: one function a namespace, asked each time. */
  nodesOf(namespace: string): NodeChoice {
    let choice = this.#nodes.get(namespace)
    if (choice === undefined) {
      choice = () => affinityGroups(this.#rules?.affinityOf(namespace))
      this.#nodes.set(namespace, choice)
    }
    return choice
  }

  /** Decides and tells nothing any more; resolves when what was under way is over. It goes on placing. */
  async stop(): Promise<void> {
    await Promise.all([this.#balancer?.close(), this.#reporter?.close()])
  }

  /** After `stop`, whether that is over or not. */
  close(): void {
    this.#gauge?.close()
    this.#digest?.close()
    this.#rules?.close()
    this.#place = placeByHash
  }

  get #ownership(): Ownership {
    return this.#options.ownership()
  }

  async #collect(): Promise<CollectedLoad> {
    const { topics, pools } = this.#options
    await this.#rules?.refresh()
    this.#gauge ??= openProcessGauge()
    return await collectLoad({
      topics: () => loadedTopics(topics()),
      held: () => this.#ownership.held(),
      bundlesOf: namespace => this.#ownership.bundlesOf(namespace),
      pools,
      gauge: this.#gauge,
      pause: () => setImmediate()
    })
  }
}

function* loadedTopics(topics: Iterable<Topic>): Generator<LoadedTopic> {
  for (const topic of topics) yield { name: topic.name, rates: ratesOf(topic) }
}
