const LENGTH_BYTES = 4
/** Holds the commands of messages, and their metadata. */
const HEAD_BYTES_MIN = 16 * 1024

/**
 * Cuts a stream into frames and keeps only the head of each: a load that looks at no payload should not pay for putting
 * payloads together.
 */
export class FrameHeads {
  #head = Buffer.alloc(HEAD_BYTES_MIN)
  /** Gets a frame without its length, cut off where the head ends; the buffer is used again after the call. */
  onFrame: (buffer: Buffer, start: number, end: number) => void = () => undefined
  onChunk: () => void = () => undefined
  readonly #length = Buffer.alloc(LENGTH_BYTES)
  #lengthBytes = 0
  #frameBytes = 0
  #seenBytes = 0

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      at = this.#lengthBytes < LENGTH_BYTES ? this.#readLength(chunk, at) : this.#readFrame(chunk, at)
    }
    this.onChunk()
  }

  #readLength(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + LENGTH_BYTES - this.#lengthBytes)
    chunk.copy(this.#length, this.#lengthBytes, at, end)
    this.#lengthBytes += end - at
    if (this.#lengthBytes === LENGTH_BYTES) {
      this.#frameBytes = this.#length.readUInt32BE(0)
      this.#seenBytes = 0
    }
    return end
  }

  #readFrame(chunk: Buffer, at: number): number {
    let end = Math.min(chunk.length, at + this.#frameBytes - this.#seenBytes)
    if (this.#seenBytes === 0 && end - at === this.#frameBytes) {
      this.#lengthBytes = 0
      this.onFrame(chunk, at, end)
      return end
    }
    // the size of the command alone, which says how much of the rest is kept
    if (this.#seenBytes < LENGTH_BYTES) end = Math.min(end, at + LENGTH_BYTES - this.#seenBytes)
    if (this.#seenBytes < this.#head.length) chunk.copy(this.#head, this.#seenBytes, at, end)
    this.#seenBytes += end - at
    if (this.#seenBytes === LENGTH_BYTES) this.#makeRoom(LENGTH_BYTES + this.#head.readUInt32BE(0))
    if (this.#seenBytes === this.#frameBytes) {
      this.#lengthBytes = 0
      this.onFrame(this.#head, 0, Math.min(this.#frameBytes, this.#head.length))
    }
    return end
  }

  /** A list of a million names is one command, and is looked at as a whole. */
  #makeRoom(bytes: number): void {
    if (bytes <= this.#head.length) return
    const larger = Buffer.alloc(Math.min(bytes, this.#frameBytes))
    this.#head.copy(larger, 0, 0, LENGTH_BYTES)
    this.#head = larger
  }
}
