import type { Entry } from '@strata/managed-ledger'
import { stickyHash } from './murmur3.ts'

/** What dispatch needs to know of an entry. One object is reused for all entries: read it at once. */
export interface EntryInfo {
  /** Messages in the batch, 1 for what is no batch. */
  messages: number
  publishTimeMs: number
  /** 1..65535; 0 when it was not asked for. */
  hash: number
  /** -1: the message is not chunked. */
  chunkId: number
  chunks: number
  /** '' unless chunked. */
  uuid: string
}

const MAGIC_BROKER_METADATA = 0x0e02
const MAGIC_CHECKSUM = 0x0e01

/*
  Fields of MessageMetadata read here (number, wire type):
     1 producer_name bytes   2 sequence_id varint   3 publish_time varint   6 partition_key bytes
    11 num_messages_in_batch varint   17 partition_key_b64_encoded varint   18 ordering_key bytes
    26 uuid bytes   27 num_chunks_from_msg varint   29 chunk_id varint
*/

/**
 * Reads the metadata of entries. Bytes that make no sense read as one message without a key: what was stored was checked
 * when it came in, and a message must not be lost for a field that cannot be read.
 */
export class EntryReader {
  readonly info: EntryInfo = { messages: 1, publishTimeMs: 0, hash: 0, chunkId: -1, chunks: 0, uuid: '' }
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0
  #producerFrom = 0
  #producerTo = -1
  #sequenceFrom = -1
  #keyFrom = 0
  #keyTo = -1
  #keyIsBase64 = false
  #orderingFrom = 0
  #orderingTo = -1

  read(entry: Entry, withHash: boolean): EntryInfo {
    const { info } = this
    info.messages = 1
    info.publishTimeMs = 0
    info.hash = 0
    info.chunkId = -1
    info.chunks = 0
    info.uuid = ''
    this.#bytes = entry.payload
    this.#producerTo = this.#sequenceFrom = this.#keyTo = this.#orderingTo = -1
    this.#keyIsBase64 = false
    if (this.#findMetadata()) while (this.#at < this.#end) if (!this.#readField()) break
    if (withHash) info.hash = this.#hash()
    return info
  }

  #findMetadata(): boolean {
    const bytes = this.#bytes
    let at = 0
    if (bytes.length >= 6 && bytes.readUInt16BE(0) === MAGIC_BROKER_METADATA) at = 6 + bytes.readUInt32BE(2)
    if (bytes.length >= at + 6 && bytes.readUInt16BE(at) === MAGIC_CHECKSUM) at += 6
    if (bytes.length < at + 4) return false
    this.#at = at + 4
    this.#end = this.#at + bytes.readUInt32BE(at)
    return this.#end <= bytes.length
  }

  #readField(): boolean {
    const { info } = this
    const tag = this.#varint()
    switch (tag & 7) {
      case 0: {
        const from = this.#at
        const value = this.#varint()
        switch (tag >>> 3) {
          case 2:
            this.#sequenceFrom = from
            break
          case 3:
            info.publishTimeMs = value
            break
          case 11:
            info.messages = Math.max(value, 1)
            break
          case 17:
            this.#keyIsBase64 = value !== 0
            break
          case 27:
            info.chunks = value
            break
          case 29:
            info.chunkId = value
        }
        return true
      }
      case 2:
        return this.#readBytes(tag >>> 3)
      case 1:
        this.#at += 8
        return true
      case 5:
        this.#at += 4
        return true
      default:
        return false
    }
  }

  #readBytes(field: number): boolean {
    const size = this.#varint()
    const from = this.#at
    const to = from + size
    if (to > this.#end) return false
    this.#at = to
    if (field === 1) {
      this.#producerFrom = from
      this.#producerTo = to
    } else if (field === 6) {
      this.#keyFrom = from
      this.#keyTo = to
    } else if (field === 18) {
      this.#orderingFrom = from
      this.#orderingTo = to
    } else if (field === 26) {
      this.info.uuid = this.#bytes.toString('latin1', from, to)
    }
    return true
  }

  /** Exact up to 2^53; what lies above is cut by nobody who needs it (see #sequence). */
  #varint(): number {
    const bytes = this.#bytes
    let byte = bytes[this.#at++] ?? 0
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    let scale = 128
    do {
      byte = bytes[this.#at++] ?? 0
      value += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80 && scale < 2 ** 70)
    return value
  }

  #hash(): number {
    if (this.#orderingTo >= 0) return stickyHash(this.#bytes, this.#orderingFrom, this.#orderingTo)
    if (this.#keyTo >= 0) {
      if (!this.#keyIsBase64) return stickyHash(this.#bytes, this.#keyFrom, this.#keyTo)
      const key = Buffer.from(this.#bytes.toString('latin1', this.#keyFrom, this.#keyTo), 'base64')
      return stickyHash(key, 0, key.length)
    }
    // Without a key every message is a key of its own, and the chunks of one message share it.
    const producer = this.#producerTo < 0 ? '' : this.#bytes.toString('utf8', this.#producerFrom, this.#producerTo)
    const key = Buffer.from(`${producer}-${this.#sequence()}`)
    return stickyHash(key, 0, key.length)
  }

  #sequence(): string {
    if (this.#sequenceFrom < 0) return '0'
    this.#at = this.#sequenceFrom
    const value = this.#varint()
    if (Number.isSafeInteger(value)) return String(value)
    let exact = 0n
    for (let at = this.#sequenceFrom, shift = 0n; ; at++, shift += 7n) {
      const byte = this.#bytes[at] ?? 0
      exact |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return String(BigInt.asIntN(64, exact))
    }
  }
}
