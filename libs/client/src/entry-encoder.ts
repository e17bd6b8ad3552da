import {
  CHECKSUM_MAGIC,
  checksumOf,
  writeMessageMetadata,
  WriteBuffer,
  writeSendHeader,
  type EntryFields,
  type SendCommand
} from '@strata/wire'

/** Frames up to here share a slab, so that many of them are one write; larger ones get memory of their own. */
const SHARED_FRAME_BYTES_MAX = 32 * 1024
const HEADERS_BYTES = 10

/** Makes SEND frames: command, checksum, metadata and payload in one range of bytes, ready to be sent and sent again. */
export class EntryEncoder {
  readonly #shared = new WriteBuffer(256 * 1024)
  readonly #scratch = new WriteBuffer()

  encode(send: SendCommand, entry: EntryFields, payload: Uint8Array): Buffer {
    writeMessageMetadata(this.#scratch, entry)
    const metadata = this.#scratch.take()
    const bytes = HEADERS_BYTES + metadata.length + payload.length
    const out = bytes > SHARED_FRAME_BYTES_MAX ? new WriteBuffer(bytes + 128) : this.#shared
    out.ensure(bytes + 128)
    writeSendHeader(out, send, bytes)
    out.uint16(CHECKSUM_MAGIC)
    const checksumAt = out.position
    out.position += 4
    out.uint32(metadata.length)
    out.copy(metadata, 0, metadata.length)
    out.copy(payload, 0, payload.length)
    out.uint32At(checksumAt, checksumOf(out.bytes, checksumAt + 4, out.position))
    return out.take()
  }

  /** Bytes that the metadata alone takes. */
  metadataBytes(entry: EntryFields): number {
    writeMessageMetadata(this.#scratch, entry)
    return this.#scratch.take().length
  }
}
