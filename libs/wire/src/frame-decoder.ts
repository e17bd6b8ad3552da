import { strict as assert } from 'node:assert'
import { LENGTH_BYTES } from './constants.ts'
import { refuse } from './errors.ts'

/** Receives each frame as a range: `start` is the first byte after `totalSize`, `end` is past the last. */
export interface FrameHandler {
  onFrame(buffer: Buffer, start: number, end: number): void
}

/** A part of a frame that is at least this long stays in the chunk it came in; shorter ones are collected. */
const KEPT_PART_BYTES = 16 * 1024
/** Memory for short parts, taken as they come: a claim alone costs nothing. */
const COLLECTED_BYTES = 64 * 1024

/**
 * Cuts a byte stream into frames of `[4 totalSize][totalSize bytes]`. Knows nothing of what a frame means.
 *
 * A frame that lies whole in a chunk is handed out in place. One that is cut is put together once it is whole, so that each of
 * its bytes is copied once or twice. At most one partial frame is held, in little more than the bytes that arrived of it (at
 * least 64 KB).
 */
export class FrameDecoder {
  /** The largest `totalSize`; it may be raised or lowered between frames. */
  frameBytesMax: number
  readonly #prefix = Buffer.allocUnsafe(LENGTH_BYTES)
  #prefixBytes = 0
  /** Of the partial frame, while there is one. */
  #parts: Buffer[] | undefined
  #partialBytes = 0
  #frameBytes = 0
  #collected: Buffer | undefined
  #collectedStart = 0
  #collectedEnd = 0
  #heldBytes = 0
  #closed = false
  #isHeld = false

  constructor(options: { frameBytesMax: number }) {
    assert(options.frameBytesMax >= LENGTH_BYTES)
    this.frameBytesMax = options.frameBytesMax
  }

  /** Memory of the partial frame. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** No further frame is handed out, not even of the chunk that is being read. */
  close(): void {
    this.#closed = true
    this.#release()
  }

  /** For a handler that cannot take more: the chunk that is being read is read no further. */
  hold(): void {
    this.#isHeld = true
  }

  /**
   * Hands out every frame that `chunk` completes. What the handler throws passes through. Returns how much of the chunk
   * was read: all of it, unless the handler called `hold`; the rest is then to be pushed first.
   * @throws MALFORMED_FRAME, after which the connection must be closed.
   */
  push(chunk: Buffer, handler: FrameHandler): number {
    let position = 0
    this.#isHeld = false
    if (this.#parts !== undefined || this.#prefixBytes > 0) position = this.#complete(chunk, handler)

    while (!this.#isEnded && position + LENGTH_BYTES <= chunk.length) {
      const frameBytes = this.#checked(chunk.readUInt32BE(position))
      const start = position + LENGTH_BYTES
      const end = start + frameBytes
      if (end > chunk.length) {
        this.#begin(frameBytes)
        position = start
        break
      }
      position = end
      handler.onFrame(chunk, start, end)
    }
    if (this.#closed) return chunk.length
    if (this.#isEnded) return position
    if (position < chunk.length) this.#keep(chunk, position)
    return chunk.length
  }

  get #isEnded(): boolean {
    return this.#closed || this.#isHeld
  }

  /** Feeds the partial frame first. Returns how much of the chunk it took. */
  #complete(chunk: Buffer, handler: FrameHandler): number {
    let position = 0
    if (this.#parts === undefined) {
      position = Math.min(LENGTH_BYTES - this.#prefixBytes, chunk.length)
      chunk.copy(this.#prefix, this.#prefixBytes, 0, position)
      this.#prefixBytes += position
      if (this.#prefixBytes < LENGTH_BYTES) return position
      this.#begin(this.#checked(this.#prefix.readUInt32BE(0)))
    }
    position += this.#append(chunk, position)
    if (this.#partialBytes === this.#frameBytes) handler.onFrame(this.#put(), 0, this.#frameBytes)
    return position
  }

  /** Keeps the rest of a chunk: part of a length, or part of a frame whose length is known. */
  #keep(chunk: Buffer, position: number): void {
    if (this.#parts !== undefined) {
      this.#append(chunk, position)
      return
    }
    chunk.copy(this.#prefix, 0, position)
    this.#prefixBytes = chunk.length - position
  }

  #begin(frameBytes: number): void {
    this.#frameBytes = frameBytes
    this.#prefixBytes = 0
    this.#partialBytes = 0
    this.#parts = []
  }

  #append(chunk: Buffer, position: number): number {
    const bytes = Math.min(this.#frameBytes - this.#partialBytes, chunk.length - position)
    // The last part is not kept: the frame is put together at once.
    if (bytes >= KEPT_PART_BYTES || this.#partialBytes + bytes === this.#frameBytes) {
      this.#endCollected()
      this.#parts?.push(chunk.subarray(position, position + bytes))
      this.#heldBytes += bytes
    } else this.#collect(chunk, position, position + bytes)
    this.#partialBytes += bytes
    return bytes
  }

  #collect(chunk: Buffer, start: number, end: number): void {
    for (let at = start; at < end;) {
      if (this.#collected === undefined || this.#collectedEnd === this.#collected.length) {
        this.#endCollected()
        this.#collected = Buffer.allocUnsafe(Math.min(COLLECTED_BYTES, this.#frameBytes))
        this.#collectedStart = 0
        this.#collectedEnd = 0
        this.#heldBytes += this.#collected.length
      }
      const copied = chunk.copy(this.#collected, this.#collectedEnd, at, end)
      this.#collectedEnd += copied
      at += copied
    }
  }

  #endCollected(): void {
    if (this.#collected === undefined || this.#collectedEnd === this.#collectedStart) return
    this.#parts?.push(this.#collected.subarray(this.#collectedStart, this.#collectedEnd))
    this.#collectedStart = this.#collectedEnd
  }

  #put(): Buffer {
    const parts = this.#parts
    assert(parts !== undefined)
    const frame = Buffer.allocUnsafe(this.#frameBytes)
    let at = 0
    for (const part of parts) at += part.copy(frame, at)
    this.#release()
    return frame
  }

  #release(): void {
    this.#parts = undefined
    this.#collected = undefined
    this.#heldBytes = 0
  }

  #checked(frameBytes: number): number {
    if (frameBytes < LENGTH_BYTES) refuse(`a frame cannot be ${frameBytes} bytes long`, 0)
    if (frameBytes > this.frameBytesMax) refuse(`a frame of ${frameBytes} bytes is over the limit`, 0)
    return frameBytes
  }
}
