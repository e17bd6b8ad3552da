import { OPERATIONS_MAX } from '../operation-window.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import { RANGE, TXN } from './etcd-rpc.ts'
import type { EtcdSession } from './etcd-session.ts'
import { SortOrder, SortTarget } from '../generated/etcd_pb.ts'
import { deleteOp, modEquals } from './transaction-plan.ts'

/** After this many named transactions a store trims. */
const TRIM_EVERY = 1_024
const DELETES_MAX = 100
const LISTED_MAX = 1_000
const ROUNDS_MAX = 100

/**
 * Keeps the rows of named transactions from growing without end. The newest `countMax` are always there; at most
 * `TRIM_EVERY` more for each store that is open, and what stores that crashed left over until the next one opens.
 *
 * A row is deleted only if, as of one revision, `countMax` rows were newer, and if it is still the row that was listed
 * then. Rows only ever get older, so it does not matter how long ago that was or how many trim at once.
 */
export class EtcdOperations {
  readonly #session: EtcdSession
  readonly #keys: EtcdKeys
  readonly #countMax: number
  #sinceTrim = 0
  #trimming: Promise<void> | undefined
  #isClosed = false

  constructor(options: { session: EtcdSession; keys: EtcdKeys; countMax?: number | undefined }) {
    this.#session = options.session
    this.#keys = options.keys
    this.#countMax = options.countMax ?? OPERATIONS_MAX
  }

  onCommitted(): void {
    this.#sinceTrim += 1
    if (this.#sinceTrim >= Math.min(TRIM_EVERY, this.#countMax)) this.startTrim()
  }

  startTrim(): void {
    if (this.#isClosed) return
    this.#trimming ??= this.#trim().finally(() => (this.#trimming = undefined))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#trimming
  }

  /** Never rejects. */
  async #trim(): Promise<void> {
    this.#sinceTrim = 0
    try {
      for (let round = 0; round < ROUNDS_MAX && !this.#isClosed; round++) {
        if (!(await this.#trimSome())) return
      }
    } catch (error) {
      this.#session.log.warn(
        { event: 'operations.trim_failed', error },
        'Old operation ids were not deleted; they are next time.'
      )
    }
  }

  /** Returns whether there may be more to do. */
  async #trimSome(): Promise<boolean> {
    const { start: key, end: rangeEnd } = this.#keys.operations
    const repeatable = { mayRepeat: true }
    const { count, header } = await this.#session.ask(RANGE, { key, rangeEnd, countOnly: true }, repeatable)
    const excess = Number(count) - this.#countMax
    if (excess <= 0) return false
    const oldest = {
      key,
      rangeEnd,
      keysOnly: true,
      revision: header?.revision ?? 0n,
      limit: BigInt(Math.min(excess, LISTED_MAX)),
      sortTarget: SortTarget.MOD,
      sortOrder: SortOrder.ASCENDING
    }
    const { kvs } = await this.#session.ask(RANGE, oldest, repeatable)
    for (let at = 0; at < kvs.length && !this.#isClosed; at += DELETES_MAX) {
      const rows = kvs.slice(at, at + DELETES_MAX)
      const compare = rows.map(row => modEquals(Buffer.from(row.key), row.modRevision))
      const { succeeded } = await this.#session.ask(
        TXN,
        { compare, success: rows.map(row => deleteOp(row.key)) },
        repeatable
      )
      if (!succeeded) return true // someone else trims: see what is left
    }
    return true
  }
}
