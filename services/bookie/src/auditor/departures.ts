import type { BookieId, Clock, Logger } from '@strata/base'
import { dependenceOn, type LedgerFacts } from '@strata/ledger-protocol'
import { transactUntilAnswered, type Compare, type MetadataStore } from '@strata/metadata'
import { declarationKey, decodeDeclaration, encodeDeclaration } from './care-records.ts'
import type { NodeWatch } from './node-watch.ts'

export interface DepartureDoors {
  readonly metadata: MetadataStore
  readonly nodes: NodeWatch
  readonly clock: Clock
  readonly logger: Logger
  readonly guards: readonly Compare[]
}

/** What still depends on a node that was declared. */
export interface Departure {
  readonly bookieId: BookieId
  readonly kind: 'leaving' | 'destroyed'
  /** Ledgers that name it. */
  readonly ledgers: number
  /** Of these, those that wait for their writer or their recoverer. */
  readonly notClosed: number
}

/** Ends the declarations of nodes on which nothing depends any more. */
export class Departures {
  readonly #doors: DepartureDoors
  #current: readonly Departure[] = []

  constructor(doors: DepartureDoors) {
    this.#doors = doors
  }

  /** As of the last look. */
  get current(): readonly Departure[] {
    return this.#current
  }

  /** `walk` calls for every ledger. @throws MetadataError */
  async settle(walk: (visit: (ledger: LedgerFacts) => void) => Promise<void>): Promise<void> {
    const counts = new Map(this.#doors.nodes.leaving().map(id => [id, { ledgers: 0, notClosed: 0 }]))
    if (counts.size > 0) {
      await walk(ledger => {
        for (const [id, count] of counts) {
          const [first, ...others] = dependenceOn(id, ledger)
          if (first === undefined) continue
          count.ledgers += 1
          if ([first, ...others].some(({ kind }) => kind === 'wait')) count.notClosed += 1
        }
      })
    }
    this.#current = [...counts].map(([bookieId, count]) => {
      return { bookieId, kind: this.#doors.nodes.declaration(bookieId)?.kind ?? 'leaving', ...count }
    })
    for (const { bookieId, ledgers } of this.#current) {
      if (ledgers === 0 && !this.#doors.nodes.takesNewLedgers(bookieId)) await this.#complete(bookieId)
    }
  }

  async #complete(bookieId: BookieId): Promise<void> {
    const { metadata, clock, logger, guards } = this.#doors
    const key = declarationKey(bookieId)
    const stored = await metadata.get(key)
    if (stored === undefined) return
    const value = encodeDeclaration({ ...decodeDeclaration(stored.value), completedAtMs: clock.wallMs() })
    const transaction = {
      compares: [{ key, version: stored.version }, ...guards],
      changes: [{ kind: 'put' as const, key, value }]
    }
    const { committed } = await transactUntilAnswered(metadata, transaction, { clock })
    if (!committed) return
    const fields = { event: 'bookie.departed', bookieId }
    logger.info(fields, 'nothing depends on a node that was declared; it can be switched off')
  }
}
