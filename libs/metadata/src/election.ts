import { systemClock, type Clock } from '@strata/base'
import { MetadataError } from './errors.ts'
import type { Lease, MetadataStore, Watch } from './metadata-store.ts'
import { transactUntilAnswered } from './update-record.ts'

export interface Candidacy {
  readonly store: MetadataStore
  /** The record that the leader holds. */
  readonly key: string
  /** What it says; any text that tells the candidates apart. */
  readonly id: string
  readonly ttlMs: number
  readonly clock?: Clock
  /** Ends the candidacy; a leadership that was won is not affected. */
  readonly signal?: AbortSignal
}

/**
 * Held until it is lost or resigned.
 *
 * `version` grows from leadership to leadership. As with every lease, a leader that was paused may believe for a moment
 * that it still leads when another does: what must never be done by two names the record's version in its compares.
 */
export interface Leadership {
  readonly key: string
  readonly version: number
  readonly isLost: boolean
  /** Fires once, when it is lost (never after `resign`). */
  onLost(run: () => void): void
  /** Gives the record up at once. Idempotent. @throws MetadataError UNAVAILABLE: the record goes with its lease */
  resign(): Promise<void>
}

const RETRY_MS = 500

/**
 * Resolves when `id` leads: the record at `key` is its own, under a lease of its own. Waits for as long as another leads and
 * for as long as the store gives no answer.
 * @throws MetadataError what does not pass by waiting; the signal's reason when it is aborted
 */
export async function campaign(candidacy: Candidacy): Promise<Leadership> {
  const { store, key, signal } = candidacy
  const clock = candidacy.clock ?? systemClock
  for (;;) {
    signal?.throwIfAborted()
    try {
      const vacancy = await Vacancy.watch(store, key)
      try {
        await vacancy.wait(signal)
        const leadership = await tryToLead(candidacy)
        if (leadership !== undefined) return leadership
      } finally {
        vacancy.close()
      }
    } catch (error) {
      if (!MetadataError.is(error) || !(error.retryable || error.code === 'LEASE_LOST')) throw error
      await new Promise<void>(resolve => clock.after(RETRY_MS, resolve))
    }
  }
}

/** Undefined: someone else was faster. */
async function tryToLead({ store, key, id, ttlMs, clock }: Candidacy): Promise<Leadership | undefined> {
  const lease = await store.grantLease(ttlMs)
  try {
    const transaction = {
      compares: [{ key, version: 0 }],
      changes: [{ kind: 'put', key, value: new TextEncoder().encode(id), lease } as const]
    }
    const result = await transactUntilAnswered(store, transaction, clock === undefined ? {} : { clock })
    if (result.committed) {
      const { revision } = result
      return await HeldLeadership.of(store, { lease, key, version: revision })
    }
  } catch (error) {
    // whatever became of the record, it goes with its lease
    await lease.revoke().catch(() => undefined)
    throw error
  }
  await lease.revoke()
  return undefined
}

/** Lost with its lease, or when anyone else writes or deletes the record. */
class HeldLeadership implements Leadership {
  readonly key: string
  readonly version: number
  readonly #lease: Lease
  #watch: Watch | undefined
  #state: 'held' | 'lost' | 'resigned' = 'held'
  #listeners: (() => void)[] = []

  private constructor(options: { lease: Lease; key: string; version: number }) {
    this.key = options.key
    this.version = options.version
    this.#lease = options.lease
  }

  static async of(
    store: MetadataStore,
    options: { lease: Lease; key: string; version: number }
  ): Promise<HeldLeadership> {
    const held = new HeldLeadership(options)
    options.lease.onLost(() => held.#lose())
    held.#watch = await store.watch(held.key, events => {
      if (events.some(({ key, version }) => key === held.key && version > held.version)) held.#lose()
    })
    try {
      const record = await store.get(held.key)
      if (record?.version !== held.version) held.#lose()
    } catch (error) {
      held.#watch.close()
      throw error
    }
    return held
  }

  get isLost(): boolean {
    if (this.#lease.isLost) this.#lose()
    return this.#state === 'lost'
  }

  onLost(run: () => void): void {
    if (this.isLost) run()
    else this.#listeners.push(run)
  }

  async resign(): Promise<void> {
    if (this.#state === 'held') this.#end('resigned')
    await this.#lease.revoke()
  }

  #lose(): void {
    if (this.#state !== 'held') return
    const listeners = this.#listeners
    this.#end('lost')
    for (const run of listeners) run()
  }

  #end(state: 'lost' | 'resigned'): void {
    this.#state = state
    this.#listeners = []
    this.#watch?.close()
  }
}

/** Knows whether there is a record at `key`. */
class Vacancy {
  readonly #key: string
  #watch: Watch | undefined
  #isTaken = false
  #lastVersion = 0
  #wake = (): void => undefined

  private constructor(key: string) {
    this.#key = key
  }

  static async watch(store: MetadataStore, key: string): Promise<Vacancy> {
    const vacancy = new Vacancy(key)
    vacancy.#watch = await store.watch(key, events => {
      for (const event of events) {
        if (event.key === key) vacancy.#note(event.value !== undefined, event.version)
      }
    })
    try {
      const record = await store.get(key)
      if (record !== undefined) vacancy.#note(true, record.version)
    } catch (error) {
      vacancy.close()
      throw error
    }
    return vacancy
  }

  async wait(signal: AbortSignal | undefined): Promise<void> {
    const wake = (): void => this.#wake()
    signal?.addEventListener('abort', wake)
    try {
      while (this.#isTaken) {
        signal?.throwIfAborted()
        await new Promise<void>(resolve => (this.#wake = resolve))
      }
      signal?.throwIfAborted()
    } finally {
      signal?.removeEventListener('abort', wake)
    }
  }

  close(): void {
    this.#watch?.close()
  }

  #note(isTaken: boolean, version: number): void {
    if (version < this.#lastVersion) return
    this.#lastVersion = version
    this.#isTaken = isTaken
    this.#wake()
  }
}
