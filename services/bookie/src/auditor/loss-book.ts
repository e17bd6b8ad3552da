import type { Clock, LedgerId, Logger } from '@strata/base'
import type { LostStripe } from '@strata/ledger-protocol'
import { updateRecord, type MetadataStore } from '@strata/metadata'
import { decodeLoss, encodeLoss, lossKey, type LostEntries } from './care-records.ts'

const CAUSE = 'no node that is there has a good copy, and none that is away can have one'

/** Says once of each ledger what of it is lost for good: in the metadata, so that the next leader does not say it again. */
export class LossBook {
  readonly #metadata: MetadataStore
  readonly #clock: Clock
  readonly #log: Logger

  constructor(options: { metadata: MetadataStore; clock: Clock; logger: Logger }) {
    this.#metadata = options.metadata
    this.#clock = options.clock
    this.#log = options.logger
  }

  /** Entries that wait for a node are not lost. @throws MetadataError */
  async note(ledgerId: LedgerId, stripes: readonly LostStripe[], every: number): Promise<void> {
    const lost = stripes.flatMap(({ first, last, remainder, waitsFor }): LostEntries[] => {
      if (waitsFor.length > 0) return []
      return [{ first, last, stripe: remainder === undefined ? undefined : { remainder, every } }]
    })
    if (lost.length > 0) await this.record(ledgerId, { lost, cause: CAUSE })
  }

  /** @throws MetadataError */
  async record(ledgerId: LedgerId, { lost, cause }: { lost: readonly LostEntries[]; cause: string }): Promise<void> {
    const reportedAtMs = this.#clock.wallMs()
    const told = { isNews: false }
    await updateRecord(
      this.#metadata,
      lossKey(ledgerId),
      current => {
        const known = current === undefined ? [] : decodeLoss(current.value).lost
        const fresh = lost.filter(each => !known.some(one => JSON.stringify(one) === JSON.stringify(each)))
        told.isNews = fresh.length > 0
        return told.isNews ? { put: encodeLoss({ lost: [...known, ...fresh], cause, reportedAtMs }) } : undefined
      },
      { clock: this.#clock }
    )
    if (!told.isNews) return
    const fields = { event: 'ledger.entries_lost', ledgerId, lost, cause }
    this.#log.error(fields, 'entries of a ledger are lost')
  }
}
