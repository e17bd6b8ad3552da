import { CodedError, type BookieId } from '@strata/base'
import { campaign, MetadataError } from '@strata/metadata'
import type { AuditStatus } from './audit-status.ts'
import { AuditTerm, type AuditDoors } from './audit-term.ts'
import { AUDITOR_LEADER_KEY } from './care-records.ts'

export interface AuditorOptions extends AuditDoors {
  /** The node in whose process it runs. */
  readonly bookieId: BookieId
  readonly leaseMs: number
}

const PAUSE_MS = 1_000

/**
 * Runs in every node's process; one of them leads. Stands for election until it is closed, and when it leads, cares for all
 * ledgers of the cluster until it does not lead any more.
 */
export class Auditor {
  readonly #options: AuditorOptions
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #term: AuditTerm | undefined
  #onTerm: (() => void)[] = []

  private constructor(options: AuditorOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  static start(options: AuditorOptions): Auditor {
    return new Auditor(options)
  }

  get leads(): boolean {
    return this.#term !== undefined
  }

  /** undefined: another one leads, or nobody does. */
  status(): AuditStatus | undefined {
    return this.#term?.status()
  }

  /** false: this one does not lead. */
  trigger(kind: 'check' | 'verify'): boolean {
    this.#term?.trigger(kind)
    return this.#term !== undefined
  }

  /** Resolves when this one leads, nothing is due and nothing runs. */
  async settled(): Promise<void> {
    while (this.#term === undefined) await new Promise<void>(resolve => this.#onTerm.push(resolve))
    await this.#term.settled()
  }

  /** Lets another one lead. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#term?.end()
    await this.#running
  }

  async #run(): Promise<void> {
    const { metadata, bookieId, leaseMs, clock, logger } = this.#options
    const { signal } = this.#closing
    const isClosing = (): boolean => signal.aborted
    while (!isClosing()) {
      try {
        const candidacy = { store: metadata, key: AUDITOR_LEADER_KEY, id: bookieId, ttlMs: leaseMs, clock, signal }
        const leadership = await campaign(candidacy)
        try {
          await this.#lead(await AuditTerm.open(this.#options, leadership))
        } finally {
          await leadership.resign().catch(ignoreMetadataErrors)
        }
      } catch (error) {
        if (isClosing()) return
        if (!(error instanceof CodedError)) throw error
        logger.warn(
          { event: 'auditor.interrupted', err: error },
          'the care for ledgers was interrupted; it begins anew'
        )
        await new Promise<void>(resolve => {
          const cancel = clock.after(PAUSE_MS, resolve)
          signal.addEventListener('abort', () => {
            cancel()
            resolve()
          })
        })
      }
    }
  }

  async #lead(term: AuditTerm): Promise<void> {
    const { logger, bookieId } = this.#options
    logger.info({ event: 'auditor.leads', bookieId }, 'this node cares for all ledgers of the cluster')
    this.#term = term
    for (const resolve of this.#onTerm.splice(0)) resolve()
    if (this.#closing.signal.aborted) term.end()
    try {
      await term.run()
    } finally {
      this.#term = undefined
    }
  }
}

function ignoreMetadataErrors(error: unknown): void {
  if (!MetadataError.is(error)) throw error // the record goes with its lease
}
