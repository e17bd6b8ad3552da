import { ledgerId, type Clock, type LedgerId } from '@strata/base'
import { updateRecord, type AnswerOptions, type MetadataStore } from '@strata/metadata'
import { decodeNextLedgerId, encodeNextLedgerId, LEDGER_IDS_KEY } from './ledger-records.ts'

const BLOCK_IDS = 64

/**
 * Gives out ledger ids. They come from the metadata in blocks, so that most cost no write; what is left of a block when
 * the process ends is never used.
 *
 * Invariant: no id is given twice, by any process; the ids that one process gives ascend.
 */
export class LedgerIds {
  readonly #metadata: MetadataStore
  readonly #options: AnswerOptions
  #next = 0
  #end = 0
  #refilling: Promise<void> | undefined

  constructor(metadata: MetadataStore, options: AnswerOptions) {
    this.#metadata = metadata
    this.#options = options
  }

  /** An id above `after` and above all given before. */
  async take(after: number): Promise<LedgerId> {
    if (after >= this.#next) this.#next = after + 1 // the rest of the block is no use: another process's ids are past it
    while (this.#next >= this.#end) {
      this.#refilling ??= this.#refill().finally(() => (this.#refilling = undefined))
      await this.#refilling
    }
    return ledgerId(this.#next++)
  }

  async #refill(): Promise<void> {
    const floor = this.#next
    const decide = (current: { value: Uint8Array } | undefined): { put: Uint8Array } => {
      const first = Math.max(current === undefined ? 0 : decodeNextLedgerId(current.value), floor)
      return { put: encodeNextLedgerId(first + BLOCK_IDS) }
    }
    const record = await updateRecord(this.#metadata, LEDGER_IDS_KEY, decide, this.#options)
    this.#end = record === undefined ? 0 : decodeNextLedgerId(record.value)
    this.#next = Math.max(this.#next, this.#end - BLOCK_IDS)
  }
}

/** From now on no id up to `above` is given out: for what holds ledgers that the metadata may not know. @throws MetadataError */
export async function raiseLedgerIds(
  metadata: MetadataStore,
  { above, clock }: { above: LedgerId; clock: Clock }
): Promise<void> {
  const decide = (current: { value: Uint8Array } | undefined): { put: Uint8Array } | undefined => {
    const next = current === undefined ? 0 : decodeNextLedgerId(current.value)
    return next > above ? undefined : { put: encodeNextLedgerId(above + 1) }
  }
  await updateRecord(metadata, LEDGER_IDS_KEY, decide, { clock })
}
