import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { EntryId, LedgerId } from '@strata/base'
import { bookieErrors } from '../errors.ts'
import type { FileKind } from '../format/file-header.ts'
import { PAGE_SLOTS } from '../format/page.ts'
import { FileRowSchema, IndexCheckpointSchema, LedgerRowSchema } from '../generated/bookie_pb.ts'
import type { LedgerState } from './ledger-state.ts'

/*
  Keys of the index, numbers big-endian:
    'c'                        checkpoint
    'd' ledger id (8)          the ledger was deleted; no value
    'f' file number (4)        what a file holds
    'l' ledger id (8)          fence, highest entry, highest LAC
    'p' ledger id (8) page (8) where entries are, see format/page.ts
*/
const VERSION = 1
export const CHECKPOINT_KEY = Buffer.from('c')

/** Everything before it, of the journal in one directory. */
export interface JournalPosition {
  /** Number of the directory within the volume. */
  readonly directory: number
  readonly generation: number
  readonly offset: number
  readonly sequence: number
}

export interface Checkpoint {
  readonly volumeId: string
  readonly positions: readonly JournalPosition[]
  /** No file ever had this number or a higher one. */
  readonly nextNumber: number
}

export function fileKey(number: number): Buffer {
  const key = Buffer.alloc(5, 'f')
  key.writeUInt32BE(number, 1)
  return key
}

export function ledgerKey(ledgerId: LedgerId): Buffer {
  const key = Buffer.alloc(9, 'l')
  key.writeBigUInt64BE(BigInt(ledgerId), 1)
  return key
}

/** Stays when everything else of a ledger is gone: whoever still writes to it must not be told that it was stored. */
export function deletedKey(ledgerId: LedgerId): Buffer {
  const key = Buffer.alloc(9, 'd')
  key.writeBigUInt64BE(BigInt(ledgerId), 1)
  return key
}

export function pageKey(ledgerId: LedgerId, page: number): Buffer {
  const key = Buffer.alloc(17, 'p')
  key.writeUInt32BE(Math.floor(ledgerId / 0x1_0000_0000), 1)
  key.writeUInt32BE(ledgerId % 0x1_0000_0000, 5)
  key.writeUInt32BE(Math.floor(page / 0x1_0000_0000), 9)
  key.writeUInt32BE(page % 0x1_0000_0000, 13)
  return key
}

export function ledgerOfKey(key: Buffer): LedgerId {
  return Number(key.readBigUInt64BE(1)) as LedgerId
}

/** Range of all keys that begin with `letter`. */
export function rangeOf(letter: 'f' | 'l' | 'p'): { readonly from: Buffer; readonly to: Buffer } {
  return { from: Buffer.from(letter), to: Buffer.from(String.fromCharCode(letter.charCodeAt(0) + 1)) }
}

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const { positions, volumeId, nextNumber } = checkpoint
  const lanes = positions.map(position => ({ ...position, sequence: BigInt(position.sequence) }))
  const row = { version: VERSION, volumeId, nextGeneration: nextNumber, lanes }
  return Buffer.from(toBinary(IndexCheckpointSchema, create(IndexCheckpointSchema, row)))
}

export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  const row = fromBinary(IndexCheckpointSchema, bytes)
  checkVersion(row.version)
  const { generation, offset, sequence, volumeId, nextGeneration } = row
  const lanes = row.lanes.length > 0 ? row.lanes : [{ directory: 1, generation, offset, sequence }]
  const positions = lanes.map(lane => ({
    directory: lane.directory,
    generation: lane.generation,
    offset: lane.offset,
    sequence: Number(lane.sequence)
  }))
  return { volumeId, positions, nextNumber: nextGeneration }
}

export function encodeLedgerRow(ledger: LedgerState): Buffer {
  const row = {
    version: VERSION,
    fenced: ledger.isFenceSynced,
    lastEntryPlusOne: BigInt(ledger.lastEntry + 1),
    lacPlusOne: BigInt(ledger.lac + 1)
  }
  return Buffer.from(toBinary(LedgerRowSchema, create(LedgerRowSchema, row)))
}

/** Fills in what the index knows of the ledger. */
export function applyLedgerRow(ledger: LedgerState, bytes: Buffer): void {
  const row = fromBinary(LedgerRowSchema, bytes)
  checkVersion(row.version)
  ledger.isFenced ||= row.fenced
  ledger.isFenceSynced ||= row.fenced
  ledger.lastEntry = Math.max(ledger.lastEntry, Number(row.lastEntryPlusOne) - 1) as EntryId
  ledger.lac = Math.max(ledger.lac, Number(row.lacPlusOne) - 1) as EntryId
  ledger.lastPage = Math.floor(ledger.lastEntry / PAGE_SLOTS)
}

export interface FileRecord {
  readonly kind: FileKind
  readonly totalBytes: number
  readonly liveBytes: number
  readonly end: number
  /** It was being written to when the row was: what stands behind `end` was never answered for. */
  readonly isOpen?: boolean
}

export function encodeFileRow(file: FileRecord): Buffer {
  const row = {
    version: VERSION,
    kind: file.kind === 'journal' ? 1 : 2,
    totalBytes: BigInt(file.totalBytes),
    liveBytes: BigInt(file.liveBytes),
    end: BigInt(file.end),
    open: file.isOpen === true
  }
  return Buffer.from(toBinary(FileRowSchema, create(FileRowSchema, row)))
}

export function decodeFileRow(bytes: Buffer): FileRecord {
  const row = fromBinary(FileRowSchema, bytes)
  checkVersion(row.version)
  const kind = row.kind === 1 ? 'journal' : 'entry-log'
  const sizes = { totalBytes: Number(row.totalBytes), liveBytes: Number(row.liveBytes), end: Number(row.end) }
  return { kind, ...sizes, isOpen: row.open }
}

function checkVersion(version: number): void {
  if (version !== VERSION) throw bookieErrors.create('UNKNOWN_FORMAT', { file: 'index', version })
}
