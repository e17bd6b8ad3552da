import { strict as assert } from 'node:assert'
import { endOfPrefix } from '../keys.ts'

/** Half-open: [start, end). */
export interface EtcdRange {
  readonly start: Buffer
  readonly end: Buffer
}

/**
 * Where a store's rows are in etcd, below its prefix.
 *
 *   key                  value
 *   <prefix>d/<key>      a record: the value as it is; its version is etcd's revision of the last change (mod revision)
 *   <prefix>o/<id>       a named transaction: `c` committed, under the revision of this row; `r` refused for good
 *   <prefix>f            `1`, the format of all this, and after a space a random id of this store
 *   <prefix>t            (empty) written by transactions that would otherwise change nothing and so have no revision
 */
export class EtcdKeys {
  readonly identity: Buffer
  readonly touch: Buffer
  readonly operations: EtcdRange
  readonly #prefix: string
  readonly #dataLength: number

  constructor(prefix: string) {
    assert(prefix.endsWith('/') && !prefix.includes('\0'), `a prefix that ends with a slash: ${prefix}`)
    this.#prefix = prefix
    this.identity = Buffer.from(`${prefix}f`)
    this.touch = Buffer.from(`${prefix}t`)
    this.operations = rangeOf(Buffer.from(`${prefix}o/`))
    this.#dataLength = Buffer.byteLength(`${prefix}d/`)
  }

  data(key: string): Buffer {
    return Buffer.from(`${this.#prefix}d/${key}`)
  }

  /** Inverse of `data`. */
  keyOf(stored: Uint8Array): string {
    return Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength).toString('utf8', this.#dataLength)
  }

  operation(id: string): Buffer {
    return Buffer.from(`${this.#prefix}o/${id}`)
  }

  /** Records whose key starts with `prefix`, behind `after`. */
  records(prefix: string, after?: string): EtcdRange {
    const range = rangeOf(this.data(prefix))
    const next = after === undefined ? range.start : nextKey(this.data(after))
    return next.compare(range.start) > 0 ? { start: next, end: range.end } : range
  }
}

/** The least key behind `stored`. */
export function nextKey(stored: Uint8Array): Buffer {
  return Buffer.concat([stored, Buffer.of(0)])
}

function rangeOf(prefix: Buffer): EtcdRange {
  return { start: prefix, end: endOfPrefix(prefix) }
}
