import type { Clock } from '@strata/base'
import { MetadataError } from './errors.ts'
import { StoreHoldRowSchema } from './generated/metadata_pb.ts'
import type { MetadataStore } from './metadata-store.ts'
import { rowCodec } from './row-codec.ts'
import { updateRecord } from './update-record.ts'

const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }) => MetadataError.create('STORE_CORRUPT', { ...problem }, cause)
})

export const STORE_HOLD_KEY = 'metadata-hold'

/**
 * Why nobody may act on a store: what it says may be older than what nodes have seen. A ledger's record from before a change of
 * its ensemble, say, names nodes that never got the last entries, and whoever recovered it by that would lose them.
 */
export interface StoreHold {
  /** filling: a restore or an export is under way or was broken off. unchecked: nobody has compared it with the nodes yet. */
  readonly kind: 'filling' | 'unchecked'
  /** For people. */
  readonly reason: string
  readonly sinceMs: number
}

/** How far past what was seen revisions go on, in a store that is older: what was given out since then, nobody can say any more. */
const REVISIONS_PAST = 2 ** 40

/** The floor for the revisions of a store that stands in for one that was seen at `revision`. */
export function revisionPast(revision: number): number {
  return revision + REVISIONS_PAST
}

/** @throws MetadataError */
export async function readStoreHold(store: MetadataStore): Promise<StoreHold | undefined> {
  const record = await store.get(STORE_HOLD_KEY)
  return record === undefined ? undefined : decodeStoreHold(record.value)
}

/** The value of the row, as a watch brings it. A row that this version cannot read holds as well. */
export function decodeStoreHold(value: Uint8Array): StoreHold {
  try {
    const row = codec.decode(StoreHoldRowSchema, value)
    const kind = row.filling === true ? 'filling' : 'unchecked'
    return { kind, reason: row.reason ?? '', sinceMs: Number(row.sinceMs ?? 0n) }
  } catch (error) {
    if (!MetadataError.is(error, 'STORE_CORRUPT')) throw error
    return { kind: 'filling', reason: 'another version of this program says why', sinceMs: 0 }
  }
}

/** One that is there already stays: it was there first for a reason. @throws MetadataError */
export async function holdStore(
  store: MetadataStore,
  hold: Pick<StoreHold, 'kind' | 'reason'>,
  clock: Clock
): Promise<void> {
  await updateRecord(
    store,
    STORE_HOLD_KEY,
    current => (current === undefined ? { put: encode(hold, clock.wallMs()) } : undefined),
    { clock }
  )
}

/** What was being filled is complete. `unchecked`: and is to be compared with the nodes. @throws MetadataError */
export async function endFilling(
  store: MetadataStore,
  { unchecked, clock }: { unchecked: string | undefined; clock: Clock }
): Promise<void> {
  const put = unchecked === undefined ? undefined : encode({ kind: 'unchecked', reason: unchecked }, clock.wallMs())
  await updateRecord(store, STORE_HOLD_KEY, () => (put === undefined ? { delete: true } : { put }), { clock })
}

/** An operator has compared the store with the nodes. False: it was not held. @throws MetadataError STORE_NOT_EMPTY: it is being filled */
export async function liftStoreHold(store: MetadataStore, clock: Clock): Promise<boolean> {
  let wasHeld = false
  await updateRecord(
    store,
    STORE_HOLD_KEY,
    current => {
      wasHeld = current !== undefined
      if (current === undefined) return undefined
      const { kind, reason } = decodeStoreHold(current.value)
      if (kind === 'filling') throw MetadataError.create('STORE_NOT_EMPTY', { reason })
      return { delete: true }
    },
    { clock }
  )
  return wasHeld
}

function encode({ kind, reason }: Pick<StoreHold, 'kind' | 'reason'>, sinceMs: number): Buffer {
  return codec.encode(StoreHoldRowSchema, { filling: kind === 'filling', reason, sinceMs: BigInt(Math.trunc(sinceMs)) })
}
