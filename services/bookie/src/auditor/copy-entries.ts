import { CodedError, entryId, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import {
  goodPartOf,
  type BookieDirectory,
  type BookieNode,
  type CopyAnswer,
  type EntryRun,
  type RunRequest
} from '@strata/ledger-client'
import type { RepairTask } from '@strata/ledger-protocol'
import type { ByteRate } from './byte-rate.ts'

export interface CopyDoors {
  readonly directory: BookieDirectory
  readonly rate: ByteRate
  /** Asked before each step: is the copy still wanted? */
  readonly isWanted: () => boolean
  readonly onCopied: (bytes: number) => void
  /** A node answered, and has the entry not, or has it damaged. */
  readonly onBad: (bookie: BookieId, entryId: EntryId) => void
}

export type CopyResult =
  | { readonly kind: 'copied' }
  | { readonly kind: 'unwanted' }
  /** The target did not take an entry. */
  | { readonly kind: 'refused'; readonly by: BookieId; readonly why: string }
  /** Nobody of those who were to have it gave the entry. */
  | { readonly kind: 'unreadable'; readonly entryId: EntryId }

/** What is read at once, and written before it is answered for. */
const RUN_BYTES_MAX = 1024 * 1024
const RUN_ENTRIES_MAX = 4_000
/** Runs being written while the next one is read: one on the disk, one on its way to it. */
const WRITES_MAX = 2

type Part = RepairTask['parts'][number]

/** What `copyEntries` is to copy. `every`: the size of the ensemble, which stripes go by. */
interface Copy {
  readonly to: BookieId
  readonly parts: readonly Part[]
  readonly every: number
}

/** What a node is asked to copy by itself before it is looked whether that is still wanted. */
const ORDER_BYTES_MAX = 32 * 1024 * 1024
/** Orders one after another of which nothing was copied: then it is not tried again. */
const FRUITLESS_MAX = 2

/**
 * Copies what a task says to its target: each entry from a node that has it, written as recovery writes, and synced there when
 * this resolves. The target fetches them by itself; what it cannot get so, or as it must be, is handed to it in runs: who gives an
 * entry of these compares it with its digest, and so does who stores it; between the two nobody looks. The next run is read
 * while `WRITES_MAX` before it are being written; no more is in memory.
 */
export async function copyEntries(id: LedgerId, { to, parts, every }: Copy, doors: CopyDoors): Promise<CopyResult> {
  const target = doors.directory.node(to)
  if (target === undefined) return { kind: 'refused', by: to, why: 'it cannot be reached' }
  const writes: Promise<CopyResult | undefined>[] = []
  let fruitless = 0
  for (const part of parts) {
    const stripe = { ledgerId: id, last: part.last, every: part.remainder === undefined ? 1 : every }
    let next = firstOf(part, every)
    while (next <= part.last) {
      if (!doors.isWanted()) return { kind: 'unwanted' }
      const range = { ...stripe, first: entryId(next) }
      if (fruitless < FRUITLESS_MAX) {
        const fetched = await fetchRange({ target, range, from: part.from }, doors)
        if ('kind' in fetched) return fetched
        fruitless = fetched.next > next ? 0 : fruitless + 1
        if (fetched.next > next) {
          next = fetched.next
          continue
        }
      }
      const found = await readFromAny(range, part.from, doors, run => run)
      const failure = await settle(writes, found === undefined ? 0 : WRITES_MAX - 1)
      if (failure !== undefined) return failure
      if (found === undefined) return { kind: 'unreadable', entryId: range.first }
      writes.push(writeRun({ target, range, from: part.from }, found, doors))
      next = found.run.last + stripe.every
    }
  }
  return (await settle(writes, 0)) ?? { kind: 'copied' }
}

/** The target's own work; without an entry copied, it is to be given runs. */
async function fetchRange({ target, range, from }: Write, doors: CopyDoors): Promise<CopyAnswer | CopyResult> {
  const nothing = { next: range.first, bytes: 0 }
  // a file is not begun for one entry
  if (target.bulk === undefined || range.first + range.every > range.last) return nothing
  const bytesMax = Math.min(ORDER_BYTES_MAX, doors.rate.stepBytes)
  try {
    const answer = await target.bulk.copyFrom({ ...range, from, bytesMax })
    doors.onCopied(answer.bytes)
    await doors.rate.take(answer.bytes)
    return answer
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    return refusal(target, error.message)
  }
}

/** The first entry of the part's stripe. */
function firstOf({ first, remainder }: Part, every: number): number {
  return remainder === undefined ? first : first + ((((remainder - first) % every) + every) % every)
}

/** Waits until no more than so many are under way. Resolves with how one of the others failed. */
async function settle(writes: Promise<CopyResult | undefined>[], left: number): Promise<CopyResult | undefined> {
  while (writes.length > left) {
    const failure = await writes.shift()
    if (failure !== undefined) return failure
  }
  return undefined
}

type Range = Pick<RunRequest, 'ledgerId' | 'first' | 'last' | 'every'>

interface Found {
  readonly run: EntryRun
  readonly by: BookieId
}

/** What the first node gives that gives anything from the range's first entry on, as far as it is `fit`. */
async function readFromAny(
  range: Range,
  from: readonly BookieId[],
  { directory, onBad }: CopyDoors,
  fit: (run: EntryRun) => EntryRun | undefined
): Promise<Found | undefined> {
  for (const by of from) {
    try {
      const node = directory.node(by)
      if (node === undefined) continue
      const given = await node.readRun({ ...range, bytesMax: RUN_BYTES_MAX, entriesMax: RUN_ENTRIES_MAX })
      const run = given === undefined ? undefined : fit(given)
      if (run !== undefined) return { run, by }
      onBad(by, range.first)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
    }
  }
  return undefined
}

/** Where a run goes, and who has its entries. */
interface Write {
  readonly target: BookieNode
  readonly range: Range
  readonly from: readonly BookieId[]
}

/** Resolves when all of the run is synced, or with how that failed. */
async function writeRun(write: Write, { run, by }: Found, doors: CopyDoors): Promise<CopyResult | undefined> {
  const { target } = write
  await doors.rate.take(run.payloadBytes)
  try {
    const failed = await target.addRun(run)
    if (failed?.failure === 'DAMAGED') {
      doors.onBad(by, failed.entryId)
      return await writeVerified({ ...write, range: { ...write.range, last: run.last } }, doors)
    }
    if (failed !== undefined) return refusal(target, `entry ${failed.entryId}: ${failed.failure}`)
    doors.onCopied(run.payloadBytes)
    return undefined
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    return refusal(target, error.message)
  }
}

/** The same for what came damaged: verified here, so that each entry is taken from a node that has it right. */
async function writeVerified({ target, range, from }: Write, doors: CopyDoors): Promise<CopyResult | undefined> {
  for (let next: number = range.first; next <= range.last;) {
    const rest = { ...range, first: entryId(next) }
    const found = await readFromAny(rest, from, doors, goodPartOf)
    if (found === undefined) return { kind: 'unreadable', entryId: rest.first }
    const { run } = found
    await doors.rate.take(run.payloadBytes)
    const failed = await target.addRun(run)
    if (failed !== undefined) return refusal(target, `entry ${failed.entryId}: ${failed.failure}`)
    doors.onCopied(run.payloadBytes)
    next = run.last + range.every
  }
  return undefined
}

function refusal(target: BookieNode, why: string): CopyResult {
  return { kind: 'refused', by: target.bookieId, why }
}
