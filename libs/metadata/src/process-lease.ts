import type { Lease } from './metadata-store.ts'

/** A lease of a store that lives in this process: it is kept as long as the process runs. */
export class ProcessLease implements Lease {
  readonly id: string
  readonly ttlMs: number
  readonly #revoke: (lease: ProcessLease) => Promise<void>
  #state: 'held' | 'lost' | 'revoked' = 'held'
  #listeners: (() => void)[] = []

  constructor(options: { id: string; ttlMs: number; revoke: (lease: ProcessLease) => Promise<void> }) {
    this.id = options.id
    this.ttlMs = options.ttlMs
    this.#revoke = options.revoke
  }

  get isHeld(): boolean {
    return this.#state === 'held'
  }

  get isLost(): boolean {
    return this.#state === 'lost'
  }

  onLost(run: () => void): void {
    if (this.#state === 'lost') run()
    else this.#listeners.push(run)
  }

  /** Idempotent. */
  async revoke(): Promise<void> {
    if (this.#state === 'held') this.#state = 'revoked'
    this.#listeners = []
    await this.#revoke(this)
  }

  lose(): void {
    if (this.#state !== 'held') return
    this.#state = 'lost'
    const listeners = this.#listeners
    this.#listeners = []
    for (const run of listeners) run()
  }
}
