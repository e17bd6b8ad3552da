import type { TopicName } from '../namespace/topic-name.ts'
import { bundleOfHash, hashOf } from '../ownership/bundle-name.ts'
import type { BundleName } from '../ownership/contract.ts'
import { NO_LOAD, unitsOf, type BrokerLoad, type BundleLoad } from './load.ts'
import type { ProcessGauge } from './process-gauge.ts'

/** A topic in memory, as far as its load goes. */
export interface LoadedTopic {
  readonly name: TopicName
  readonly rates: TopicRates
}

/** Per second, of the last sample. */
export interface TopicRates {
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly producers: number
  readonly consumers: number
}

export interface LoadSources {
  topics(): Iterable<LoadedTopic>
  /** Bundles that this broker holds. */
  held(): readonly BundleName[]
  /** All of a namespace, in order. */
  bundlesOf(namespace: string): Promise<readonly BundleName[]>
  readonly pools: readonly { readonly bytesHeld: number; readonly bytesMax: number }[]
  readonly gauge: ProcessGauge
  /** Lets others run, and then goes on. */
  readonly pause: () => Promise<void>
}

/** What a broker knows of its own bundles beyond what it tells others. */
export interface HeldBundle extends BundleLoad {
  readonly producers: number
  readonly consumers: number
}

export interface CollectedLoad {
  readonly broker: BrokerLoad
  /** Those that it holds, the heaviest first. */
  readonly bundles: readonly HeldBundle[]
}

type Sums = { -readonly [Key in keyof HeldBundle]: HeldBundle[Key] }

/** Some milliseconds of work. */
const TOPICS_PER_TURN = 2_000

/** Adds up what topics, bundles and the process itself say. In turns: a broker may have a hundred thousand topics. */
export async function collectLoad(sources: LoadSources): Promise<CollectedLoad> {
  const divisions = new Map<string, readonly BundleName[]>()
  const sums = new Map<string, Sums>()
  for (const bundle of sources.held()) sums.set(bundle.toString(), emptySums(bundle.toString()))
  const broker: { -readonly [Key in keyof BrokerLoad]: BrokerLoad[Key] } = { ...NO_LOAD, bundles: sums.size }
  let turn = 0
  for (const { name, rates } of [...sources.topics()]) {
    if (++turn % TOPICS_PER_TURN === 0) await sources.pause()
    broker.topics += 1
    broker.producers += rates.producers
    broker.consumers += rates.consumers
    addRates(broker, rates)
    const bundles = divisions.get(name.namespace) ?? (await divisionOf(sources, name.namespace))
    divisions.set(name.namespace, bundles)
    if (bundles.length === 0) continue
    const bundle = sums.get(bundleOfHash(bundles, hashOf(name)).toString())
    if (bundle === undefined) continue // its bundle has just gone
    bundle.topics += 1
    bundle.producers += rates.producers
    bundle.consumers += rates.consumers
    bundle.sessions += rates.producers + rates.consumers
    addRates(bundle, rates)
  }
  for (const bundle of sources.held()) {
    const own = sums.get(bundle.toString())
    if (own === undefined) continue
    const bundles = divisions.get(bundle.namespace) ?? (await divisionOf(sources, bundle.namespace))
    divisions.set(bundle.namespace, bundles)
    own.siblings = bundles.length
  }
  Object.assign(broker, sources.gauge.sample(), { memory: memoryShare(sources.pools) })
  return { broker, bundles: [...sums.values()].sort(heavierFirst) }
}

/** A namespace that has just gone has none. */
function divisionOf(sources: LoadSources, namespace: string): Promise<readonly BundleName[]> {
  return sources.bundlesOf(namespace).catch(() => [])
}

function emptySums(bundle: string): Sums {
  const rates = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0 }
  return { bundle, ...rates, topics: 0, producers: 0, consumers: 0, sessions: 0, siblings: 0 }
}

function addRates(
  sum: { messagesIn: number; messagesOut: number; bytesIn: number; bytesOut: number },
  rates: TopicRates
): void {
  sum.messagesIn += rates.messagesIn
  sum.messagesOut += rates.messagesOut
  sum.bytesIn += rates.bytesIn
  sum.bytesOut += rates.bytesOut
}

/** Of the pool that is fullest: one that is full stops its clients, whatever the others have left. */
function memoryShare(pools: LoadSources['pools']): number {
  return Math.max(0, ...pools.map(({ bytesHeld, bytesMax }) => (bytesMax > 0 ? bytesHeld / bytesMax : 0)))
}

/** Sessions and topics count where there is no traffic: what is split by them must be told of, too. */
function heavierFirst(a: BundleLoad, b: BundleLoad): number {
  return unitsOf(b) - unitsOf(a) || b.sessions - a.sessions || b.topics - a.topics || (a.bundle < b.bundle ? -1 : 1)
}
