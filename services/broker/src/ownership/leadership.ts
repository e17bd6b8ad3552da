import type { Clock } from '@strata/base'
import { campaign, MetadataError, type Leadership, type MetadataStore, type Watch } from '@strata/metadata'
import { ownershipKeys } from './rows.ts'

interface LeaderOptions {
  readonly store: MetadataStore
  readonly clock: Clock
  readonly leaseMs: number
}

const RETRY_MS = 500
const RESIGN_MS = 1_000

/** Who leads, and this broker's own candidacy, under the name of its registration. */
export class Leader {
  readonly #options: LeaderOptions
  #watch: Watch | undefined
  #instance: string | undefined
  #version = 0
  #candidacy: AbortController | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(options: LeaderOptions) {
    this.#options = options
  }

  /** The registration of the leader; undefined: there is none, as far as it is known here. */
  get instance(): string | undefined {
    return this.#instance
  }

  /** @throws MetadataError */
  async open(): Promise<void> {
    const key = ownershipKeys.leader
    this.#watch = await this.#options.store.watch(key, events => {
      for (const event of events) if (event.key === key) this.#note(event)
    })
    const record = await this.#options.store.get(key)
    if (record !== undefined) this.#note(record)
  }

  /** Stands for election under that name; a candidacy or leadership under another one ends. */
  stand(instance: string): void {
    this.#candidacy?.abort()
    const candidacy = new AbortController()
    this.#candidacy = candidacy
    this.#running = this.#run(instance, candidacy.signal)
  }

  /** Resigns, if the store is reached; else the leadership goes with its lease. */
  async close(): Promise<void> {
    this.#candidacy?.abort()
    this.#watch?.close()
    let cancel = (): void => undefined
    const enough = new Promise<void>(resolve => (cancel = this.#options.clock.after(RESIGN_MS, resolve)))
    await Promise.race([this.#running, enough])
    cancel()
  }

  #note({ value, version }: { value: Uint8Array | undefined; version: number }): void {
    if (version < this.#version) return
    this.#version = version
    this.#instance = value === undefined ? undefined : Buffer.from(value).toString()
  }

  async #run(id: string, signal: AbortSignal): Promise<void> {
    const { store, clock, leaseMs } = this.#options
    const isOver = (): boolean => signal.aborted
    while (!isOver()) {
      try {
        const leadership = await campaign({ store, key: ownershipKeys.leader, id, ttlMs: leaseMs, clock, signal })
        await ended(leadership, signal)
      } catch (error) {
        if (isOver()) return
        if (!MetadataError.is(error) || error.code === 'CLOSED') throw error
        await new Promise<void>(resolve => clock.after(RETRY_MS, resolve))
      }
    }
  }
}

/** Resolves when it is lost, or resigned since `signal` says so. */
async function ended(leadership: Leadership, signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => {
    leadership.onLost(resolve)
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  if (!leadership.isLost) await leadership.resign().catch(() => undefined) // it goes with its lease
}
