import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore, type Lease, type MetadataStore } from '@strata/metadata'
import { NamespaceRowSchema } from '../../generated/broker_pb.ts'
import { encodeRow, keys } from '../../namespace/rows.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import { ClusterOwnership, type ClusterOwnershipOptions } from '../cluster-ownership.ts'
import type { BrokerAddress, BundleName, BundleTopics } from '../contract.ts'
import type { PeerAnswer } from '../events.ts'
import type { PeerDoor, PeerListener } from '../peer-watch.ts'

export const NAMESPACE = 'public/default'

/** One broker among several in one process, on a metadata store in memory; what is asked of its topics is noted. */
export class TestBroker implements PeerDoor, BundleTopics {
  readonly id: string
  readonly ownership: ClusterOwnership
  readonly notes: string[] = []
  /** Holds the closing of topics back. */
  closing: Promise<void> = Promise.resolve()
  names: string[] = []
  /** What it is told when it asks its peers. */
  answers = new Map<string, PeerAnswer>()
  readonly #listeners = new Map<string, PeerListener>()
  readonly #leases: Lease[] = []
  readonly #store: MemoryMetadataStore
  isCut = false

  constructor(
    id: string,
    doors: { store: MemoryMetadataStore; clock: ManualClock; newInstance: (id: string) => string },
    options: Partial<ClusterOwnershipOptions>
  ) {
    this.id = id
    this.#store = doors.store
    this.ownership = new ClusterOwnership({
      ...{ metadata: this.#door(), clock: doors.clock, logger: silentLogger, leaseMs: 5_000, peers: this },
      newInstance: () => doors.newInstance(id),
      ...options
    })
  }

  async start(): Promise<void> {
    const urls = {
      brokerUrl: `pulsar://${this.id}`,
      brokerUrlTls: undefined,
      httpUrl: undefined,
      httpUrlTls: undefined
    }
    const self: BrokerAddress = {
      ...{ id: this.id, instance: '', version: '1', startedAtMs: 0, urls, listeners: new Map(), isDraining: false }
    }
    await this.ownership.start({ self, topics: this })
  }

  /** Its lease ends, in the store and here; with `isCut` it gets no other. */
  loseLease(): void {
    for (const lease of this.#leases.splice(0)) {
      ;(lease as Lease & { lose(): void }).lose() // as its store does
      void lease.revoke()
    }
  }

  /** It believes of a peer that its port refuses, or that it is back. */
  believe(peer: TestBroker, isDown: boolean): void {
    const listener = this.#listeners.get(peer.ownership.self.instance)
    if (isDown) listener?.onDown()
    else listener?.onUp()
  }

  // as its peers are seen

  watch(peer: BrokerAddress, listener: PeerListener): () => void {
    this.#listeners.set(peer.instance, listener)
    return () => this.#listeners.delete(peer.instance)
  }

  ask(peer: BrokerAddress): Promise<PeerAnswer> {
    return Promise.resolve(this.answers.get(peer.id) ?? 'silent')
  }

  // as its topics are told

  loaded() {
    return this.names.map(name => ({ toString: () => name })) as never // only their names are used
  }

  async release(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    this.notes.push(`release ${bundle.range} ${next?.id ?? '-'}`)
    await this.closing
  }

  drop(bundle: BundleName, next: BrokerAddress | undefined): Promise<void> {
    this.notes.push(`drop ${bundle.range} ${next?.id ?? '-'}`)
    return Promise.resolve()
  }

  preload(bundle: BundleName, names: readonly TopicName[]): void {
    this.notes.push(`preload ${bundle.range} ${names.map(String).join()}`)
  }

  suspend(isSuspended: boolean): void {
    this.notes.push(isSuspended ? 'suspend' : 'resume')
  }

  #door(): MetadataStore {
    const store = this.#store
    return {
      get: key => store.get(key),
      scan: options => store.scan(options),
      transact: transaction => store.transact(transaction),
      watch: (prefix, listener) => store.watch(prefix, listener),
      grantLease: async ttlMs => {
        if (this.isCut) return new Promise<Lease>(() => undefined)
        const lease = await store.grantLease(ttlMs)
        this.#leases.push(lease)
        return lease
      },
      close: () => Promise.resolve()
    }
  }
}

/** Several of them; ended by `close`. */
export class BrokerSet {
  readonly store = new MemoryMetadataStore()
  readonly clock = new ManualClock()
  readonly brokers: TestBroker[] = []
  #registrations = 0

  readonly newInstance = (id: string): string => `${id}.${++this.#registrations}`

  async open(ids: readonly string[], options: Partial<ClusterOwnershipOptions> = {}): Promise<TestBroker[]> {
    const value = encodeRow(NamespaceRowSchema, { bundleCount: 4 })
    await this.store.transact({ compares: [], changes: [{ kind: 'put', key: keys.namespace(NAMESPACE), value }] })
    for (const id of ids) {
      const broker = new TestBroker(id, this, options)
      this.brokers.push(broker)
      await broker.start()
    }
    return this.brokers
  }

  /** Everything that can happen without time passing has happened. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve))
  }

  async pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 50) {
      this.clock.advance(Math.min(50, leftMs))
      await this.settle()
    }
  }

  async close(): Promise<void> {
    const state = { isClosed: false }
    const closing = Promise.all(this.brokers.map(({ ownership }) => ownership.close())).finally(() => {
      state.isClosed = true
    })
    while (!state.isClosed) await this.pass(100)
    await closing
    await this.store.close()
  }
}
