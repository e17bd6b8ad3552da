const LENGTH_BYTES = 4
/** Holds every command, and the metadata of a message. */
const HEAD_BYTES_MAX = 16 * 1024

/**
 * Cuts a stream into frames and keeps only the head of each: a load that looks at no payload should not pay for putting
 * payloads together.
 */
export class FrameHeads {
  readonly #head = Buffer.alloc(HEAD_BYTES_MAX)
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
    const end = Math.min(chunk.length, at + this.#frameBytes - this.#seenBytes)
    if (this.#seenBytes === 0 && end - at === this.#frameBytes) {
      this.#lengthBytes = 0
      this.onFrame(chunk, at, end)
      return end
    }
    if (this.#seenBytes < HEAD_BYTES_MAX) chunk.copy(this.#head, this.#seenBytes, at, end)
    this.#seenBytes += end - at
    if (this.#seenBytes === this.#frameBytes) {
      this.#lengthBytes = 0
      this.onFrame(this.#head, 0, Math.min(this.#frameBytes, HEAD_BYTES_MAX))
    }
    return end
  }
}
