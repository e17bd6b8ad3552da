import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { defaultBrokerSettings, type BrokerSettings } from '../../config/settings.ts'
import { bundlesBetween, evenBoundaries } from '../../ownership/bundle-name.ts'
import type { BrokerAddress, BundleName } from '../../ownership/contract.ts'
import type { BalanceActions } from '../actions.ts'
import { Balancer } from '../balancer.ts'
import { ClusterRules } from '../cluster-rules.ts'
import { DecisionLog } from '../decision-log.ts'
import type { CollectedLoad } from '../load-collector.ts'
import { LoadReporter } from '../load-reporter.ts'
import { NO_LOAD, unitsOf, type BundleLoad } from '../load.ts'

export function brokerAddress(id: string, instance = `${id}#1`): BrokerAddress {
  const urls = { brokerUrl: undefined, brokerUrlTls: undefined, httpUrl: `http://${id}`, httpUrlTls: undefined }
  return { id, instance, version: '1', startedAtMs: 0, urls, listeners: new Map(), isDraining: false }
}

/** `count` bundles of a namespace. */
export function bundleNames(namespace: string, count: number): BundleName[] {
  return bundlesBetween(namespace, evenBoundaries(count))
}

export function collected(bundles: readonly BundleLoad[], loop: number): CollectedLoad {
  const sum = (of: (load: BundleLoad) => number): number => bundles.reduce((all, each) => all + of(each), 0)
  const broker = {
    ...NO_LOAD,
    messagesIn: sum(each => each.messagesIn),
    messagesOut: sum(each => each.messagesOut),
    bytesIn: sum(each => each.bytesIn),
    bytesOut: sum(each => each.bytesOut),
    topics: sum(each => each.topics),
    bundles: bundles.length,
    loop
  }
  const held = bundles.map(bundle => ({ ...bundle, producers: bundle.sessions, consumers: 0 }))
  return { broker, bundles: held.sort((a, b) => unitsOf(b) - unitsOf(a)) }
}

interface AskedMove {
  readonly bundle: string
  readonly from: string
  readonly to: string
}

/** What ownership knows, as one broker sees it; who leads is said by the test. */
export class ShellWorld {
  readonly store = new MemoryMetadataStore()
  readonly clock = new ManualClock()
  readonly settings: BrokerSettings = defaultBrokerSettings()
  readonly brokers: BrokerAddress[]
  readonly owners = new Map<string, BrokerAddress>()
  readonly asked: AskedMove[] = []
  readonly askedSplits: { bundle: string; isUnloaded: boolean }[] = []
  readonly askedMerges: { left: string; right: string; owner: string }[] = []
  leader: string | undefined
  /** What an owner answers to a request to move. */
  refusal: string | undefined

  constructor(ids: readonly string[]) {
    this.brokers = ids.map(id => brokerAddress(id))
  }

  broker(id: string): BrokerAddress {
    return this.brokers.find(each => each.id === id) ?? brokerAddress(id)
  }

  /** Says what a broker has to say, once. */
  async report(id: string, load: CollectedLoad): Promise<void> {
    const reporter = this.reporter(id, () => load)
    await reporter.report()
  }

  reporter(id: string, load: () => CollectedLoad): LoadReporter {
    const { store, clock, settings } = this
    const instance = (): string => this.broker(id).instance
    return new LoadReporter({ store, clock, settings, logger: silentLogger, instance, collect: async () => load() })
  }

  rules(): Promise<ClusterRules> {
    const { store, settings, owners } = this
    const sources = {
      bundlesOf: async (namespace: string) => bundleNames(namespace, 4),
      ownerOf: (bundle: BundleName) => owners.get(bundle.toString())
    }
    return ClusterRules.open({ store, settings, logger: silentLogger, sources })
  }

  async balancer(id: string): Promise<Balancer> {
    const { store, clock, settings, owners } = this
    const actions: BalanceActions = {
      move: async (bundle, from, to) => {
        if (this.refusal !== undefined) throw new Error(this.refusal)
        this.asked.push({ bundle, from: from.id, to: to.id })
        owners.set(bundle, to)
      },
      split: async (bundle, _owner, { unload }) => {
        this.askedSplits.push({ bundle, isUnloaded: unload })
      },
      merge: async (left, right, owner) => {
        if (this.refusal !== undefined) throw new Error(this.refusal)
        this.askedMerges.push({ left, right, owner: owner.id })
      }
    }
    const ownership = {
      self: this.broker(id),
      leader: () => this.brokers.find(each => each.id === this.leader),
      brokers: () => this.brokers,
      owners: () => owners,
      ownerOf: (bundle: BundleName) => owners.get(bundle.toString())
    }
    const log = new DecisionLog(store, clock)
    const rules = await this.rules()
    return new Balancer({ store, clock, settings, logger: silentLogger, ownership, rules, log, actions })
  }

  /** A minute of a balancer: reports are as they are. */
  async minute(balancer: Balancer): Promise<void> {
    this.clock.advance(60_000)
    await balancer.tick()
  }
}
