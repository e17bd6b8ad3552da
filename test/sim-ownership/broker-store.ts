import {
  MetadataError,
  type Lease,
  type MetadataStore,
  type Transaction,
  type Watch,
  type WatchListener
} from '@strata/metadata'
import type { Scheduler, SimMetadata, SimProcess } from '@strata/sim'
import type { StoreView } from './store-view.ts'

const SILENCE_MS = 60
const MARGIN = 0.9

/**
 * The metadata store as one broker reaches it: over the simulated network, and cut off from it at times, answers that are
 * under way included. Leases are kept by keep-alives, as etcd's are.
 */
export class BrokerStore implements MetadataStore {
  readonly #scheduler: Scheduler
  readonly #process: SimProcess
  readonly #metadata: SimMetadata
  readonly #inner: MetadataStore
  readonly #view: StoreView
  readonly #name: string
  readonly #leases = new Set<KeptLease>()
  #held: (() => void)[] = []
  #isCut = false
  #operations = 0

  constructor(options: {
    scheduler: Scheduler
    process: SimProcess
    metadata: SimMetadata
    view: StoreView
    name: string
  }) {
    this.#scheduler = options.scheduler
    this.#process = options.process
    this.#metadata = options.metadata
    this.#inner = options.metadata.handle(options.process)
    this.#view = options.view
    this.#name = options.name
  }

  get isCut(): boolean {
    return this.#isCut || this.#metadata.trouble.isDown
  }

  /** By its holder's clock. */
  get hasLease(): boolean {
    return [...this.#leases].some(lease => !lease.isOver)
  }

  cut(): void {
    this.#isCut = true
  }

  mend(): void {
    this.#isCut = false
    for (const run of this.#held.splice(0)) this.#process.post(0, run)
  }

  /** The store ends every lease, and its holder does not know. */
  expire(): void {
    for (const lease of [...this.#leases]) lease.expire()
  }

  get(key: string) {
    return this.#through(() => this.#inner.get(key))
  }

  scan(options: Parameters<MetadataStore['scan']>[0]) {
    return this.#through(() => this.#inner.scan(options))
  }

  transact(transaction: Transaction) {
    const operationId = transaction.operationId ?? `${this.#name} ${this.#operations++}`
    this.#view.expect(operationId, this.#name)
    const changes = transaction.changes.map(change => {
      if (change.kind === 'delete' || !(change.lease instanceof KeptLease)) return change
      return { ...change, lease: change.lease.granted }
    })
    return this.#through(() => this.#inner.transact({ ...transaction, changes, operationId }))
  }

  watch(prefix: string, listener: WatchListener): Promise<Watch> {
    return this.#through(() =>
      this.#inner.watch(prefix, events => {
        if (this.#isCut || this.#held.length > 0) this.#held.push(() => listener(events))
        else listener(events)
      })
    )
  }

  async grantLease(ttlMs: number): Promise<Lease> {
    const sentMs = this.#process.nowMs()
    const granted = await this.#through(() => this.#metadata.store.grantLease(ttlMs))
    const lease = new KeptLease({
      ...{ granted, ttlMs, process: this.#process, scheduler: this.#scheduler },
      isReached: () => !this.isCut,
      onEnd: ended => this.#leases.delete(ended)
    })
    this.#leases.add(lease)
    lease.begin(sentMs)
    return lease
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #through<Result>(ask: () => Promise<Result>): Promise<Result> {
    const lose = (reject: (error: Error) => void): void => {
      this.#process.post(SILENCE_MS, () => reject(MetadataError.create('UNAVAILABLE', { reason: 'cut off' })))
    }
    return new Promise((resolve, reject) => {
      if (this.#isCut) {
        lose(reject)
        return
      }
      ask().then(
        result => (this.#isCut ? lose(reject) : resolve(result)),
        (error: unknown) => reject(error instanceof Error ? error : new Error(String(error)))
      )
    })
  }
}

/** Lost to its holder a margin before the store ends it, unless the store ends it early. */
class KeptLease implements Lease {
  readonly granted: Lease
  readonly ttlMs: number
  readonly #process: SimProcess
  readonly #scheduler: Scheduler
  readonly #isReached: () => boolean
  readonly #onEnd: (lease: KeptLease) => void
  #state: 'held' | 'lost' | 'revoked' = 'held'
  #isThere = true
  #storeUntilMs = 0
  #heldUntilMs = 0
  #listeners: (() => void)[] = []

  constructor(options: {
    granted: Lease
    ttlMs: number
    process: SimProcess
    scheduler: Scheduler
    isReached: () => boolean
    onEnd: (lease: KeptLease) => void
  }) {
    this.granted = options.granted
    this.ttlMs = options.ttlMs
    this.#process = options.process
    this.#scheduler = options.scheduler
    this.#isReached = options.isReached
    this.#onEnd = options.onEnd
  }

  begin(sentMs: number): void {
    this.#storeUntilMs = this.#scheduler.nowMs + this.ttlMs
    this.#heldUntilMs = sentMs + this.ttlMs * MARGIN
    this.#watchStore()
    this.#watchHolder()
    this.#keepAlive()
  }

  get id(): string {
    return this.granted.id
  }

  /** Without telling anyone. */
  get isOver(): boolean {
    return this.#state !== 'held' || this.#process.nowMs() >= this.#heldUntilMs
  }

  get isLost(): boolean {
    if (this.#state === 'held' && this.#process.nowMs() >= this.#heldUntilMs) this.#lose()
    return this.#state === 'lost'
  }

  onLost(run: () => void): void {
    if (this.isLost) run()
    else this.#listeners.push(run)
  }

  async revoke(): Promise<void> {
    if (this.#state === 'held') this.#state = 'revoked'
    this.#listeners = []
    if (!this.#isReached()) throw MetadataError.create('UNAVAILABLE', {})
    this.expire()
    await Promise.resolve()
  }

  expire(): void {
    if (!this.#isThere) return
    this.#isThere = false
    this.#onEnd(this)
    void this.granted.revoke()
  }

  #watchStore(): void {
    if (!this.#isThere) return
    const leftMs = this.#storeUntilMs - this.#scheduler.nowMs
    if (leftMs <= 0) this.expire()
    else this.#scheduler.post(undefined, leftMs, () => this.#watchStore())
  }

  #watchHolder(): void {
    if (this.isLost || this.#state !== 'held') return
    this.#process.post(this.#heldUntilMs - this.#process.nowMs(), () => this.#watchHolder())
  }

  #keepAlive(): void {
    this.#process.post(this.ttlMs / 3, () => {
      if (this.#state !== 'held' || this.isLost) return
      const sentMs = this.#process.nowMs()
      if (this.#isReached() && this.#isThere) {
        this.#scheduler.post(undefined, 1, () => {
          if (this.#isThere) this.#storeUntilMs = this.#scheduler.nowMs + this.ttlMs
        })
        this.#process.post(2, () => (this.#heldUntilMs = Math.max(this.#heldUntilMs, sentMs + this.ttlMs * MARGIN)))
      } else if (this.#isReached()) this.#lose()
      this.#keepAlive()
    })
  }

  #lose(): void {
    if (this.#state !== 'held') return
    this.#state = 'lost'
    for (const run of this.#listeners.splice(0)) run()
  }
}
