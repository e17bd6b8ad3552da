import { hasValidDigest } from '@strata/ledger-protocol'
import type { EntryId, LedgerId } from '@strata/base'
import type { AddFailure, AddSink, BookieNode, EntryRun, RunFailure, RunRequest, StoredEntry } from './contract.ts'

/** Of a run, what goes into the journal at once: small, so that those who wait for the node have their turn between. */
const PIECE_BYTES = 64 * 1024

/** A run of entries that are at hand; undefined: there are none. */
export function runOf(ledgerId: LedgerId, entries: readonly StoredEntry[]): EntryRun | undefined {
  const first = entries.at(0)?.entryId
  const last = entries.at(-1)?.entryId
  if (first === undefined || last === undefined) return undefined
  let payloadBytes = 0
  for (const { payload } of entries) payloadBytes += payload.length
  return { ledgerId, first, last, count: entries.length, payloadBytes, entries: () => entries }
}

/** What a run begins with: its entries up to the first one whose digest is wrong. */
export function goodPartOf(run: EntryRun): EntryRun | undefined {
  const entries = run.entries()
  const bad = damagedAt(run.ledgerId, entries)
  return bad === -1 ? run : runOf(run.ledgerId, entries.slice(0, bad))
}

/** `readRun` for a node that reads entry by entry. */
export async function readRunOf(node: Pick<BookieNode, 'read'>, request: RunRequest): Promise<EntryRun | undefined> {
  const { entries } = await node.read({ ...request, fence: false })
  const { ledgerId, first, last, every } = request
  const end = entries.findIndex(({ entryId }, i) => entryId !== first + i * every || entryId > last)
  return runOf(ledgerId, end === -1 ? entries : entries.slice(0, end))
}

/** A part of a run that waits for its turn. */
export interface RunPiece {
  readonly bytes: number
  readonly start: () => void
}

/** When the pieces of a run are added. */
export interface RunDoors {
  /** Is given them in order, to start each when it likes, or never. */
  readonly hand: (piece: RunPiece) => void
  /** One that was started is answered. */
  readonly onDone: (bytes: number) => void
}

const AT_ONCE: RunDoors = { hand: piece => piece.start(), onDone: () => undefined }

/** `addRun` for a node that adds entry by entry. */
export function addRunTo(
  node: Pick<BookieNode, 'add'>,
  run: EntryRun,
  { hand, onDone }: RunDoors = AT_ONCE
): Promise<RunFailure | undefined> {
  const entries = run.entries()
  const bad = damagedAt(run.ledgerId, entries)
  const damaged = bad === -1 ? undefined : entries[bad]
  if (damaged !== undefined) return Promise.resolve({ entryId: damaged.entryId, failure: 'DAMAGED' })
  return new Promise(resolve => {
    const pieces = piecesOf(entries)
    let left = pieces.length
    for (const piece of pieces) {
      const sink = new PieceSink(piece, failure => {
        left -= 1
        onDone(piece.bytes)
        if (failure !== undefined) resolve(failure)
        else if (left === 0) resolve(undefined)
      })
      hand({ bytes: piece.bytes, start: () => addPiece(node, run.ledgerId, { entries, piece, sink }) })
    }
    if (left === 0) resolve(undefined)
  })
}

function damagedAt(ledgerId: LedgerId, entries: readonly StoredEntry[]): number {
  // no spread: it is a call into the runtime for each entry
  return entries.findIndex(({ entryId, lac, lengthBytes, crc32c, payload }) => {
    return !hasValidDigest({ ledgerId, entryId, lac, lengthBytes, crc32c, payload })
  })
}

/** Places in the run. */
interface Piece {
  readonly from: number
  readonly to: number
  readonly last: EntryId
  readonly bytes: number
}

function piecesOf(entries: readonly StoredEntry[]): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  let bytes = 0
  for (const [i, { entryId, payload }] of entries.entries()) {
    bytes += payload.length
    if (bytes < PIECE_BYTES && i + 1 < entries.length) continue
    pieces.push({ from, to: i + 1, last: entryId, bytes })
    from = i + 1
    bytes = 0
  }
  return pieces
}

function addPiece(
  node: Pick<BookieNode, 'add'>,
  ledgerId: LedgerId,
  { entries, piece, sink }: { entries: readonly StoredEntry[]; piece: Piece; sink: AddSink }
): void {
  for (let i = piece.from; i < piece.to; i++) {
    const entry = entries[i]
    if (entry === undefined) return
    const { entryId, lac, lengthBytes, crc32c, payload } = entry
    node.add({ ledgerId, entryId, lac, lengthBytes, crc32c, payload, recovery: true }, sink)
  }
}

/** Adds through one sink are answered in order: the last one's answer is all of theirs, the first failure is the end. */
class PieceSink implements AddSink {
  readonly #piece: Piece
  #end: ((failure: RunFailure | undefined) => void) | undefined

  constructor(piece: Piece, end: (failure: RunFailure | undefined) => void) {
    this.#piece = piece
    this.#end = end
  }

  onAdded(_ledgerId: LedgerId, entryId: EntryId): void {
    if (entryId === this.#piece.last) this.#finish(undefined)
  }

  onAddFailed(_ledgerId: LedgerId, entryId: EntryId, failure: AddFailure): void {
    this.#finish({ entryId, failure })
  }

  #finish(failure: RunFailure | undefined): void {
    const end = this.#end
    this.#end = undefined
    end?.(failure)
  }
}
