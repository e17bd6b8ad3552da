import { createHash, type Hash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { reasonOf } from '@strata/base'
import { MetadataError } from '../errors.ts'
import { BackupHeadSchema, BackupRecordsSchema, BackupTailSchema } from '../generated/metadata_pb.ts'
import type { MetadataRecord } from '../metadata-store.ts'
import { rowCodec } from '../row-codec.ts'

/*
  A backup of all metadata. Big-endian.

    offset  size  field
         0     7  'STRATAB'
         7     1  format version, 1
         8     …  frames: one head, then records, then one tail, and nothing behind it

  A frame:
         0     4  n, 1 .. FRAME_BYTES_MAX
         4     1  kind: 'h', 'r' or 't'
         5     n  one byte of format version, then BackupHead, BackupRecords or BackupTail (proto/storage/metadata.proto)

  The tail has the counts and the SHA-256 of all bytes before its frame: a file that was cut short, or changed, is none.
*/
const MAGIC = Buffer.concat([Buffer.from('STRATAB'), Buffer.of(1)])
const FRAME_HEAD_BYTES = 5
/** A record is below 70 KB, and records of more than `CHUNK_BYTES` do not go into one frame. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024
const CHUNK_BYTES = 256 * 1024
const CHUNK_RECORDS = 1_000
/** What stands with a record beside its key and value, at most. */
const RECORD_EXTRA_BYTES = 32

const codec = rowCodec({ version: 1, unreadable: ({ reason }) => unreadable(reason) })

export interface BackupHead {
  readonly clusterId: string
  /** All records are as of this one. */
  readonly revision: number
  readonly createdAtMs: number
}

export interface BackupCounts {
  readonly records: number
  /** Of keys and values. */
  readonly bytes: number
  /** Records of processes that ran: they are not in the backup. */
  readonly leased: number
}

/** Writes a file that is there only when it is whole: beside its name first, synced, then renamed by the caller. */
export class BackupWriter {
  readonly #file: FileHandle
  readonly #hash: Hash = createHash('sha256')
  #at = 0
  #chunk: MetadataRecord[] = []
  #chunkBytes = 0
  #records = 0
  #bytes = 0

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** @throws a system error, also EEXIST */
  static async create(path: string, { clusterId, revision, createdAtMs }: BackupHead): Promise<BackupWriter> {
    const writer = new BackupWriter(await open(path, 'wx', 0o600))
    await writer.#write(MAGIC)
    const head = { clusterId, revision: BigInt(revision), createdAtMs: BigInt(Math.trunc(createdAtMs)) }
    await writer.#frame('h', codec.encode(BackupHeadSchema, head))
    return writer
  }

  async add(record: MetadataRecord): Promise<void> {
    const bytes = Buffer.byteLength(record.key) + record.value.length
    this.#chunk.push(record)
    this.#chunkBytes += bytes + RECORD_EXTRA_BYTES
    this.#records += 1
    this.#bytes += bytes
    if (this.#chunkBytes >= CHUNK_BYTES || this.#chunk.length >= CHUNK_RECORDS) await this.#flush()
  }

  /** On disk when it resolves. */
  async finish(leased: number): Promise<BackupCounts> {
    await this.#flush()
    const counts = { records: this.#records, bytes: this.#bytes, leased }
    const tail: MessageInitShape<typeof BackupTailSchema> = {
      recordCount: BigInt(counts.records),
      recordBytes: BigInt(counts.bytes),
      leasedCount: BigInt(leased),
      digest: new Uint8Array(this.#hash.copy().digest())
    }
    await this.#frame('t', codec.encode(BackupTailSchema, tail))
    await this.#file.sync()
    await this.#file.close()
    return counts
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined)
  }

  async #flush(): Promise<void> {
    if (this.#chunk.length === 0) return
    const records = this.#chunk.map(({ key, value, version }) => ({
      $typeName: 'strata.storage.metadata.BackupRecord' as const,
      ...{ key, value, version: BigInt(version) }
    }))
    this.#chunk = []
    this.#chunkBytes = 0
    await this.#frame('r', codec.encode(BackupRecordsSchema, { records }))
  }

  async #frame(kind: string, body: Buffer): Promise<void> {
    const head = Buffer.alloc(FRAME_HEAD_BYTES)
    head.writeUInt32BE(body.length)
    head.write(kind, 4, 'latin1')
    await this.#write(Buffer.concat([head, body]))
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes)
    await this.#file.write(bytes, 0, bytes.length, this.#at)
    this.#at += bytes.length
  }
}

