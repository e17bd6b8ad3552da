import { create } from '@bufbuild/protobuf'
import { MetadataError } from './errors.ts'
import { MetadataRowSchema, OperationRowSchema, StoreStateSchema } from './generated/metadata_pb.ts'
import { rowCodec } from './row-codec.ts'

/** Values are stored in format version 1, see proto/storage/metadata.proto. */
const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }) => MetadataError.create('STORE_CORRUPT', { ...problem }, cause)
})

/** A record as the LevelDB driver keeps it. `value` is a view of the stored bytes. */
export interface StoredRow {
  readonly key: string
  readonly version: number
  readonly value: Uint8Array
  readonly leaseId: string | undefined
}

const DATA = 'd/'
const LEASED = 'l/'
const OPERATION = 'o/'

export const STATE_KEY = Buffer.from('s')
export const OPERATIONS_PREFIX = Buffer.from(OPERATION)
export const LEASES_PREFIX = Buffer.from(LEASED)

export const dataKey = (key: string): Buffer => Buffer.from(DATA + key)
export const operationKey = (operationId: string): Buffer => Buffer.from(OPERATION + operationId)
/** Lease ids hold no `/`. */
export const leasedKey = (leaseId: string, key: string): Buffer => Buffer.from(`${LEASED}${leaseId}/${key}`)

export const keyOfData = (stored: Buffer): string => stored.toString('utf8', DATA.length)
export const idOfOperation = (stored: Buffer): string => stored.toString('utf8', OPERATION.length)

export function parseLeased(stored: Buffer): { key: string; leaseId: string } {
  const slash = stored.indexOf('/', LEASED.length)
  return { leaseId: stored.toString('utf8', LEASED.length, slash), key: stored.toString('utf8', slash + 1) }
}

export function encodeRow(row: StoredRow): Buffer {
  const message = create(MetadataRowSchema, { version: BigInt(row.version), value: row.value })
  if (row.leaseId !== undefined) message.leaseId = row.leaseId
  return codec.encode(MetadataRowSchema, message)
}

/** @throws MetadataError STORE_CORRUPT */
export function decodeRow(key: string, bytes: Buffer): StoredRow {
  const message = codec.decode(MetadataRowSchema, bytes)
  return {
    key,
    version: revisionOf(message.version),
    value: message.value ?? new Uint8Array(0),
    leaseId: message.leaseId
  }
}

export function encodeOperation(revision: number): Buffer {
  return codec.encode(OperationRowSchema, { revision: BigInt(revision) })
}

/** @throws MetadataError STORE_CORRUPT */
export function decodeOperation(bytes: Buffer): number {
  return revisionOf(codec.decode(OperationRowSchema, bytes).revision)
}

/** The state of a sealed store has a format version of its own, so that no program takes it for an open one. */
const sealCodec = rowCodec({
  version: 2,
  unreadable: ({ cause, ...problem }) => MetadataError.create('STORE_CORRUPT', { ...problem }, cause)
})
const SEALED = 2

export function encodeSeal(revision: number, movedTo: string): Buffer {
  return sealCodec.encode(StoreStateSchema, { revision: BigInt(revision), movedTo })
}

export function encodeState(revision: number): Buffer {
  return codec.encode(StoreStateSchema, { revision: BigInt(revision) })
}

/** @throws MetadataError STORE_CORRUPT, STORE_SEALED */
export function decodeState(bytes: Buffer): number {
  if (bytes[0] === SEALED) {
    const { movedTo } = sealCodec.decode(StoreStateSchema, bytes)
    throw MetadataError.create('STORE_SEALED', { movedTo })
  }
  return revisionOf(codec.decode(StoreStateSchema, bytes).revision)
}

function revisionOf(stored: bigint | undefined): number {
  const revision = Number(stored ?? 0n)
  if (!Number.isSafeInteger(revision) || revision < 1) {
    throw MetadataError.create('STORE_CORRUPT', { reason: 'revision out of range', revision: String(stored) })
  }
  return revision
}
