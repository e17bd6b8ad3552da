import { strict as assert } from 'node:assert'
import type { Clock } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import { brokerError } from '../errors.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import { Bundles } from './bundles.ts'
import type {
  BrokerAddress,
  BundleHold,
  BundleName,
  BundleTopics,
  Explanation,
  Ownership,
  Placement
} from './contract.ts'

export interface SoleOwnershipOptions {
  readonly metadata: MetadataStore
  readonly clock: Clock
}

/**
 * The ownership of a broker that is alone in its cluster by construction (standalone): it holds every bundle, always, and
 * nothing about it is stored. Holds need no guard.
 */
export class SoleOwnership implements Ownership {
  readonly #options: SoleOwnershipOptions
  readonly #held = new Map<string, BundleName>()
  /** Being closed just now: a question waits for it. */
  readonly #moving = new Map<string, Promise<void>>()
  #self: BrokerAddress | undefined
  #topics: BundleTopics | undefined
  #bundles: Bundles | undefined
  #sinceMs = 0

  constructor(options: SoleOwnershipOptions) {
    this.#options = options
  }

  /** Before anything is asked of it, once it is known where clients reach the broker. @throws MetadataError */
  async start(options: { self: BrokerAddress; topics: BundleTopics }): Promise<void> {
    this.#self = options.self
    this.#topics = options.topics
    this.#sinceMs = this.#options.clock.wallMs()
    this.#bundles = await Bundles.open(this.#options.metadata)
  }

  get self(): BrokerAddress {
    assert(this.#self !== undefined, 'it was started')
    return this.#self
  }

  brokers(): readonly BrokerAddress[] {
    return [this.self]
  }

  leader(): BrokerAddress {
    return this.self
  }

  /** Those that were asked for: it would hold any other, too. */
  held(): readonly BundleName[] {
    return [...this.#held.values()]
  }

  owners(): ReadonlyMap<string, BrokerAddress> {
    return new Map([...this.#held.keys()].map(bundle => [bundle, this.self]))
  }

  bundleOf(name: TopicName): Promise<BundleName> {
    return this.#started.bundleOf(name)
  }

  async bundlesOf(namespace: string): Promise<readonly BundleName[]> {
    return (await this.#started.of(namespace)).bundles
  }

  holdOf(bundle: BundleName): BundleHold | undefined {
    if (this.#moving.has(bundle.toString())) return undefined
    this.#held.set(bundle.toString(), bundle)
    return { bundle, epoch: 1, guard: undefined }
  }

  ownerOf(): BrokerAddress {
    return this.self
  }

  async locate(bundle: BundleName): Promise<Placement> {
    for (;;) {
      const hold = this.holdOf(bundle)
      if (hold !== undefined) return { kind: 'here', hold }
      await this.#moving.get(bundle.toString())
    }
  }

  async unload(bundle: BundleName, options: { to?: string } = {}): Promise<void> {
    if (options.to !== undefined && options.to !== this.self.id) {
      throw brokerError('NotAllowedError', `there is no broker ${options.to}`)
    }
    await this.#release(bundle, this.self)
  }

  async split(bundle: BundleName, boundaries: readonly number[], options: { unload?: boolean } = {}): Promise<void> {
    const division = await this.#started.splitOf(bundle, boundaries)
    await this.#started.write(bundle.namespace, division, this.#options.clock)
    this.#held.delete(bundle.toString())
    if (options.unload === true) await this.#release(bundle, this.self)
  }

  async merge(left: BundleName, right: BundleName): Promise<void> {
    const division = await this.#started.mergeOf(left, right)
    await this.#started.write(left.namespace, division, this.#options.clock)
    for (const bundle of [left, right]) this.#held.delete(bundle.toString())
  }

  explain(bundle: BundleName): Promise<Explanation> {
    return Promise.resolve({
      bundle: bundle.toString(),
      state: 'owned',
      owner: this.self.id,
      next: undefined,
      sinceMs: this.#sinceMs,
      deadlineMs: undefined,
      reasons: ['this broker serves alone']
    })
  }

  async drain(): Promise<void> {
    await Promise.all(this.held().map(bundle => this.#release(bundle, undefined)))
  }

  close(): Promise<void> {
    this.#bundles?.close()
    return Promise.resolve()
  }

  get #started(): Bundles {
    assert(this.#bundles !== undefined, 'it was started')
    return this.#bundles
  }

  /** `next`: where clients of its topics are told to come back to. */
  #release(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    const key = bundle.toString()
    const under = this.#moving.get(key)
    if (under !== undefined) return under
    assert(this.#topics !== undefined, 'it was started')
    const released = this.#topics.release(bundle, next).finally(() => this.#moving.delete(key))
    this.#moving.set(key, released)
    return released
  }
}
