import { CHANGES_MAX, COMPARES_MAX, TRANSACTION_BYTES_MAX } from './limits.ts'
import type { Transaction } from './metadata-store.ts'

/**
 * Which transactions fit into one: within the limits, and none changes what another compares or changes. Several may
 * compare one key, if they expect the same version of it. Pure.
 */
export class TransactionGroup {
  readonly #compared = new Map<string, number>()
  readonly #changed = new Set<string>()
  #bytes = 0
  #isEmpty = true

  /** False: it belongs into another one. Into an empty group goes any that is within the limits by itself. */
  add(transaction: Transaction): boolean {
    if (!this.#isEmpty && !(this.#isIndependent(transaction) && this.#hasRoomFor(transaction))) return false
    this.#isEmpty = false
    for (const { key, version } of transaction.compares) this.#compared.set(key, version)
    for (const { key } of transaction.changes) this.#changed.add(key)
    this.#bytes += bytesOf(transaction)
    return true
  }

  #isIndependent({ compares, changes }: Transaction): boolean {
    for (const { key, version } of compares) {
      if (this.#changed.has(key) || (this.#compared.get(key) ?? version) !== version) return false
    }
    for (const { key } of changes) if (this.#changed.has(key) || this.#compared.has(key)) return false
    return true
  }

  #hasRoomFor(transaction: Transaction): boolean {
    let compares = this.#compared.size
    for (const { key } of transaction.compares) compares += this.#compared.has(key) ? 0 : 1
    return (
      compares <= COMPARES_MAX &&
      this.#changed.size + transaction.changes.length <= CHANGES_MAX &&
      this.#bytes + bytesOf(transaction) <= TRANSACTION_BYTES_MAX
    )
  }
}

/** As the limits count them. */
function bytesOf({ changes }: Transaction): number {
  let bytes = 0
  for (const change of changes) {
    bytes += Buffer.byteLength(change.key) + (change.kind === 'put' ? change.value.length : 0)
  }
  return bytes
}