/** What a file has, frame by frame. */
export type BackupPart =
  | { readonly kind: 'head'; readonly head: BackupHead }
  | { readonly kind: 'records'; readonly records: readonly MetadataRecord[] }
  /** Everything before it was as it was written. */
  | { readonly kind: 'tail'; readonly counts: BackupCounts }

/** Reads a file to its end; one that is not whole fails there at the latest. @throws MetadataError BACKUP_UNREADABLE */
export async function* readBackup(path: string): AsyncGenerator<BackupPart> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw unreadable(`it cannot be opened (${reasonOf(error)})`, error)
  })
  try {
    const source = new Source(file)
    if (!(await source.take(MAGIC.length)).equals(MAGIC)) throw unreadable('it does not begin as a backup does')
    const sum = { records: 0, bytes: 0 }
    for (let expected = 'h'; ; expected = 'rt') {
      const digest = source.digest()
      const head = await source.take(FRAME_HEAD_BYTES)
      const kind = head.toString('latin1', 4)
      const length = head.readUInt32BE()
      if (!expected.includes(kind) || length === 0 || length > FRAME_BYTES_MAX) throw unreadable('damaged')
      const part = decodePart(kind, await source.take(length), digest)
      if (part.kind === 'records') {
        sum.records += part.records.length
        for (const { key, value } of part.records) sum.bytes += Buffer.byteLength(key) + value.length
      } else if (part.kind === 'tail') {
        if (part.counts.records !== sum.records || part.counts.bytes !== sum.bytes) throw unreadable('counts differ')
        if (!(await source.isAtEnd())) throw unreadable('something stands behind its end')
      }
      yield part
      if (part.kind === 'tail') return
    }
  } finally {
    await file.close()
  }
}

function decodePart(kind: string, body: Buffer, digest: Buffer): BackupPart {
  if (kind === 'h') {
    const { clusterId = '', revision, createdAtMs } = codec.decode(BackupHeadSchema, body)
    return {
      kind: 'head',
      head: { clusterId, revision: Number(revision ?? 0n), createdAtMs: Number(createdAtMs ?? 0n) }
    }
  }
  if (kind === 'r') {
    const records = codec.decode(BackupRecordsSchema, body).records.map(({ key = '', value, version }) => ({
      ...{ key, value: value ?? new Uint8Array(0), version: Number(version ?? 0n) }
    }))
    return { kind: 'records', records }
  }
  const tail = codec.decode(BackupTailSchema, body)
  if (!digest.equals(tail.digest ?? Buffer.alloc(0))) throw unreadable('its checksum differs')
  const counts = {
    records: Number(tail.recordCount ?? 0n),
    bytes: Number(tail.recordBytes ?? 0n),
    leased: Number(tail.leasedCount ?? 0n)
  }
  return { kind: 'tail', counts }
}

/** Reads forward and keeps the sum of all that was taken. */
class Source {
  readonly #file: FileHandle
  readonly #hash: Hash = createHash('sha256')
  #at = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  async take(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    for (let filled = 0; filled < length;) {
      const { bytesRead } = await this.#file.read(bytes, filled, length - filled, this.#at + filled)
      if (bytesRead === 0) throw unreadable('it ends too early')
      filled += bytesRead
    }
    this.#at += length
    this.#hash.update(bytes)
    return bytes
  }

  digest(): Buffer {
    return this.#hash.copy().digest()
  }

  async isAtEnd(): Promise<boolean> {
    const { bytesRead } = await this.#file.read(Buffer.alloc(1), 0, 1, this.#at)
    return bytesRead === 0
  }
}

function unreadable(reason: string, cause?: unknown): Error {
  return MetadataError.create('BACKUP_UNREADABLE', { reason }, cause)
}
