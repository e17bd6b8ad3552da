import type { Compare } from '@strata/metadata'
import { brokerError } from '../errors.ts'
import { isNamespaceError } from '../namespace/errors.ts'
import { TopicName } from '../namespace/topic-name.ts'
import type { BrokerAddress, BundleHold, Ownership } from '../ownership/contract.ts'

/** What this broker needs to have to begin anything with a topic. */
export interface Home {
  /** Compared in every transaction that takes the topic's log, or deletes it. */
  readonly guards: readonly Compare[]
  /** Asked again after anything was waited for. */
  isHeld(): boolean
}

export type Whereabouts =
  { readonly kind: 'here'; readonly home: Home } | { readonly kind: 'there'; readonly broker: BrokerAddress }

const OWN_TOPIC_NAMESPACE = 'pulsar/system'
const OWN_TOPIC_PREFIX = 'healthcheck-'

/** A topic that belongs to a broker by its name, and moves with no bundle: its health check publishes to it. */
export function ownTopicOf(broker: { readonly id: string }): TopicName {
  return TopicName.of('persistent', OWN_TOPIC_NAMESPACE, `${OWN_TOPIC_PREFIX}${broker.id}`)
}

/**
 * Where topics are served. Ownership begins once this broker knows the addresses that it listens on; until then nothing
 * is served.
 */
export class TopicHomes {
  #ownership: Ownership | undefined

  open(ownership: Ownership): void {
    this.#ownership = ownership
  }

  /** @throws BrokerError ServiceNotReady while the broker starts */
  get ownership(): Ownership {
    return this.#ownership ?? refuse('The broker is starting: try again')
  }

  get isOpen(): boolean {
    return this.#ownership !== undefined
  }

  /**
   * Where the topic is served; if nobody has its bundle it is given to a broker first. Held while it moves.
   * @throws NamespaceError NAMESPACE_NOT_FOUND; BrokerError MetadataError, TooManyRequests
   */
  async find(name: TopicName, options: { take?: boolean } = {}): Promise<Whereabouts> {
    const { ownership } = this
    if (this.#isOwn(name)) return { kind: 'here', home: OWN_HOME }
    const bundle = await ownership.bundleOf(name)
    const hold = ownership.holdOf(bundle)
    if (hold !== undefined) return { kind: 'here', home: this.#homeOf(hold) }
    const placement = await ownership.locate(bundle, options)
    if (placement.kind === 'there') return placement
    return { kind: 'here', home: this.#homeOf(placement.hold) }
  }

  /** @throws BrokerError ServiceNotReady: another broker serves it; clients look it up again. And all that `find` throws */
  async homeOf(name: TopicName): Promise<Home> {
    const where = await this.find(name)
    return where.kind === 'here' ? where.home : refuse('The topic is served elsewhere: look it up again')
  }

  /** For what is only done to topics that are served here already: gives nothing to anybody, and waits for nobody. */
  async heldHome(name: TopicName): Promise<Home | undefined> {
    const { ownership } = this
    if (this.#isOwn(name)) return OWN_HOME
    if (this.#isOthersOwn(name)) return undefined
    try {
      const hold = ownership.holdOf(await ownership.bundleOf(name))
      return hold === undefined ? undefined : this.#homeOf(hold)
    } catch (error) {
      if (isNamespaceError(error, 'NAMESPACE_NOT_FOUND')) return undefined
      throw error
    }
  }

  /** Namespaces with topics that this broker may be serving, each once; undefined: it is the only one there is. */
  servedNamespaces(): readonly string[] | undefined {
    const { ownership } = this
    if (ownership.brokers().length <= 1) return undefined
    return [...new Set([OWN_TOPIC_NAMESPACE, ...ownership.held().map(({ namespace }) => namespace)])]
  }

  /** No other broker is known. */
  get isAlone(): boolean {
    return this.ownership.brokers().length <= 1
  }

  /** As clients of a topic that stays are told to come back to; undefined while the broker starts. */
  get self(): BrokerAddress | undefined {
    return this.#ownership?.self
  }

  /** Does it leave with no bundle? */
  isOwn(name: TopicName): boolean {
    return this.isOpen && this.#isOwn(name)
  }

  #homeOf(hold: BundleHold): Home {
    return {
      guards: hold.guard === undefined ? [] : [hold.guard],
      isHeld: () => this.ownership.holdOf(hold.bundle)?.epoch === hold.epoch
    }
  }

  #isOwn(name: TopicName): boolean {
    return name.localName === `${OWN_TOPIC_PREFIX}${this.ownership.self.id}` && name.namespace === OWN_TOPIC_NAMESPACE
  }

  /** Of a broker that is there; one that is gone for good left it to the holder of its bundle. */
  #isOthersOwn(name: TopicName): boolean {
    if (name.namespace !== OWN_TOPIC_NAMESPACE || !name.localName.startsWith(OWN_TOPIC_PREFIX)) return false
    const id = name.localName.slice(OWN_TOPIC_PREFIX.length)
    return this.ownership.brokers().some(broker => broker.id === id)
  }
}

/** No other process has its name. */
const OWN_HOME: Home = { guards: [], isHeld: () => true }

function refuse(text: string): never {
  throw brokerError('ServiceNotReady', text)
}
