import { CodedError, type BookieId, type Clock, type LedgerId } from '@strata/base'
import {
  LedgerError,
  type BookieNode,
  type BulkCopies,
  type CopyAnswer,
  type CopyOrder,
  type CopyTurns,
  type EntryRecords,
  type RunRequest
} from '@strata/ledger-client'
import { CopyCursor, type CopyStretch } from '@strata/ledger-protocol'
import { systemCode } from '../errors.ts'
import type { CopyLog } from './copy-log.ts'
import type { LentMemory } from './piece-memory.ts'
import { wantedRecords, type WantedRecords } from './wanted-records.ts'

/** Other nodes, by id; undefined: one that cannot be reached now. */
export type FindNode = (id: BookieId) => Pick<BookieNode, 'bulk'> | undefined

export interface NodeCopiesDoors {
  readonly bookieId: BookieId
  readonly clock: Clock
  readonly log: CopyLog
  /** undefined: not even the first one can be read. @throws LedgerError UNAVAILABLE */
  readonly readRecords: (request: RunRequest) => Promise<LentMemory | undefined>
  readonly findNode: FindNode
  /** Why the node stores no copies of the ledger now. @throws LedgerError UNAVAILABLE */
  readonly checkTaken: (ledgerId: LedgerId) => void
  readonly isFenced: (ledgerId: LedgerId) => boolean
  /** Resolves when the fence is synced. @throws LedgerError UNAVAILABLE */
  readonly fence: (ledgerId: LedgerId) => Promise<void>
}

/** Asked for at once, and the most that is taken for it. */
const PIECE_BYTES = 1024 * 1024
const PIECE_BYTES_MAX = 2 * PIECE_BYTES
const PIECE_ENTRIES_MAX = 4_096
/** On their way at a time, for each order: one at the other node's disk, one on the wire, one at this node's disk. */
const PULLS = 3
const ORDER_BYTES_MAX = 64 * 1024 * 1024
/** Then what is there is stored and answered, so that whoever waits does so for less than its time-out. */
const ORDER_MS_MAX = 5_000

const AT_ONCE: CopyTurns = { begin: () => Promise.resolve(true), end: () => undefined }

interface Copy {
  readonly order: CopyOrder
  readonly turns: CopyTurns
  readonly cursor: CopyCursor
  readonly stored: Promise<void>[]
  isFenced: boolean
}

interface Given {
  readonly records: EntryRecords
  readonly wanted: WantedRecords
}

/**
 * Copies between nodes, both sides of them: gives records of its files as they stand there, and fetches those of others,
 * compares them with their digests, and stores them as they came.
 */
export class NodeCopies implements BulkCopies {
  readonly #doors: NodeCopiesDoors

  constructor(doors: NodeCopiesDoors) {
    this.#doors = doors
  }

  async readRecords(request: RunRequest): Promise<EntryRecords | undefined> {
    const { readRecords, isFenced } = this.#doors
    const records = await readRecords(request)
    return records && { ...records, isFenced: isFenced(request.ledgerId) }
  }

  async copyFrom(order: CopyOrder, turns: CopyTurns = AT_ONCE): Promise<CopyAnswer> {
    const { clock, log, fence, isFenced, checkTaken } = this.#doors
    const { ledgerId, first, last, every } = order
    checkTaken(ledgerId)
    const bytesMax = Math.min(order.bytesMax, ORDER_BYTES_MAX)
    const cursor = new CopyCursor({ first, last, every, bytesMax, stretchBytes: PIECE_BYTES })
    const copy: Copy = { order, turns, cursor, stored: [], isFenced: false }
    const cancel = clock.after(ORDER_MS_MAX, () => cursor.stop())
    try {
      await Promise.all(Array.from({ length: PULLS }, () => this.#pull(copy)))
      if (copy.stored.length > 0) void log.commit()
      await Promise.all(copy.stored)
    } catch (error) {
      if (systemCode(error) === 'UNKNOWN') throw error // a bug
      throw LedgerError.create('UNAVAILABLE', { ledgerId, reason: 'STORAGE_FAILED' }, error)
    } finally {
      cancel()
    }
    if (copy.isFenced && !isFenced(ledgerId)) await fence(ledgerId)
    return { next: cursor.next, bytes: cursor.bytes }
  }

  async #pull(copy: Copy): Promise<void> {
    const { cursor, turns } = copy
    for (let stretch = cursor.take(); stretch !== undefined; stretch = cursor.take()) {
      if (!(await turns.begin(stretch.bytes))) {
        cursor.fail(stretch)
        return
      }
      try {
        await this.#fetch(copy, stretch)
      } catch (error) {
        cursor.stop()
        throw error
      } finally {
        turns.end(stretch.bytes)
      }
    }
  }

  async #fetch(copy: Copy, stretch: CopyStretch): Promise<void> {
    const { ledgerId, every } = copy.order
    for (let left: CopyStretch | undefined = stretch; left !== undefined;) {
      const given = await this.#ask(copy.order, left)
      if (given === undefined) {
        copy.cursor.fail(left)
        return
      }
      const { records, wanted } = given
      const { sizes, end, lac, payloadBytes } = wanted
      const bytes = records.bytes.subarray(0, end)
      const { stored } = await this.#doors.log.append({ ledgerId, first: left.first, every, sizes, lac, bytes })
      copy.stored.push(stored)
      copy.isFenced ||= records.isFenced
      left = copy.cursor.give(left, { count: sizes.length, bytes: payloadBytes })
    }
  }

  /** What the first node gives that has the stretch's first entry as it must be. */
  async #ask({ ledgerId, every, from }: CopyOrder, { first, last }: CopyStretch): Promise<Given | undefined> {
    const limits = { bytesMax: PIECE_BYTES_MAX, entriesMax: PIECE_ENTRIES_MAX }
    for (const by of from) {
      const bulk = by === this.#doors.bookieId ? undefined : this.#doors.findNode(by)?.bulk
      try {
        const records = await bulk?.readRecords({ ledgerId, first, last, every, ...limits })
        if (records === undefined) continue
        const wanted = wantedRecords(records.bytes, { ledgerId, first, last, every })
        if (wanted.sizes.length > 0) return { records, wanted }
      } catch (error) {
        if (!(error instanceof CodedError)) throw error
      }
    }
    return undefined
  }
}
