import type { MessageInitShape } from '@bufbuild/protobuf'
import type { CompareSchema, RangeRequestSchema, RequestOpSchema, TxnRequestSchema } from '../generated/etcd_pb.ts'

/*
  A transaction as etcd takes it, by hand: where a broker takes over from another these are thousands of compares and changes in
  a second, and most of what they cost it was the making of messages. The schema says what they mean (proto/etcd).
*/

const FIRST_BYTES = 16 * 1024
const VARINT = 0
const BYTES = 2

/** The bytes that the schema gives, too. */
export function encodeTxn({
  compare = [],
  success = [],
  failure = []
}: MessageInitShape<typeof TxnRequestSchema>): Buffer {
  const writer = new BackwardWriter(FIRST_BYTES)
  for (const op of failure.toReversed()) writer.message(3, () => writeOp(writer, op))
  for (const op of success.toReversed()) writer.message(2, () => writeOp(writer, op))
  for (const each of compare.toReversed()) writer.message(1, () => writeCompare(writer, each))
  return writer.finish()
}

function writeCompare(writer: BackwardWriter, compare: MessageInitShape<typeof CompareSchema>): void {
  const { result, target, key, modRevision, value } = compare
  if (value !== undefined) writer.bytes(7, value)
  if (modRevision !== undefined) writer.number(6, modRevision)
  writer.nonEmpty(3, key)
  writer.nonZero(2, target)
  writer.nonZero(1, result)
}

function writeOp(writer: BackwardWriter, { request }: MessageInitShape<typeof RequestOpSchema>): void {
  switch (request?.case) {
    case 'range': {
      const range = request.value
      writer.message(1, () => writeRange(writer, range))
      return
    }
    case 'put': {
      const { key, value, lease } = request.value
      writer.message(2, () => {
        writer.nonZero(3, lease)
        writer.nonEmpty(2, value)
        writer.nonEmpty(1, key)
      })
      return
    }
    case 'deleteRange': {
      const { key } = request.value
      writer.message(3, () => writer.nonEmpty(1, key))
      return
    }
    case undefined:
  }
}

function writeRange(writer: BackwardWriter, range: MessageInitShape<typeof RangeRequestSchema>): void {
  const { key, rangeEnd, limit, revision, sortOrder, sortTarget, keysOnly = false, countOnly = false } = range
  writer.nonZero(9, countOnly ? 1 : 0)
  writer.nonZero(8, keysOnly ? 1 : 0)
  writer.nonZero(6, sortTarget)
  writer.nonZero(5, sortOrder)
  writer.nonZero(4, revision)
  writer.nonZero(3, limit)
  writer.nonEmpty(2, rangeEnd)
  writer.nonEmpty(1, key)
}

/** From the end to the beginning: what a message has in it is written before its length must be known. */
class BackwardWriter {
  #buffer: Buffer
  #at: number

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes)
    this.#at = bytes
  }

  finish(): Buffer {
    return this.#buffer.subarray(this.#at)
  }

  message(field: number, writeContents: () => void): void {
    const before = this.#length
    writeContents()
    this.#varint(this.#length - before)
    this.#varint(field * 8 + BYTES)
  }

  bytes(field: number, content: Uint8Array): void {
    this.#makeRoom(content.length)
    this.#at -= content.length
    this.#buffer.set(content, this.#at)
    this.#varint(content.length)
    this.#varint(field * 8 + BYTES)
  }

  nonEmpty(field: number, content: Uint8Array | undefined): void {
    if (content !== undefined && content.length > 0) this.bytes(field, content)
  }

  number(field: number, value: bigint | number): void {
    if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) this.#varint(Number(value))
    else this.#longVarint(BigInt.asUintN(64, BigInt(value)))
    this.#varint(field * 8 + VARINT)
  }

  nonZero(field: number, value: bigint | number | undefined): void {
    if (value !== undefined && Number(value) !== 0) this.number(field, value)
  }

  get #length(): number {
    return this.#buffer.length - this.#at
  }

  #varint(value: number): void {
    let count = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) count += 1
    this.#makeRoom(count)
    this.#at -= count
    let at = this.#at
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#buffer[at++] = (rest % 0x80) | 0x80
    this.#buffer[at] = rest
  }

  /** Lease ids have 63 bits; a revision from before this store began, which no row has, is below 0. */
  #longVarint(value: bigint): void {
    const high = value >> 49n
    this.#varint(Number(high))
    this.#makeRoom(7)
    for (let shift = 42n; shift >= 0n; shift -= 7n) {
      this.#buffer[--this.#at] = Number((value >> shift) & 0x7fn) | 0x80
    }
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#at) return
    const used = this.#length
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, used + bytes))
    this.#buffer.copy(grown, grown.length - used, this.#at)
    this.#buffer = grown
    this.#at = grown.length - used
  }
}
