import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { assertNever, reasonOf, type Clock, type Logger } from '@strata/base'
import { MetadataError, type MetadataStore } from '@strata/metadata'
import { brokerError, isBrokerError } from '../errors.ts'
import { TopicName } from '../namespace/topic-name.ts'
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
import { Decisions } from './decisions.ts'
import type { LocateAnswer, OwnershipEffect, OwnershipEvent, Refusal } from './events.ts'
import { Leader } from './leadership.ts'
import { OwnershipMachine } from './machine.ts'
import { OwnershipWatch } from './ownership-watch.ts'
import { PeerWatch, type PeerDoor } from './peer-watch.ts'
import { placeByHash, type Place } from './placement.ts'
import { Registration } from './registration.ts'
import { encodeBroker, ownershipKeys } from './rows.ts'
import { Transactions } from './transactions.ts'
import { Turns } from './turns.ts'

export interface ClusterOwnershipOptions {
  readonly metadata: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly leaseMs: number
  readonly peers: PeerDoor
  /** Chooses among brokers for a bundle without an owner; by hash unless told otherwise. */
  readonly place?: Place
  /** Questions that are held at most; beyond it TooManyRequests. */
  readonly waitersMax?: number
  /** What this build can do, by name. */
  readonly capabilities?: readonly string[]
  /** A name for a registration: never the same twice in a cluster. */
  readonly newInstance?: () => string
}

const WAITERS_MAX = 50_000
/** How long the question whether the store is reached may take: shorter than the patience of who asks. */
const REACH_MS = 700
/** Bundles that are handed over at one time while this broker leaves. */
const LEAVING_MAX = 32

/**
 * Who serves what in a cluster of brokers: carries out what `OwnershipMachine` decides. Holds no rule of its own.
 *
 * On failure of the metadata store questions wait, and what is held is served on, as far as peers let it (README.md, rule 6).
 * Everything is tried again until `close`.
 */
export class ClusterOwnership implements Ownership {
  readonly #options: ClusterOwnershipOptions
  readonly #machine: OwnershipMachine
  readonly #decisions: Decisions
  readonly #watch: OwnershipWatch
  readonly #peers: PeerWatch
  readonly #leader: Leader
  readonly #registration: Registration
  readonly #locating = new Map<number, (answer: LocateAnswer) => void>()
  readonly #requests = new Map<number, (refusal: Refusal | undefined) => void>()
  /** Names of topics that were loaded when the hand-over of their bundle began. */
  readonly #loaded = new Map<string, readonly string[]>()
  readonly #events: OwnershipEvent[] = []
  #transactions: Transactions | undefined
  #bundles: Bundles | undefined
  #topics: BundleTopics | undefined
  #self: BrokerAddress | undefined
  #isDraining = false
  #isStepping = false
  #isClosed = false
  #nextId = 1
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined

  constructor(options: ClusterOwnershipOptions) {
    const { metadata: store, clock, logger, leaseMs } = options
    this.#options = options
    this.#machine = new OwnershipMachine({ place: options.place ?? placeByHash })
    this.#decisions = new Decisions(clock, logger)
    this.#watch = new OwnershipWatch({ store, logger, tell: event => this.#step(event) })
    this.#peers = new PeerWatch(options.peers, (instance, isDown) => {
      this.#step({ kind: isDown ? 'peer-down' : 'peer-up', instance })
    })
    this.#leader = new Leader({ store, clock, leaseMs })
    this.#registration = new Registration({
      ...{ store, clock, logger, leaseMs, newInstance: options.newInstance ?? randomUUID },
      describe: instance => this.#describe(instance),
      // a process that listens where an earlier one did is what became of it
      replaced: () => (this.#machine.instance === '' ? this.#namesakes() : []),
      onRegistered: (instance, version) => this.#onRegistered(instance, version),
      onUpdated: (instance, version) => {
        this.#step({ kind: 'broker', instance, broker: this.#addressAs(instance), version, source: 'answer' })
      },
      onLost: () => this.#step({ kind: 'lease-lost' })
    })
  }

  /**
   * Registers this broker. Both of its ports must listen by then: peers take one whose port refuses for dead.
   * @param options.self its `instance` is ignored: every registration has a name of its own
   * @throws MetadataError
   */
  async start(options: { self: BrokerAddress; topics: BundleTopics }): Promise<void> {
    const { metadata: store, clock, logger } = this.#options
    this.#self = options.self
    this.#topics = options.topics
    const bundles = await Bundles.open(store, namespace => this.#onDivision(namespace))
    this.#bundles = bundles
    this.#transactions = new Transactions({
      ...{ store, clock, logger, bundles, tell: event => this.#step(event) },
      registration: { instance: () => this.#machine.instance, lease: () => this.#registration.lease },
      loadedTopics: bundle => this.#loaded.get(bundle.toString()) ?? []
    })
    await this.#leader.open()
    await this.#watch.open()
    await this.#registration.join()
  }

  get self(): BrokerAddress {
    return this.#machine.broker(this.#machine.instance) ?? this.#addressAs(this.#machine.instance)
  }

  /** For readiness: it is registered, or its peers let it go on without a lease. */
  get isServing(): boolean {
    return !this.#machine.isSuspended && !this.#isDraining && this.#machine.instance !== ''
  }

  get hasLease(): boolean {
    return this.#machine.isRegistered
  }

  /** Questions that are held now. */
  get waiterCount(): number {
    return this.#machine.waiterCount
  }

  brokers(): readonly BrokerAddress[] {
    return this.#machine.brokers()
  }

  leader(): BrokerAddress | undefined {
    return this.#leader.instance === undefined ? undefined : this.#machine.broker(this.#leader.instance)
  }

  held(): readonly BundleName[] {
    return this.#machine.held()
  }

  owners(): ReadonlyMap<string, BrokerAddress> {
    return new Map(this.#machine.owners())
  }

  async bundleOf(name: TopicName): Promise<BundleName> {
    return reached(this.#started.bundleOf(name))
  }

  async bundlesOf(namespace: string): Promise<readonly BundleName[]> {
    return (await reached(this.#started.of(namespace))).bundles
  }

  holdOf(bundle: BundleName): BundleHold | undefined {
    const key = bundle.toString()
    const version = this.#machine.holdVersion(key)
    if (version === undefined) return undefined
    return { bundle, epoch: version, guard: { key: ownershipKeys.owner(key), version } }
  }

  ownerOf(bundle: BundleName): BrokerAddress | undefined {
    const standing = this.#machine.standing(bundle.toString())
    return 'owner' in standing ? this.#machine.broker(standing.owner) : undefined
  }

  async locate(bundle: BundleName, { take = false }: { take?: boolean } = {}): Promise<Placement> {
    for (;;) {
      const hold = this.holdOf(bundle)
      if (hold !== undefined) return { kind: 'here', hold }
      if (this.#isClosed) throw brokerError('MetadataError', 'this broker is closing')
      if (this.#machine.waiterCount >= (this.#options.waitersMax ?? WAITERS_MAX)) {
        throw brokerError('TooManyRequests', 'too many lookups wait for an owner')
      }
      await this.#requireKnown(bundle)
      const id = this.#nextId++
      const answer = await new Promise<LocateAnswer>(resolve => {
        this.#locating.set(id, resolve)
        this.#step({ kind: 'locate', id, bundle, take })
      })
      if (answer.kind === 'there') return answer
      if (answer.kind === 'refused') throw brokerError('MetadataError', answer.reason)
    }
  }

  unload(bundle: BundleName, options: { to?: string } = {}): Promise<void> {
    return this.#request(id => ({ kind: 'unload', id, bundle, to: options.to, isAbrupt: false }))
  }

  async split(bundle: BundleName, boundaries: readonly number[], options: { unload?: boolean } = {}): Promise<void> {
    const division = await reached(this.#started.splitOf(bundle, boundaries))
    await this.#request(id => ({ kind: 'redivide', id, bundles: [bundle], ...division }))
    this.#started.forget(bundle.namespace)
    if (options.unload === true) await Promise.all(division.parts.map(part => this.unload(part)))
  }

  async merge(left: BundleName, right: BundleName): Promise<void> {
    const division = await reached(this.#started.mergeOf(left, right))
    await this.#request(id => ({ kind: 'redivide', id, bundles: [left, right], ...division }))
    this.#started.forget(left.namespace)
  }

  explain(bundle: BundleName): Promise<Explanation> {
    const standing = this.#machine.standing(bundle.toString())
    const idOf = (instance: string): string => this.#machine.broker(instance)?.id ?? instance
    const { nowMs, wallMs } = this.#now()
    const untilMs = 'untilMs' in standing ? standing.untilMs : undefined
    return Promise.resolve({
      bundle: bundle.toString(),
      state: standing.kind === 'none' || standing.kind === 'owned' ? standing.kind : 'handing over',
      owner: 'owner' in standing ? idOf(standing.owner) : undefined,
      next: 'next' in standing ? idOf(standing.next) : undefined,
      sinceMs: standing.sinceMs,
      deadlineMs: untilMs === undefined ? undefined : Math.trunc(wallMs + untilMs - nowMs),
      reasons: [...(standing.reason === '' ? [] : [standing.reason]), ...this.#decisions.of(bundle.toString())]
    })
  }

  /** Does this broker reach the metadata store, now? What peers without a lease ask. Never rejects. */
  reachesStore(): Promise<boolean> {
    const { metadata, clock } = this.#options
    return new Promise(resolve => {
      const cancel = clock.after(REACH_MS, () => resolve(false))
      metadata
        .get(ownershipKeys.broker(this.#machine.instance))
        .then(
          () => resolve(true),
          () => resolve(false)
        )
        .finally(cancel)
    })
  }

  /** Says whether new bundles come here. @throws MetadataError */
  async setDraining(isDraining: boolean): Promise<void> {
    this.#isDraining = isDraining
    await reached(this.#registration.update())
  }

  async drain({ unloadsPerSecond = 0 }: { unloadsPerSecond?: number } = {}): Promise<void> {
    await this.#unloadAll({ isAbrupt: false, perSecond: unloadsPerSecond })
    this.#step({ kind: 'leave' })
  }

  /**
   * Gives up every bundle at once, with nothing written to storage, which is out of reach: what clients have no answer to they
   * send again, to the next owners, who recover the logs. No bundle comes here until `setDraining(false)`.
   */
  giveUp(): Promise<void> {
    return this.#unloadAll({ isAbrupt: true, perSecond: 0 })
  }

  async #unloadAll({ isAbrupt, perSecond }: { isAbrupt: boolean; perSecond: number }): Promise<void> {
    await this.setDraining(true).catch((error: unknown) => {
      const reason = reasonOf(error)
      this.#options.logger.warn(
        { event: 'ownership.drain_untold', reason },
        'peers may still give bundles to this broker'
      )
    })
    const waiting = [...this.held()]
    const turns = new Turns(this.#options.clock, perSecond)
    const next = async (): Promise<void> => {
      for (let bundle = waiting.pop(); bundle !== undefined; bundle = waiting.pop()) {
        if (this.holdOf(bundle) === undefined) continue
        await turns.next()
        // whoever is in more of a hurry took it along meanwhile
        if (this.#isClosed || this.holdOf(bundle) === undefined) continue
        const request = { kind: 'unload', bundle, to: undefined, isAbrupt } as const
        await this.#request(id => ({ ...request, id })).catch((error: unknown) => {
          if (!isBrokerError(error)) throw error
          const fields = { event: 'ownership.unload_failed', bundle: String(bundle), reason: reasonOf(error) }
          this.#options.logger.warn(fields, 'a bundle was not handed over')
        })
      }
    }
    await Promise.all(Array.from({ length: LEAVING_MAX }, next))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#watch.close()
    this.#bundles?.close()
    this.#peers.close()
    this.#alarm?.cancel()
    for (const answer of this.#locating.values()) answer({ kind: 'refused', reason: 'this broker is closing' })
    for (const end of this.#requests.values()) end({ code: 'MetadataError', reason: 'this broker is closing' })
    await Promise.all([this.#leader.close(), this.#registration.close()])
  }

  /** Ports listen before ownership starts, so clients may be early. @throws BrokerError MetadataError */
  get #started(): Bundles {
    return this.#bundles ?? notStarted()
  }

  #now(): { nowMs: number; wallMs: number } {
    const { clock } = this.#options
    return { nowMs: clock.nowMs(), wallMs: clock.wallMs() }
  }

  #addressAs(instance: string): BrokerAddress {
    assert(this.#self !== undefined, 'it was started')
    return { ...this.#self, instance, isDraining: this.#isDraining }
  }

  #describe(instance: string): Uint8Array {
    const { capabilities = [] } = this.#options
    return encodeBroker({ address: this.#addressAs(instance), host: hostname(), pid: process.pid, capabilities })
  }

  #namesakes(): string[] {
    const { id } = this.#addressAs('')
    return this.#machine
      .brokers()
      .filter(broker => broker.id === id)
      .map(({ instance }) => instance)
  }

  #onRegistered(instance: string, version: number): void {
    this.#step({ kind: 'registered', self: this.#addressAs(instance), version })
    this.#leader.stand(instance)
  }

  /** @throws BrokerError MetadataError */
  async #requireKnown(bundle: BundleName): Promise<void> {
    const { bundles } = await reached(this.#started.of(bundle.namespace))
    if (bundles.some(({ range }) => range === bundle.range)) return
    throw brokerError('MetadataError', 'the namespace was divided anew: look the topic up again')
  }

  async #request(eventOf: (id: number) => OwnershipEvent): Promise<void> {
    const id = this.#nextId++
    const refusal = await new Promise<Refusal | undefined>(resolve => {
      this.#requests.set(id, resolve)
      this.#step(eventOf(id))
      if (this.#isClosed) resolve({ code: 'MetadataError', reason: 'this broker is closing' })
    })
    if (refusal !== undefined) throw brokerError(refusal.code, refusal.reason)
  }

  /** Bundles that are held here and are none any more are given up. */
  #onDivision(namespace: string): void {
    const held = this.held().filter(bundle => bundle.namespace === namespace)
    if (held.length === 0) return
    this.#started.of(namespace).then(
      ({ bundles }) => {
        const ranges = new Set(bundles.map(({ range }) => range))
        for (const bundle of held) {
          if (!ranges.has(bundle.range)) this.#step({ kind: 'obsolete', bundle: bundle.toString() })
        }
      },
      (error: unknown) => {
        if (MetadataError.is(error)) return // it is tried to be taken again some time, and found out then
        for (const bundle of held) this.#step({ kind: 'obsolete', bundle: bundle.toString() })
      }
    )
  }

  /** One event after another: what is done for one may bring the next. */
  #step(event: OwnershipEvent): void {
    if (this.#isClosed) return
    this.#events.push(event)
    if (this.#isStepping) return
    this.#isStepping = true
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of this.#machine.step(next, this.#now())) this.#perform(effect)
      if (next.kind === 'broker' || next.kind === 'registered') {
        this.#peers.update(this.#machine.instance, this.#machine.brokers())
      }
    }
    this.#isStepping = false
    this.#setAlarm()
  }

  #setAlarm(): void {
    const atMs = this.#machine.wakeMs
    if (this.#alarm?.atMs === atMs) return
    this.#alarm?.cancel()
    this.#alarm = undefined
    if (atMs === Infinity) return
    const { clock } = this.#options
    const cancel = clock.after(Math.max(0, atMs - clock.nowMs()), () => {
      this.#alarm = undefined
      this.#step({ kind: 'tick' })
    })
    this.#alarm = { atMs, cancel }
  }

  #perform(effect: OwnershipEffect): void {
    const topics = this.#bundleTopics
    switch (effect.kind) {
      case 'transact':
        this.#transactions?.submit(effect)
        return
      case 'release':
      case 'drop': {
        const { bundle, next } = effect
        if (effect.kind === 'release') this.#loaded.set(bundle.toString(), topics.loaded(bundle).map(String))
        const isClosed = effect.kind === 'release' && !effect.isAbrupt
        void topics[isClosed ? 'release' : 'drop'](bundle, next).then(() =>
          this.#step({ kind: 'closed', bundle: bundle.toString() })
        )
        return
      }
      case 'preload':
        topics.preload(
          effect.bundle,
          effect.names.map(name => TopicName.parse(name))
        )
        return
      case 'suspend':
        topics.suspend(effect.isSuspended)
        return
      case 'located':
        this.#locating.get(effect.id)?.(effect.answer)
        this.#locating.delete(effect.id)
        return
      case 'done':
        this.#requests.get(effect.id)?.(effect.refusal)
        this.#requests.delete(effect.id)
        return
      case 'ask-peers':
        void this.#askPeers(effect)
        return
      case 'rejoin':
        this.#registration.rejoin()
        return
      case 'decided':
        this.#decisions.note(effect.bundle, effect.text)
        return
      default:
        assertNever(effect)
    }
  }

  get #bundleTopics(): BundleTopics {
    assert(this.#topics !== undefined, 'it was started')
    return this.#topics
  }

  async #askPeers({ round, peers }: { round: number; peers: readonly BrokerAddress[] }): Promise<void> {
    const answers = await Promise.all(peers.map(peer => this.#options.peers.ask(peer)))
    this.#step({ kind: 'peers-answered', round, answers })
  }
}

function notStarted(): never {
  throw brokerError('MetadataError', 'this broker is starting')
}

/** @throws BrokerError MetadataError in place of an error of the metadata store */
async function reached<Result>(asked: Promise<Result>): Promise<Result> {
  try {
    return await asked
  } catch (error) {
    if (!MetadataError.is(error)) throw error
    throw brokerError('MetadataError', `the metadata store is out of reach: ${reasonOf(error)}`, error)
  }
}
