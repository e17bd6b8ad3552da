import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { crc32c } from '@node-rs/crc32'
import { join } from 'node:path'
import { systemCode, bookieErrors } from '../errors.ts'
import type { Disk } from '../disk/disk.ts'
import { BookieIdentitySchema } from '../generated/bookie_pb.ts'

/*
  `identity` in every directory of a volume, format version 1.

    offset  size  field
         0     7  'STRATAI'
         7     1  format version, 1
         8     4  CRC32C of the rest, little-endian
        12     n  BookieIdentity (proto/storage/bookie.proto)

  Written aside, synced and renamed: there is the old one or the new one.
*/
const MAGIC = Buffer.from('STRATAI')
const VERSION = 1
const NAME = 'identity'

export interface Identity {
  readonly bookieId: string
  readonly clusterId: string
  /** 32 hexadecimal digits. */
  readonly volumeId: string
  readonly incarnation: number
  readonly pendingOperation: string
  /** Ledgers below it are unknown where there is no entry. */
  readonly unknownBelow: number
  /** Highest revision of the metadata store seen. */
  readonly revision: number
  /** Which directory of the volume this is; 0: by its place, as long as nothing else was said. */
  readonly directoryNumber: number
  /** How many directories the volume had; 0: not told. */
  readonly directoryCount: number
  readonly directoryNumbersGiven: number
  /** How often the node has signed the metadata store. */
  readonly signedCount: number
}

/** undefined: there is none. @throws UNKNOWN_FORMAT, WRONG_VOLUME if it is damaged */
export async function readIdentity(disk: Disk, directory: string): Promise<Identity | undefined> {
  const path = join(directory, NAME)
  const bytes = await readWhole(disk, path)
  if (bytes === undefined) return undefined
  const version = bytes[7]
  if (
    !bytes.subarray(0, 7).equals(MAGIC) ||
    bytes.length < 12 ||
    crc32c(bytes.subarray(12)) !== bytes.readUInt32LE(8)
  ) {
    throw bookieErrors.create('WRONG_VOLUME', { file: path, reason: 'the identity file is damaged' })
  }
  if (version !== VERSION) throw bookieErrors.create('UNKNOWN_FORMAT', { file: path, version })
  const row = fromBinary(BookieIdentitySchema, bytes.subarray(12))
  return {
    bookieId: row.bookieId,
    clusterId: row.clusterId,
    volumeId: row.volumeId,
    incarnation: Number(row.incarnation),
    pendingOperation: row.pendingOperation,
    unknownBelow: Number(row.unknownBelow),
    revision: Number(row.revision),
    directoryNumber: row.directoryNumber,
    directoryCount: row.directoryCount,
    directoryNumbersGiven: row.directoryNumbersGiven,
    signedCount: Number(row.signedCount)
  }
}

/** Durable when it resolves. */
export async function writeIdentity(disk: Disk, directory: string, identity: Identity): Promise<void> {
  const row = create(BookieIdentitySchema, {
    ...identity,
    version: VERSION,
    incarnation: BigInt(identity.incarnation),
    unknownBelow: BigInt(identity.unknownBelow),
    revision: BigInt(identity.revision),
    signedCount: BigInt(identity.signedCount)
  })
  const body = toBinary(BookieIdentitySchema, row)
  const bytes = Buffer.alloc(12 + body.length)
  MAGIC.copy(bytes)
  bytes[7] = VERSION
  bytes.writeUInt32LE(crc32c(body), 8)
  bytes.set(body, 12)
  const aside = join(directory, `${NAME}.new`)
  await disk.remove(aside).catch(() => undefined)
  const file = await disk.open(aside, { create: true })
  try {
    await file.write(bytes, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(aside, join(directory, NAME))
  await disk.syncDirectory(directory)
}

async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  try {
    const file = await disk.open(path, { create: false })
    try {
      const bytes = Buffer.alloc(await file.sizeBytes())
      return bytes.subarray(0, await file.read(bytes, 0))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
