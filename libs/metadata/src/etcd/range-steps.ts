import { endOfPrefix } from '../keys.ts'
import { nextKey, type EtcdRange } from './etcd-keys.ts'

/** So many keys behind those that are asked for may be counted: well under a millisecond of etcd. */
export const COUNTED_MAX = 4_000
/** Prefixes whose density is remembered, the least recently read go first. */
const REMEMBERED_MAX = 1_000

/** Fewer rows than this say nothing of how dense others are. */
const TELLING_ROWS = 16

/** What etcd said to one request. */
export interface RangeAnswer {
  readonly kvs: readonly { readonly key: Uint8Array }[]
  /** Keys of the range that was asked for, whatever the limit. */
  readonly count: number
}

/** How dense the keys below a prefix were when they were last found to be many. A guess, which costs requests if it is wrong. */
interface Density {
  /** Bytes that the keys of one request have in common, and one more. */
  depth: number
  /** The first of all keys, cut there. */
  head: Buffer | undefined
}

/**
 * Reads a range of keys in steps. etcd goes through all keys of the range that a request names, whatever its limit, since it
 * counts them: a page of a million keys would cost a million. So a request names only keys that begin like the last one that
 * was read, and the next ones, where these run out, begin alike in fewer bytes. Pure.
 *
 * Invariants
 *   S1  Everything before `key` has been read, and nothing at or behind it.
 *   S2  `bound` is the end of all keys that begin with `#stem`, behind `key`; or the end of the range.
 */
export class RangeSteps {
  readonly #end: Buffer
  readonly #isFromStart: boolean
  readonly #density: Density
  #key: Buffer
  #bound: Buffer
  #stem: Buffer
  #readCount = 0
  #emptyCount = 0

  /** @param after  The last key that was read before; undefined: the range is read from its first key. */
  constructor({ start, end }: EtcdRange, options: { after: Buffer | undefined; density: Density }) {
    const { after, density } = options
    this.#key = start
    this.#end = end
    this.#bound = end
    this.#density = density
    this.#isFromStart = after === undefined
    this.#stem = start
    const like = after ?? density.head
    if (density.depth > 0 && like !== undefined) this.#boundBy(like.subarray(0, density.depth))
  }

  /** What to ask for next. */
  get range(): { readonly key: Buffer; readonly rangeEnd: Buffer } {
    return { key: this.#key, rangeEnd: this.#bound }
  }

  /** False: there is no more to read. */
  answered({ kvs, count }: RangeAnswer): boolean {
    const first = kvs[0]?.key
    const last = kvs.at(-1)?.key
    const isFirst = this.#readCount === 0 && kvs.length > 0
    this.#readCount += kvs.length
    if (first !== undefined && last !== undefined && count > kvs.length) {
      this.#key = nextKey(last)
      this.#emptyCount = 0
      if (count - kvs.length > COUNTED_MAX)
        this.#narrow({ first, last, isFirst, isTelling: kvs.length >= TELLING_ROWS })
      return true
    }
    if (this.#bound.equals(this.#end)) {
      if (this.#isFromStart && this.#readCount <= COUNTED_MAX) this.#forget()
      return false
    }
    this.#widen(kvs.length === 0)
    return true
  }

  /** To keys that are as much like the last one as those just read are like each other, in one byte more. */
  #narrow(read: { first: Uint8Array; last: Uint8Array; isFirst: boolean; isTelling: boolean }): void {
    const depth = commonBytes(read.first, read.last) + 1
    this.#boundBy(Buffer.from(read.last.subarray(0, depth)))
    if (!read.isTelling) return
    this.#density.depth = depth
    if (this.#isFromStart && read.isFirst) this.#density.head = Buffer.from(read.first.subarray(0, depth))
  }

  /** By a byte; by more and more of them while nothing is found. */
  #widen(isEmpty: boolean): void {
    this.#emptyCount = isEmpty ? this.#emptyCount + 1 : 0
    this.#key = this.#bound
    const depth = this.#stem.length - 2 ** this.#emptyCount
    if (depth > 0) this.#boundBy(this.#stem.subarray(0, depth))
    else this.#bound = this.#end
  }

  #boundBy(stem: Buffer): void {
    const bound = endOfPrefix(stem)
    this.#stem = stem
    // a key to begin behind may be of another prefix
    this.#bound = bound.compare(this.#key) > 0 && bound.compare(this.#end) < 0 ? bound : this.#end
  }

  #forget(): void {
    this.#density.depth = 0
    this.#density.head = undefined
  }
}

/** What is remembered of the prefixes that are read. */
export class Densities {
  readonly #byPrefix = new Map<string, Density>()

  of(prefix: string): Density {
    const density = this.#byPrefix.get(prefix) ?? { depth: 0, head: undefined }
    this.#byPrefix.delete(prefix)
    this.#byPrefix.set(prefix, density)
    for (const oldest of this.#byPrefix.keys()) {
      if (this.#byPrefix.size <= REMEMBERED_MAX) break
      this.#byPrefix.delete(oldest)
    }
    return density
  }
}

function commonBytes(a: Uint8Array, b: Uint8Array): number {
  let common = 0
  while (common < a.length && a[common] === b[common]) common++
  return common
}
