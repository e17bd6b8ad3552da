import type { Socket } from 'node:net'
import type { BytePool } from '@strata/base'
import { WriteBuffer, writePong } from '@strata/wire'

/** Payloads up to this size are copied behind their header; larger ones go to the socket as they are. */
const COPY_BYTES_MAX = 8 * 1024
/** A connection with this much unsent output is not writable. */
const HIGH_WATER_BYTES = 512 * 1024
const LOW_WATER_BYTES = HIGH_WATER_BYTES / 4
/** While the pool is over, a socket that has taken all it was given is given no more than this at a time. */
const TIGHT_BYTES = 16 * 1024
/** More connections with unsent slabs than this are flushed at once, so that slabs stay few. */
const DIRTY_MAX = 256
const SLABS_KEPT_MAX = 64

/**
 * Flushes the outputs of a process once a turn of the event loop, and lends them slabs: an idle connection has none.
 */
export class Flusher {
  readonly #slabs: WriteBuffer[] = []
  #dirty: Output[] = []
  #isScheduled = false

  /** The slab goes back after the output's flush. */
  markDirty(output: Output): WriteBuffer {
    if (this.#dirty.length >= DIRTY_MAX) this.flushAll()
    this.#dirty.push(output)
    if (!this.#isScheduled) {
      this.#isScheduled = true
      setImmediate(this.#onTurn)
    }
    return this.#slabs.pop() ?? new WriteBuffer()
  }

  giveBack(slab: WriteBuffer): void {
    if (this.#slabs.length < SLABS_KEPT_MAX) this.#slabs.push(slab)
  }

  flushAll(): void {
    const dirty = this.#dirty
    this.#dirty = []
    for (const output of dirty) output.flush()
  }

  readonly #onTurn = (): void => {
    this.#isScheduled = false
    this.flushAll()
  }
}

/**
 * What goes out on one socket: frames gathered during a turn of the event loop leave in one write.
 *
 * Invariants
 *   O1  Bytes gathered, or handed to the socket and not yet written, are charged to the pool, and given back exactly once;
 *       those in the slab when they leave it.
 *   O2  `isWritable` turns false above the high-water mark; every `onWritable` callback runs once the socket has caught up.
 */
export class Output {
  readonly #socket: Socket
  readonly #flusher: Flusher
  readonly #pool: BytePool
  #slab: WriteBuffer | undefined
  /** Slices that go out before what is in the slab. */
  #chunks: Buffer[] = []
  #chunkBytes = 0
  #pongs = 0
  #inSocketBytes = 0
  #waiting: (() => void)[] = []
  #isClosed = false

  constructor(socket: Socket, flusher: Flusher, pool: BytePool) {
    this.#socket = socket
    this.#flusher = flusher
    this.#pool = pool
  }

  /** False also while somebody waits to be called: what is said here changes by that call only, once it was false. */
  get isWritable(): boolean {
    return this.#waiting.length === 0 && this.#hasRoom
  }

  get #hasRoom(): boolean {
    const gatheredBytes = this.#chunkBytes + (this.#slab?.length ?? 0)
    if (this.#pool.isOver) return this.#inSocketBytes === 0 && gatheredBytes < TIGHT_BYTES
    return this.#inSocketBytes + gatheredBytes < HIGH_WATER_BYTES
  }

  get queuedBytes(): number {
    return this.#inSocketBytes + this.#chunkBytes + (this.#slab?.length ?? 0)
  }

  onWritable(run: () => void): void {
    this.#waiting.push(run)
    if (this.#hasRoom) setImmediate(() => this.#wake())
  }

  /** Where the next frame is written. Valid until the turn ends; a closed output takes and drops it. */
  get slab(): WriteBuffer {
    const slab = this.#slab
    if (slab !== undefined) return slab
    const taken = this.#flusher.markDirty(this)
    this.#slab = taken
    return taken
  }

  /** A whole frame of a cold command. */
  frame(frame: Buffer): void {
    if (this.#isClosed) return
    const slab = this.slab
    slab.ensure(frame.length)
    slab.copy(frame, 0, frame.length)
  }

  /** Headers and payload behind a header that was just written to `slab`: `payload[start, end)`. */
  payload(payload: Buffer, start: number): void {
    const bytes = payload.length - start
    const slab = this.slab
    if (bytes <= COPY_BYTES_MAX) {
      slab.ensure(bytes)
      slab.copy(payload, start, payload.length)
      if (slab.length >= COPY_BYTES_MAX * 4) this.#chunk(slab.take())
      return
    }
    if (slab.length > 0) this.#chunk(slab.take())
    this.#chunk(start === 0 ? payload : payload.subarray(start))
  }

  /** Goes out ahead of everything gathered in this turn: clients give up without it. */
  pong(): void {
    if (this.#isClosed) return
    this.#pongs++
    if (this.#slab === undefined) this.#slab = this.#flusher.markDirty(this)
  }

  /** While the pool is over, what is little leaves the slab behind: it may wait for long, and must not keep all of it. */
  flush(): void {
    const slab = this.#slab
    if (slab === undefined) return
    this.#slab = undefined
    if (slab.length > 0) this.#chunk(this.#pool.isOver ? Buffer.from(slab.take()) : slab.take())
    if (this.#pongs > 0) this.#putPongsFirst(slab)
    this.#flusher.giveBack(slab)
    const chunks = this.#chunks
    const bytes = this.#chunkBytes
    this.#chunks = []
    this.#chunkBytes = 0
    if (bytes === 0) return
    if (this.#isClosed) {
      this.#pool.give(bytes)
      return
    }
    this.#inSocketBytes += bytes
    const onWritten = (): void => this.#onWritten(bytes)
    if (chunks.length === 1) {
      this.#socket.write(chunks[0] as Buffer, onWritten)
      return
    }
    this.#socket.cork()
    const last = chunks.length - 1
    for (let index = 0; index < last; index++) this.#socket.write(chunks[index] as Buffer)
    this.#socket.write(chunks[last] as Buffer, onWritten)
    this.#socket.uncork()
  }

  /** Nothing more is written. What the socket still holds is settled by its own callbacks. */
  close(): void {
    this.flush()
    this.#isClosed = true
    this.#waiting = []
  }

  #chunk(bytes: Buffer): void {
    this.#chunks.push(bytes)
    this.#chunkBytes += bytes.length
    this.#pool.take(bytes.length)
  }

  #putPongsFirst(slab: WriteBuffer): void {
    for (; this.#pongs > 0; this.#pongs--) writePong(slab)
    const bytes = slab.take()
    this.#chunks.unshift(bytes)
    this.#chunkBytes += bytes.length
    this.#pool.take(bytes.length)
  }

  #onWritten(bytes: number): void {
    this.#inSocketBytes -= bytes
    this.#pool.give(bytes)
    if (this.#waiting.length > 0 && this.#inSocketBytes <= (this.#pool.isOver ? 0 : LOW_WATER_BYTES)) this.#wake()
  }

  #wake(): void {
    if (!this.#hasRoom) return
    const woken = this.#waiting
    this.#waiting = []
    for (const run of woken) run()
  }
}
