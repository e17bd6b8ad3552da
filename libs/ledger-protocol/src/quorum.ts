import { strict as assert } from 'node:assert'
import type { BookieId, EntryId, LedgerId } from '@strata/base'

/** E ≥ Qw ≥ Qa ≥ 1. */
export interface QuorumConfig {
  readonly ensembleSize: number
  readonly writeQuorum: number
  readonly ackQuorum: number
}

export interface LedgerEnd {
  /** NO_ENTRY for an empty ledger. */
  readonly lastEntryId: EntryId
  readonly lengthBytes: number
}

/** Where entries from `firstEntryId` on are, until the next ensemble begins. */
export interface Ensemble {
  readonly firstEntryId: EntryId
  readonly bookies: readonly BookieId[]
}

/** One entry as a writer sends it. `crc32c` covers (ledger, entry, LAC, length, payload), see `entryDigest`. */
export interface EntryAdd {
  readonly ledgerId: LedgerId
  readonly entryId: EntryId
  readonly lac: EntryId
  /** Payload bytes of the ledger up to and including this entry. */
  readonly lengthBytes: number
  readonly crc32c: number
  readonly payload: Buffer
  /** A recoverer's write-back: admitted although the ledger is fenced. */
  readonly recovery: boolean
}

/** An entry as a node gives it back. */
export interface StoredEntry {
  readonly entryId: EntryId
  readonly payload: Buffer
  readonly lac: EntryId
  readonly lengthBytes: number
  readonly crc32c: number
}

export type AddFailure = 'FENCED' | 'READ_ONLY' | 'STORAGE_FAILED' | 'UNREACHABLE' | 'WRONG_NODE'

export function checkQuorum({ ensembleSize, writeQuorum, ackQuorum }: QuorumConfig): void {
  assert(Number.isInteger(ackQuorum) && ackQuorum >= 1, `ack quorum ${ackQuorum}`)
  assert(Number.isInteger(writeQuorum) && writeQuorum >= ackQuorum, `write quorum ${writeQuorum}`)
  assert(Number.isInteger(ensembleSize) && ensembleSize >= writeQuorum, `ensemble size ${ensembleSize}`)
}

/** Round-robin striping: entry e goes to the ensemble positions e, e+1 … e+Qw-1, modulo E. */
export function writeSet(entryId: EntryId, { ensembleSize, writeQuorum }: QuorumConfig): number[] {
  const places: number[] = []
  for (let i = 0; i < writeQuorum; i++) places.push((entryId + i) % ensembleSize)
  return places
}

/** Do two positions of an ensemble hold copies of one entry? */
export function sharesWriteSet(a: number, b: number, { ensembleSize, writeQuorum }: QuorumConfig): boolean {
  const apart = Math.abs(a - b)
  return Math.min(apart, ensembleSize - apart) < writeQuorum
}

/** Has every write set at least `count` positions that `isGood` says yes to? */
export function everyWriteSetHas(
  count: number,
  { ensembleSize, writeQuorum }: QuorumConfig,
  isGood: (index: number) => boolean
): boolean {
  for (let start = 0; start < ensembleSize; start++) {
    let good = 0
    for (let i = 0; i < writeQuorum; i++) if (isGood((start + i) % ensembleSize)) good += 1
    if (good < count) return false
  }
  return true
}

/** The ensembles of a ledger after a change: another one from `first` on, or in the place of one that begins there. */
export function withEnsemble(ensembles: readonly Ensemble[], next: Ensemble): Ensemble[] {
  const last = ensembles.at(-1)
  assert(last === undefined || last.firstEntryId <= next.firstEntryId, 'ensembles ascend')
  return [...ensembles.filter(({ firstEntryId }) => firstEntryId < next.firstEntryId), next]
}

/** How many members of a write set must say no, so that the rest cannot be an ack quorum. */
export function blockingQuorum({ writeQuorum, ackQuorum }: QuorumConfig): number {
  return writeQuorum - ackQuorum + 1
}

/** The ensemble that holds the entry. `ensembles` begin at entry 0 and ascend. */
export function ensembleOf(entryId: EntryId, ensembles: readonly Ensemble[]): Ensemble {
  const ensemble = ensembles.findLast(({ firstEntryId }) => firstEntryId <= entryId)
  assert(ensemble !== undefined, 'the first ensemble begins at entry 0')
  return ensemble
}

/** The nodes of an entry's write set. */
export function membersOf(entryId: EntryId, quorum: QuorumConfig, ensembles: readonly Ensemble[]): BookieId[] {
  const { bookies } = ensembleOf(entryId, ensembles)
  const members: BookieId[] = []
  for (let i = 0; i < quorum.writeQuorum; i++) {
    const bookie = bookies[(entryId + i) % quorum.ensembleSize]
    assert(bookie !== undefined, 'an ensemble has E members')
    members.push(bookie)
  }
  return members
}
