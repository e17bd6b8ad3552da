import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf'
import { MetadataError } from './errors.ts'
import { MetadataRowSchema, OperationRowSchema, StoreStateSchema } from './generated/metadata_pb.ts'

/*
  Stored value, format version 1 (see proto/storage/metadata.proto):

    offset  size  field
         0     1  format version
         1     n  protobuf message
*/
const FORMAT_VERSION = 1

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
  return frame(MetadataRowSchema, message)
}

/** @throws MetadataError STORE_CORRUPT */
export function decodeRow(key: string, bytes: Buffer): StoredRow {
  const message = unframe(MetadataRowSchema, bytes)
  return {
    key,
    version: revisionOf(message.version),
    value: message.value ?? new Uint8Array(0),
    leaseId: message.leaseId
  }
}

export function encodeOperation(revision: number): Buffer {
  return frame(OperationRowSchema, create(OperationRowSchema, { revision: BigInt(revision) }))
}

/** @throws MetadataError STORE_CORRUPT */
export function decodeOperation(bytes: Buffer): number {
  return revisionOf(unframe(OperationRowSchema, bytes).revision)
}

export function encodeState(revision: number): Buffer {
  return frame(StoreStateSchema, create(StoreStateSchema, { revision: BigInt(revision) }))
}

/** @throws MetadataError STORE_CORRUPT */
export function decodeState(bytes: Buffer): number {
  return revisionOf(unframe(StoreStateSchema, bytes).revision)
}

function frame<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): Buffer {
  return Buffer.concat([Buffer.of(FORMAT_VERSION), toBinary(schema, message)])
}

function unframe<Schema extends DescMessage>(schema: Schema, bytes: Buffer): MessageShape<Schema> {
  const version = bytes[0]
  if (version === 1) return readVersion1(schema, bytes.subarray(1))
  throw MetadataError.create('STORE_CORRUPT', { reason: 'unknown format version', version })
}

function readVersion1<Schema extends DescMessage>(schema: Schema, body: Buffer): MessageShape<Schema> {
  try {
    return fromBinary(schema, body)
  } catch (error) {
    throw MetadataError.create('STORE_CORRUPT', { reason: 'not a message', type: schema.typeName }, error)
  }
}

function revisionOf(stored: bigint | undefined): number {
  const revision = Number(stored ?? 0n)
  if (!Number.isSafeInteger(revision) || revision < 1) {
    throw MetadataError.create('STORE_CORRUPT', { reason: 'revision out of range', revision: String(stored) })
  }
  return revision
}
