import { CodedError, every, type BookieId, type Clock, type Logger } from '@strata/base'
import {
  availableBookieKey,
  decodeAvailableBookie,
  encodeAvailableBookie,
  LedgerError,
  type AvailableBookie
} from '@strata/ledger-client'
import {
  MetadataError,
  transactUntilAnswered,
  type Lease,
  type MetadataRecord,
  type MetadataStore
} from '@strata/metadata'

export interface RegistrationOptions {
  readonly metadata: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly leaseMs: number
  /** The node as it is now. Looked at every second. */
  readonly describe: () => Promise<AvailableBookie>
  /** The row is not there, or not any more: what must be true in the metadata before others count with this node. */
  readonly beforeJoining?: () => Promise<void>
  /** Another process runs this node on a newer incarnation: this one must end. Called at most once. */
  readonly onSuperseded: () => void
}

const LOOK_MS = 1_000
/** How often the row is read, to see that it is still there. */
const CHECK_MS = 10_000
/** Less than this part of the disk is no news. */
const FREE_BYTES_STEP = 0.01
const ATTEMPTS_MAX = 5

/**
 * Keeps the node's row in the registry true: under a lease, written anew when the node changes, when the lease was lost,
 * and when the row is not there any more.
 *
 * Invariants
 *   S1  One round at a time; what happens meanwhile is seen by the next one.
 *   S2  The row of a higher incarnation is never replaced: the process that wrote it has the node's newer disk.
 */
export class NodeRegistration {
  readonly #options: RegistrationOptions
  #lease: Lease | undefined
  #announced: AvailableBookie | undefined
  #version = 0
  #checkedMs = 0
  #round: Promise<void> | undefined
  #isFailing = false
  #isOver = false
  #stopLooking: () => void = () => undefined

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** Registered when it resolves. @throws MetadataError */
  async start(): Promise<void> {
    await this.#keepTrue()
    this.#stopLooking = every(this.#options.clock, LOOK_MS, () => this.look())
  }

  /** Something may have changed. */
  look(): void {
    if (this.#isOver) return
    this.#round ??= this.#keepTrue()
      .then(
        () => this.#noteSuccess(),
        (error: unknown) => this.#noteFailure(error)
      )
      .finally(() => {
        this.#round = undefined
      })
  }

  /** Takes the row back. */
  async close(): Promise<void> {
    this.#isOver = true
    this.#stopLooking()
    await this.#round
    await this.#lease?.revoke().catch((error: unknown) => this.#noteFailure(error))
  }

  async #keepTrue(): Promise<void> {
    const { clock, describe } = this.#options
    const now = await describe()
    if (this.#isOver) return
    const isStale = this.#lease?.isLost !== false || isNews(this.#announced, now)
    if (!isStale && clock.nowMs() - this.#checkedMs < CHECK_MS) return
    if (isStale || !(await this.#isThere(now))) await this.#announce(now)
    this.#checkedMs = clock.nowMs()
  }

  async #isThere({ bookieId }: AvailableBookie): Promise<boolean> {
    const record = await this.#options.metadata.get(availableBookieKey(bookieId))
    return record?.version === this.#version
  }

  async #announce(found: AvailableBookie): Promise<void> {
    const { metadata, clock, beforeJoining, describe } = this.#options
    const key = availableBookieKey(found.bookieId)
    let now = found
    for (let attempt = 1; ; attempt++) {
      const record = await metadata.get(key)
      if (incarnationOf(now.bookieId, record) > now.incarnation) {
        this.#supersede()
        return
      }
      if (record === undefined && beforeJoining !== undefined) {
        await beforeJoining()
        now = await describe() // it may have found that the node must not serve
      }
      try {
        const lease = await this.#heldLease()
        const result = await transactUntilAnswered(
          metadata,
          {
            compares: [{ key, version: record?.version ?? 0 }],
            changes: [{ kind: 'put', key, value: encodeAvailableBookie(now), lease }]
          },
          { clock }
        )
        if (result.committed) {
          this.#announced = now
          this.#version = result.revision
          return
        }
      } catch (error) {
        if (!MetadataError.is(error, 'LEASE_LOST') || attempt >= ATTEMPTS_MAX) throw error
        this.#lease = undefined
      }
    }
  }

  async #heldLease(): Promise<Lease> {
    if (this.#lease?.isLost === false) return this.#lease
    const { metadata, leaseMs, logger } = this.#options
    const lease = await metadata.grantLease(leaseMs)
    lease.onLost(() => {
      logger.warn(
        { event: 'bookie.lease_lost' },
        'the cluster does not count with this node until it is registered again'
      )
      this.look()
    })
    this.#lease = lease
    return lease
  }

  #supersede(): void {
    this.#isOver = true
    this.#stopLooking()
    this.#options.logger.error({ event: 'bookie.superseded' }, 'another process runs this node')
    this.#options.onSuperseded()
  }

  #noteSuccess(): void {
    if (this.#isFailing) this.#options.logger.info({ event: 'bookie.registered' }, 'the node is registered again')
    this.#isFailing = false
  }

  #noteFailure(error: unknown): void {
    if (!(error instanceof CodedError)) throw error
    if (this.#isFailing) return
    this.#isFailing = true
    const fields = { event: 'bookie.registration_failed', err: error }
    this.#options.logger.warn(fields, 'the node cannot say of itself in the metadata store what it is')
  }
}

/** A row that this version cannot read names none. */
function incarnationOf(bookieId: BookieId, record: MetadataRecord | undefined): number {
  if (record === undefined) return 0
  try {
    return decodeAvailableBookie(bookieId, record.value).incarnation
  } catch (error) {
    if (LedgerError.is(error, 'METADATA_CORRUPT')) return 0
    throw error
  }
}

function isNews(before: AvailableBookie | undefined, now: AvailableBookie): boolean {
  if (before === undefined) return true
  const moved = Math.abs(before.freeBytes - now.freeBytes)
  const isFreed = moved > Math.max(now.totalBytes, 1) * FREE_BYTES_STEP
  return isFreed || JSON.stringify({ ...before, freeBytes: 0 }) !== JSON.stringify({ ...now, freeBytes: 0 })
}
