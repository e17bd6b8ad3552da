import {
  MemoryMetadataStore,
  MetadataError,
  type Lease,
  type MetadataStore,
  type Transaction,
  type TransactionResult,
  type Watch,
  type WatchEvent
} from '@strata/metadata'
import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimProcess } from './sim-process.ts'

/** Chances per request, and whether the store can be reached at all. */
export interface MetadataTrouble {
  /** The request never arrives. */
  lost: number
  /** The request is carried out, and its answer lost. */
  ambiguous: number
  /** The request arrives after its sender gave up. */
  late: number
  isDown: boolean
  slowness: number
}

const HEALTHY: Readonly<MetadataTrouble> = { lost: 0, ambiguous: 0, late: 0, isDown: false, slowness: 1 }
const DELAY_MS = 0.3
const TIMEOUT_MS = 60

type Fate = 'answered' | 'lost' | 'ambiguous' | 'late'

/** All that a process asks within one event. */
interface LookMessage {
  readonly fate: Fate
  readonly isEarly: boolean
  readonly answers: (() => void)[]
}

/**
 * The metadata store of the simulated world: the one in memory, reached over a network that delays, and that loses
 * requests and answers when told to. Every process has its own handle.
 *
 * Invariant: what a handle says is what the store said; a request is carried out at most once each time it is sent.
 */
