import { reasonOf, type Clock, type Logger } from '@strata/base'
import { MetadataError, transactUntilAnswered, type Lease, type MetadataStore } from '@strata/metadata'
import { ownershipKeys } from './rows.ts'

export interface RegistrationOptions {
  readonly store: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly leaseMs: number
  readonly newInstance: () => string
  /** The row of this broker under that name. */
  readonly describe: (instance: string) => Uint8Array
  /** Registrations that this one takes the place of. */
  readonly replaced: () => readonly string[]
  readonly onRegistered: (instance: string, version: number) => void
  /** The row was written again. */
  readonly onUpdated: (instance: string, version: number) => void
  readonly onLost: () => void
}

const PATIENCE_MS = 2_000
const RETRY_MS = 250

/**
 * This broker's row under `brokers/`, and the lease that it and everything it owns lives under. A lease that is lost, and a
 * registration that is over, are followed by a new lease and a new name, for as long as it takes.
 */
export class Registration {
  readonly #options: RegistrationOptions
  #lease: Lease | undefined
  #instance: string | undefined
  #version = 0
  /** Names whose rows may still be there. */
  readonly #former = new Set<string>()
  #isClosed = false
  #joining: Promise<void> | undefined

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** Undefined between registrations. */
  get lease(): Lease | undefined {
    return this.#lease
  }

  /** Resolves with the first registration, or when it is closed. */
  join(): Promise<void> {
    this.#joining ??= this.#join().finally(() => {
      this.#joining = undefined
    })
    return this.#joining
  }

  /** This registration is over: gives the lease back, with all that lives under it, and registers anew. */
  rejoin(): void {
    const lease = this.#end()
    lease?.revoke().catch(() => undefined) // it ends by itself
    this.#rejoin()
  }

  /** Writes the row again, as it is described now. @throws MetadataError */
  async update(): Promise<void> {
    const [lease, instance] = [this.#lease, this.#instance]
    if (lease === undefined || instance === undefined) return // who registers writes it as it is then
    const { store, clock, describe, onUpdated } = this.#options
    const key = ownershipKeys.broker(instance)
    const changes = [{ kind: 'put', key, value: describe(instance), lease } as const]
    const result = await transactUntilAnswered(
      store,
      { compares: [{ key, version: this.#version }], changes },
      { clock }
    )
    if (!result.committed || instance !== this.#instance) return // it is over, and will be heard of
    this.#version = result.revision
    onUpdated(instance, result.revision)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const lease = this.#end()
    await lease?.revoke().catch((error: unknown) => {
      const fields = { event: 'ownership.revoke_failed', reason: reasonOf(error) }
      this.#options.logger.warn(fields, 'what this broker owned goes with its lease')
    })
  }

  async #join(): Promise<void> {
    while (!this.#isClosed) {
      try {
        // what is told of a registration may end it
        if ((await this.#tryToJoin()) && this.#lease !== undefined) return
      } catch (error) {
        if (!MetadataError.is(error)) throw error
        if (error.code === 'CLOSED') return
        this.#options.logger.debug({ event: 'ownership.join_failed', reason: reasonOf(error) }, 'trying again')
      }
      if (!this.#isStopped()) await new Promise<void>(resolve => this.#options.clock.after(RETRY_MS, resolve))
    }
  }

  async #tryToJoin(): Promise<boolean> {
    const { store, clock, leaseMs, newInstance, describe, replaced, onRegistered } = this.#options
    const lease = await store.grantLease(leaseMs)
    if (this.#isStopped()) {
      lease.revoke().catch(() => undefined)
      return false
    }
    const instance = newInstance()
    const key = ownershipKeys.broker(instance)
    const doomed = new Set([...this.#former, ...replaced()])
    this.#former.add(instance)
    try {
      const result = await transactUntilAnswered(
        store,
        {
          compares: [{ key, version: 0 }],
          changes: [
            { kind: 'put', key, value: describe(instance), lease },
            ...[...doomed].map(name => ({ kind: 'delete', key: ownershipKeys.broker(name) }) as const)
          ]
        },
        { clock, patienceMs: PATIENCE_MS }
      )
      if (result.committed && !lease.isLost && !this.#isClosed) {
        this.#former.clear()
        this.#lease = lease
        this.#instance = instance
        this.#version = result.revision
        onRegistered(instance, result.revision)
        lease.onLost(() => this.#onLost(lease))
        return true
      }
    } catch (error) {
      lease.revoke().catch(() => undefined)
      throw error
    }
    lease.revoke().catch(() => undefined)
    return false
  }

  #onLost(lease: Lease): void {
    if (this.#lease !== lease || this.#isClosed) return
    this.#end()
    this.#options.onLost()
    this.#rejoin()
  }

  /** Never rejects but for a bug, which ends the process. */
  #rejoin(): void {
    if (!this.#isClosed) void this.join()
  }

  #end(): Lease | undefined {
    const lease = this.#lease
    if (this.#instance !== undefined) this.#former.add(this.#instance)
    this.#lease = undefined
    this.#instance = undefined
    return lease
  }

  #isStopped(): boolean {
    return this.#isClosed
  }
}
