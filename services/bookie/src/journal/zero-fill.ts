import type { Clock } from '@strata/base'
import { toBlocks } from '../disk/block-memory.ts'
import type { DiskFile, DiskLane } from '../disk/disk.ts'

/** A write of the journal that comes meanwhile waits for one piece. */
const PIECE_BYTES = 256 * 1024
/** So much is written without rests: it is done before anybody could have use of one. */
const RESTLESS_BYTES = 4 * 1024 * 1024
/** So many times as long as a piece took, nothing is written. */
const REST_RATIO = 7
const REST_MS_MIN = 1
const REST_MS_MAX = 50
/** The file is to be full when so much of the room of the one before it is used. */
const READY_PART = 2 / 3
/** The journal is busy when it writes more than a quarter of what the filling does meanwhile. */
const BUSY_BYTES = 4 * 1024 * 1024
const BUSY_RATIO = 0.25

export interface ZeroFillOptions {
  /** Gives memory for direct writes. */
  readonly lane: DiskLane
  readonly clock: Clock
  /** Bytes written to the file that is in use now, since the filling began; `room`: how many it could take then. */
  readonly usage: () => { readonly bytes: number; readonly room: number }
}

/**
 * Fills one file with zeros, piece by piece, while others write to the same disk. While the journal
 * writes, and will not need the file soon, seven eighths of the time are left to it: at full speed every add of half a second
 * waits for a piece, and those are the slowest percent of a node that does little. Ends early under load: then the disk
 * has better things to do than to write twice.
 */
export class ZeroFill {
  readonly #options: ZeroFillOptions
  #isHurried = false
  #endRest: (() => void) | undefined

  constructor(options: ZeroFillOptions) {
    this.#options = options
  }

  /** Somebody waits for the file: it is taken as it is. */
  hurry(): void {
    this.#isHurried = true
    this.#endRest?.()
  }

  /** Behind what the file has, up to `bytes`. Its writes are durable by themselves, or somebody syncs it. */
  async run(file: DiskFile, bytes: number): Promise<void> {
    const { lane } = this.#options
    const end = toBlocks(bytes)
    const start = toBlocks(await file.sizeBytes())
    if (start >= end) return
    const zeros = lane.allocate(Math.min(PIECE_BYTES, end - start))
    try {
      await this.#run(file, zeros, { start, end })
    } finally {
      lane.release(zeros)
    }
  }

  async #run(file: DiskFile, zeros: Buffer, { start, end }: { start: number; end: number }): Promise<void> {
    const { clock, usage } = this.#options
    let meanwhile = 0
    let seen = usage().bytes
    for (let at = start; at < end; at += zeros.length) {
      if (this.#isHurried || meanwhile > BUSY_BYTES + (at - start) * BUSY_RATIO) return
      const fromMs = clock.nowMs()
      const before = usage().bytes
      await file.write(zeros.subarray(0, Math.min(zeros.length, end - at)), at)
      const { bytes, room } = usage()
      meanwhile += bytes - before
      const left = end - at - zeros.length
      const isBehind = (end - start - left) * room * READY_PART < bytes * (end - start)
      const isAlone = bytes === seen
      seen = bytes
      const rests = left > 0 && at - start >= RESTLESS_BYTES && !isBehind && !isAlone
      if (rests) await this.#rest(clock.nowMs() - fromMs)
    }
  }

  #rest(tookMs: number): Promise<void> {
    if (this.#isHurried) return Promise.resolve()
    const restMs = Math.min(Math.max(tookMs * REST_RATIO, REST_MS_MIN), REST_MS_MAX)
    return new Promise(resolve => {
      const cancel = this.#options.clock.after(restMs, () => this.#endRest?.())
      this.#endRest = () => {
        this.#endRest = undefined
        cancel()
        resolve()
      }
    })
  }
}