export class SimMetadata {
  readonly store = new MemoryMetadataStore()
  readonly trouble: MetadataTrouble = { ...HEALTHY }
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #leases = new Set<SimLease>()
  transactionCount = 0

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler
    this.#random = random
  }

  heal(): void {
    Object.assign(this.trouble, HEALTHY)
  }

  /** Takes every lease away from its holder, who hears of it later. */
  loseLeases(): void {
    for (const lease of [...this.#leases]) lease.expire()
  }

  handle(process: SimProcess): MetadataStore {
    const { store } = this
    const looks = this.#looksOf(process)
    return {
      get: key => looks(() => store.get(key)),
      scan: options => looks(() => store.scan(options)),
      transact: transaction => this.#ask(process, () => this.#transact(transaction)),
      watch: (prefix, listener) => this.#ask(process, () => this.#watch(process, { prefix, listener })),
      grantLease: ttlMs => this.#ask(process, () => this.#grantLease(process, ttlMs)),
      close: () => Promise.resolve()
    }
  }

  #transact(transaction: Transaction): Promise<TransactionResult> {
    this.transactionCount++
    const changes = transaction.changes.map(change => {
      if (change.kind === 'delete' || !(change.lease instanceof SimLease)) return change
      return { ...change, lease: change.lease.granted }
    })
    return this.store.transact({ ...transaction, changes })
  }

  async #watch(
    process: SimProcess,
    { prefix, listener }: { prefix: string; listener: (events: readonly WatchEvent[]) => void }
  ): Promise<Watch> {
    let isClosed = false
    let lastMs = 0
    const inner = await this.store.watch(prefix, events => {
      lastMs = Math.max(lastMs, this.#scheduler.nowMs + this.#delayMs()) // in order
      process.post(lastMs - this.#scheduler.nowMs, () => {
        if (!isClosed) listener(events)
      })
    })
    return {
      close: () => {
        isClosed = true
        inner.close()
      }
    }
  }

  async #grantLease(process: SimProcess, ttlMs: number): Promise<Lease> {
    const lease = new SimLease(process, await this.store.grantLease(ttlMs), held => this.#leases.delete(held))
    this.#leases.add(lease)
    this.#keepAlive(process, lease)
    return lease
  }

  /** The store's side: a holder that is dead, paused or cut off for its ttl loses the lease. */
  #keepAlive(process: SimProcess, lease: SimLease): void {
    let heardMs = this.#scheduler.nowMs
    const check = (): void => {
      if (!this.#leases.has(lease)) return
      const isHeard = !process.isDead && !process.isPaused && !this.trouble.isDown
      if (isHeard) heardMs = this.#scheduler.nowMs
      if (this.#scheduler.nowMs - heardMs >= lease.ttlMs) lease.expire()
      else this.#scheduler.post(undefined, lease.ttlMs / 4, check)
    }
    this.#scheduler.post(undefined, lease.ttlMs / 4, check)
  }

  /**
   * Questions that change nothing. Those of one event go in one message, whose way there and back is one event: the store is asked
   * as they leave or as the answer arrives, whichever chance says, so that an answer may be as old as the whole way.
   */
  #looksOf(process: SimProcess): <Result>(run: () => Promise<Result>) => Promise<Result> {
    let message: LookMessage | undefined
    let sentAt = -1
    return run =>
      new Promise((resolve, reject) => {
        if (process.isDead) return
        if (message === undefined || sentAt !== this.#scheduler.eventCount) {
          message = this.#sendLooks(process)
          sentAt = this.#scheduler.eventCount
        }
        const { fate, isEarly } = message
        const early = isEarly && fate === 'answered' ? run() : undefined
        message.answers.push(() => {
          if (fate === 'answered') void (early ?? run()).then(resolve, reject)
          else reject(MetadataError.create('UNAVAILABLE', { fate }))
        })
      })
  }

  #sendLooks(process: SimProcess): LookMessage {
    const message: LookMessage = { fate: this.#fate(), isEarly: this.#random.chance(0.5), answers: [] }
    const isAnswered = message.fate === 'answered'
    process.post(isAnswered ? this.#delayMs() + this.#delayMs() : this.#random.between(1, TIMEOUT_MS), () => {
      for (const answer of message.answers) answer()
    })
    return message
  }

  #ask<Result>(process: SimProcess, run: () => Promise<Result>): Promise<Result> {
    const fate = this.#fate()
    return new Promise((resolve, reject) => {
      const giveUp = (afterMs: number): void => {
        process.post(afterMs, () => reject(MetadataError.create('UNAVAILABLE', { fate })))
      }
      const answer = (settle: () => void): void => {
        if (fate === 'answered') process.post(this.#delayMs(), settle)
        else if (fate === 'ambiguous') giveUp(this.#random.between(0, TIMEOUT_MS))
      }
      const arrive = (): void => {
        run().then(
          result => answer(() => resolve(result)),
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- handed on as it came
          (error: unknown) => answer(() => reject(error))
        )
      }
      if (process.isDead) return
      const requestMs = this.#delayMs()
      if (fate === 'lost' || fate === 'late') giveUp(this.#random.between(1, TIMEOUT_MS))
      if (fate === 'late') this.#scheduler.post(undefined, TIMEOUT_MS * this.#random.between(0, 3), arrive)
      if (fate === 'answered' || fate === 'ambiguous') this.#scheduler.post(undefined, requestMs, arrive)
    })
  }

  #fate(): Fate {
    const { lost, ambiguous, late, isDown } = this.trouble
    if (isDown) return 'lost'
    const draw = this.#random.next()
    if (draw < lost) return 'lost'
    if (draw < lost + ambiguous) return 'ambiguous'
    return draw < lost + ambiguous + late ? 'late' : 'answered'
  }

  #delayMs(): number {
    return this.#random.skewed(DELAY_MS * 0.3, DELAY_MS * 5) * this.trouble.slowness
  }
}

/** A lease as its holder sees it: the loss is heard of after it happened. */
class SimLease implements Lease {
  readonly granted: Lease
  readonly #process: SimProcess
  readonly #forget: (lease: SimLease) => void
  #isLost = false
  #listeners: (() => void)[] = []

  constructor(process: SimProcess, granted: Lease, forget: (lease: SimLease) => void) {
    this.#process = process
    this.granted = granted
    this.#forget = forget
  }

  get id(): string {
    return this.granted.id
  }

  get ttlMs(): number {
    return this.granted.ttlMs
  }

  get isLost(): boolean {
    return this.#isLost
  }

  onLost(run: () => void): void {
    if (this.#isLost) run()
    else this.#listeners.push(run)
  }

  async revoke(): Promise<void> {
    this.#forget(this)
    await this.granted.revoke()
  }

  expire(): void {
    this.#forget(this)
    void this.granted.revoke()
    this.#process.post(1, () => {
      this.#isLost = true
      for (const run of this.#listeners.splice(0)) run()
    })
  }
}
