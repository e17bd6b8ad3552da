import { ledgerId, type Clock, type LedgerId } from '@strata/base'
import {
  transactUntilAnswered,
  updateRecord,
  type AnswerOptions,
  type Compare,
  type MetadataStore
} from '@strata/metadata'
import { LedgerError } from './errors.ts'
import {
  CLUSTER_ID_KEY,
  decodeNextLedgerId,
  encodeNextLedgerId,
  LEDGER_IDS_FLOOR_KEY,
  LEDGER_IDS_KEY
} from './ledger-records.ts'

const BLOCK_IDS = 64
/** More than a cluster gives out while one of its nodes is away. */
const FORGOTTEN_IDS = 1_000_000

/** An id, and what must hold in the metadata for a ledger to be made with it: otherwise `drop` what is left, and take another. */
export interface TakenId {
  readonly id: LedgerId
  readonly guards: readonly Compare[]
}

export interface LedgerIdsOptions extends AnswerOptions {
  /** The store must name this cluster, from when a block is taken until its ledgers are made. */
  readonly clusterId?: string | undefined
}

/**
 * Gives out ledger ids. They come from the metadata in blocks, so that most cost no write; what is left of a block when
 * the process ends is never used.
 *
 * Invariants
 *   I1  No id is given twice, by any process; the ids that one process gives ascend.
 *   I2  No ledger is made in a store that does not name the cluster: one that was emptied, or put in the place of another,
 *       knows nothing of the ids that nodes have.
 */
export class LedgerIds {
  readonly #metadata: MetadataStore
  readonly #options: LedgerIdsOptions
  #next = 0
  #end = 0
  #guards: readonly Compare[] = []
  #refilling: Promise<void> | undefined

  constructor(metadata: MetadataStore, options: LedgerIdsOptions) {
    this.#metadata = metadata
    this.#options = options
  }

  /** An id above `after` and above all given before. @throws MetadataError; LedgerError FOREIGN_STORE */
  async take(after: number): Promise<TakenId> {
    if (after >= this.#next) this.#next = after + 1 // the rest of the block is no use: another process's ids are past it
    while (this.#next >= this.#end) {
      this.#refilling ??= this.#refill().finally(() => (this.#refilling = undefined))
      await this.#refilling
    }
    return { id: ledgerId(this.#next++), guards: this.#guards }
  }

  /** A guard of an id did not hold: neither does it for the others of its block. */
  drop({ guards }: TakenId): void {
    if (guards === this.#guards) this.#end = this.#next
  }

  async #refill(): Promise<void> {
    // Read before the ids are taken: what is written between is found by the guards.
    const [floorRecord, cluster] = await Promise.all([
      updateRecord(this.#metadata, LEDGER_IDS_FLOOR_KEY, () => undefined, this.#options),
      this.#cluster()
    ])
    const floor = this.#next
    const decide = (current: { value: Uint8Array } | undefined): { put: Uint8Array } => {
      const first = Math.max(current === undefined ? 0 : decodeNextLedgerId(current.value), floor)
      return { put: encodeNextLedgerId(first + BLOCK_IDS) }
    }
    const record = await updateRecord(this.#metadata, LEDGER_IDS_KEY, decide, this.#options)
    this.#guards = [{ key: LEDGER_IDS_FLOOR_KEY, version: floorRecord?.version ?? 0 }, ...cluster]
    this.#end = record === undefined ? 0 : decodeNextLedgerId(record.value)
    this.#next = Math.max(this.#next, this.#end - BLOCK_IDS)
  }

  /** What holds as long as the store names the cluster as it does now. */
  async #cluster(): Promise<Compare[]> {
    const { clusterId } = this.#options
    if (clusterId === undefined) return []
    const record = await this.#metadata.get(CLUSTER_ID_KEY)
    const found = record === undefined ? '' : Buffer.from(record.value).toString()
    if (record === undefined || found !== clusterId) throw LedgerError.create('FOREIGN_STORE', { clusterId, found })
    return [{ key: CLUSTER_ID_KEY, version: record.version }]
  }
}

/**
 * From now on no id up to `above` is given out: for what holds ledgers that the metadata may not know. Where the metadata was
 * not past them already, it has forgotten what it gave out: then whoever is not there may hold higher ones, so many are
 * passed over, and none is used any more that the forgetful store gave out since. @throws MetadataError
 */
export async function raiseLedgerIds(
  metadata: MetadataStore,
  { above, clock }: { above: LedgerId; clock: Clock }
): Promise<void> {
  const isPast = (value: Uint8Array | undefined): boolean => value !== undefined && decodeNextLedgerId(value) > above
  if (isPast((await metadata.get(LEDGER_IDS_KEY))?.value)) return
  const decide = (current: { value: Uint8Array } | undefined): { put: Uint8Array } | undefined =>
    isPast(current?.value) ? undefined : { put: encodeNextLedgerId(above + 1 + FORGOTTEN_IDS) }
  await updateRecord(metadata, LEDGER_IDS_KEY, decide, { clock })
  await retireLedgerIds(metadata, { clock })
}

/**
 * For a store that was set back to an older copy, or emptied: from now on no id is given out that it may have given out since, and
 * none up to `above`. Whatever it says it gave out last, more went, to ledgers that may be deleted by now while a node that
 * is away has entries of them. @throws MetadataError
 */
export async function passOverLedgerIds(
  metadata: MetadataStore,
  { above, clock }: { above: number; clock: Clock }
): Promise<void> {
  const decide = (current: { value: Uint8Array } | undefined): { put: Uint8Array } => {
    const next = current === undefined ? 0 : decodeNextLedgerId(current.value)
    return { put: encodeNextLedgerId(Math.max(next, above + 1) + FORGOTTEN_IDS) }
  }
  await updateRecord(metadata, LEDGER_IDS_KEY, decide, { clock })
  await retireLedgerIds(metadata, { clock })
}

/**
 * From now on no ledger is made with an id that was given out before, in a block that some process has not used up. Returns the
 * lowest id that a ledger can be made with. @throws MetadataError
 */
export async function retireLedgerIds(metadata: MetadataStore, options: AnswerOptions): Promise<number> {
  for (;;) {
    const ids = await metadata.get(LEDGER_IDS_KEY)
    const next = ids === undefined ? 0 : decodeNextLedgerId(ids.value)
    const compares = [{ key: LEDGER_IDS_KEY, version: ids?.version ?? 0 }]
    const change = { kind: 'put', key: LEDGER_IDS_FLOOR_KEY, value: encodeNextLedgerId(next) } as const
    const { committed } = await transactUntilAnswered(metadata, { compares, changes: [change] }, options)
    if (committed) return next
  }
}
