import { strict as assert } from 'node:assert'
import { LENGTH_BYTES } from './constants.ts'
import { refuse } from './errors.ts'

/** Receives each frame as a range: `start` is the first byte after `totalSize`, `end` is past the last. */
export interface FrameHandler {
  onFrame(buffer: Buffer, start: number, end: number): void
}

/** A partial frame gets this much memory at first, and then as much again as has arrived: a claim alone costs nothing. */
const FIRST_ASSEMBLY_BYTES = 64 * 1024

/**
 * Cuts a byte stream into frames of `[4 totalSize][totalSize bytes]`. Knows nothing of what a frame means.
 *
 * A frame that lies whole in a chunk is handed out in place. One that is cut is assembled in memory of its own. At
 * most one partial frame is held, in less than twice the bytes that arrived of it (at least 64 KB).
 */
export class FrameDecoder {
  /** The largest `totalSize`; it may be raised or lowered between frames. */
  frameBytesMax: number
  readonly #prefix = Buffer.allocUnsafe(LENGTH_BYTES)
  #prefixBytes = 0
  #partial: Buffer | undefined
  #partialBytes = 0
  #frameBytes = 0
  #closed = false
  #isHeld = false

  constructor(options: { frameBytesMax: number }) {
    assert(options.frameBytesMax >= LENGTH_BYTES)
    this.frameBytesMax = options.frameBytesMax
  }

  /** Memory of the partial frame. */
  get heldBytes(): number {
    return this.#partial?.length ?? 0
  }

  /** No further frame is handed out, not even of the chunk that is being read. */
  close(): void {
    this.#closed = true
    this.#partial = undefined
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
    if (this.#partial !== undefined || this.#prefixBytes > 0) position = this.#complete(chunk, handler)

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
    if (this.#partial === undefined) {
      position = Math.min(LENGTH_BYTES - this.#prefixBytes, chunk.length)
      chunk.copy(this.#prefix, this.#prefixBytes, 0, position)
      this.#prefixBytes += position
      if (this.#prefixBytes < LENGTH_BYTES) return position
      this.#begin(this.#checked(this.#prefix.readUInt32BE(0)))
    }
    position += this.#append(chunk, position)
    if (this.#partialBytes === this.#frameBytes) {
      const frame = this.#partial as unknown as Buffer
      this.#partial = undefined
      handler.onFrame(frame, 0, this.#frameBytes)
    }
    return position
  }

  /** Keeps the rest of a chunk: part of a length, or part of a frame whose length is known. */
  #keep(chunk: Buffer, position: number): void {
    if (this.#partial !== undefined) {
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
    this.#partial = Buffer.allocUnsafe(Math.min(frameBytes, FIRST_ASSEMBLY_BYTES))
  }

  #append(chunk: Buffer, position: number): number {
    assert(this.#partial !== undefined)
    const bytes = Math.min(this.#frameBytes - this.#partialBytes, chunk.length - position)
    if (this.#partialBytes + bytes > this.#partial.length) {
      const roomBytes = Math.min(this.#frameBytes, Math.max(this.#partial.length * 2, this.#partialBytes + bytes))
      const larger = Buffer.allocUnsafe(roomBytes)
      this.#partial.copy(larger, 0, 0, this.#partialBytes)
      this.#partial = larger
    }
    chunk.copy(this.#partial, this.#partialBytes, position, position + bytes)
    this.#partialBytes += bytes
    return bytes
  }

  #checked(frameBytes: number): number {
    if (frameBytes < LENGTH_BYTES) refuse(`a frame cannot be ${frameBytes} bytes long`, 0)
    if (frameBytes > this.frameBytesMax) refuse(`a frame of ${frameBytes} bytes is over the limit`, 0)
    return frameBytes
  }
}
