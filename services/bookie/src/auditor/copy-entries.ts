import { CodedError, entryId, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import type { BookieDirectory, BookieNode, StoredEntry } from '@strata/ledger-client'
import { hasValidDigest, type RepairTask } from '@strata/ledger-protocol'
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

/** A stretch: what is read at once, and written without waiting for its answers one by one. */
const READ_BYTES_MAX = 512 * 1024
const READ_ENTRIES_MAX = 4_000
/** Stretches being written while the next one is read: one on the disk, one on its way to it. */
const WRITES_MAX = 2
/** Entries of a striped ledger are asked for one by one, so many at a time. */
const STRIPE_BATCH = 64

type Part = RepairTask['parts'][number]

/**
 * Copies what a task says to its target: each entry from a node that has it, digest verified, written as recovery writes, and
 * synced there when this resolves. `every`: the size of the ensemble, which stripes go by. The next stretch is read while
 * `WRITES_MAX` before it are being written; no more is in memory.
 */
export async function copyEntries(
  id: LedgerId,
  { to, parts, every }: { to: BookieId; parts: readonly Part[]; every: number },
  doors: CopyDoors
): Promise<CopyResult> {
  const target = doors.directory.node(to)
  if (target === undefined) return { kind: 'refused', by: to, why: 'it cannot be reached' }
  const writes: Promise<string | undefined>[] = []
  for (const part of parts) {
    for (let next: EntryId | undefined = part.first; next !== undefined;) {
      if (!doors.isWanted()) return { kind: 'unwanted' }
      const stretch = await readStretch(id, { part, first: next, every }, doors)
      const failure = await settle(writes, stretch.unreadable === undefined ? WRITES_MAX - 1 : 0)
      if (failure !== undefined) return { kind: 'refused', by: to, why: failure }
      if (stretch.unreadable !== undefined) return stretch.unreadable
      writes.push(writeStretch(target, id, stretch.entries, doors))
      next = stretch.next
    }
  }
  const failure = await settle(writes, 0)
  return failure === undefined ? { kind: 'copied' } : { kind: 'refused', by: to, why: failure }
}

/** Waits until no more than so many are under way. Resolves with why one of the others failed. */
async function settle(writes: Promise<string | undefined>[], left: number): Promise<string | undefined> {
  while (writes.length > left) {
    const failure = await writes.shift()
    if (failure !== undefined) return failure
  }
  return undefined
}

interface Stretch {
  readonly entries: readonly StoredEntry[]
  /** undefined: the part is done. */
  readonly next: EntryId | undefined
  readonly unreadable?: CopyResult & { readonly kind: 'unreadable' }
}

async function readStretch(
  id: LedgerId,
  { part, first, every }: { part: Part; first: EntryId; every: number },
  doors: CopyDoors
): Promise<Stretch> {
  const wanted = idsOf(part, first, every)
  if (wanted.length === 0) return { entries: [], next: undefined }
  const isStriped = part.remainder !== undefined
  const reads = isStriped
    ? await Promise.all(wanted.map(entry => readFromAny(id, { first: entry, last: entry, from: part.from }, doors)))
    : [await readFromAny(id, { first, last: part.last, from: part.from }, doors)]
  const entries: StoredEntry[] = []
  for (const read of reads) {
    if (read.entries.length === 0) {
      const unreadable = { kind: 'unreadable' as const, entryId: read.first }
      return { entries, next: undefined, unreadable }
    }
    entries.push(...read.entries)
  }
  const next = entryId((entries.at(-1)?.entryId ?? first) + 1)
  return { entries, next: next > part.last ? undefined : next }
}

/** Ids that one step reads: for a striped part those of its stripe, else only the first is named. */
function idsOf({ remainder, last }: Part, first: EntryId, every: number): EntryId[] {
  if (remainder === undefined) return [first]
  const ids: EntryId[] = []
  const start = first + ((((remainder - first) % every) + every) % every)
  for (let next = start; next <= last && ids.length < STRIPE_BATCH; next += every) ids.push(entryId(next))
  return ids
}

interface AnyRead {
  readonly first: EntryId
  readonly entries: readonly StoredEntry[]
}

/** As many good entries from `first` on as the first node gives that gives any. */
async function readFromAny(
  ledgerId: LedgerId,
  { first, last, from }: { first: EntryId; last: EntryId; from: readonly BookieId[] },
  { directory, onBad }: CopyDoors
): Promise<AnyRead> {
  for (const bookie of from) {
    try {
      const limits = { bytesMax: READ_BYTES_MAX, entriesMax: READ_ENTRIES_MAX, fence: false }
      const answer = await directory.node(bookie)?.read({ ledgerId, first, last, ...limits })
      if (answer === undefined) continue
      const entries = goodRun(ledgerId, answer.entries, { first, last })
      if (entries.length > 0) return { first, entries }
      onBad(bookie, first)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
    }
  }
  return { first, entries: [] }
}

/** What follows without a gap, and carries the digest of what it holds. */
function goodRun(
  ledgerId: LedgerId,
  entries: readonly StoredEntry[],
  { first, last }: { first: EntryId; last: EntryId }
): readonly StoredEntry[] {
  // no spread: it is a call into the runtime for each entry
  const end = entries.findIndex(({ entryId: id, lac, lengthBytes, crc32c, payload }, i) => {
    return (
      id !== first + i || id > last || !hasValidDigest({ ledgerId, entryId: id, lac, lengthBytes, crc32c, payload })
    )
  })
  return end === -1 ? entries : entries.slice(0, end)
}

/** Resolves when all are synced, or with why one was not taken. */
async function writeStretch(
  target: BookieNode,
  ledgerId: LedgerId,
  entries: readonly StoredEntry[],
  { rate, onCopied }: CopyDoors
): Promise<string | undefined> {
  if (entries.length === 0) return undefined
  const bytes = entries.reduce((sum, { payload }) => sum + payload.length, 0)
  await rate.take(bytes)
  const failure = await new Promise<string | undefined>(resolve => {
    const last = entries.at(-1)?.entryId
    const sink = {
      onAdded: (_: LedgerId, entry: EntryId) => {
        if (entry === last) resolve(undefined)
      },
      onAddFailed: (_: LedgerId, entry: EntryId, why: string) => resolve(`entry ${entry}: ${why}`)
    }
    for (const { entryId: id, lac, lengthBytes, crc32c, payload } of entries) {
      target.add({ ledgerId, entryId: id, lac, lengthBytes, crc32c, payload, recovery: true }, sink)
    }
  })
  if (failure === undefined) onCopied(bytes)
  return failure
}
