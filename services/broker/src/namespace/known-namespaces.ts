import type { MetadataStore } from '@strata/metadata'
import { NamespaceRowSchema } from '../generated/broker_pb.ts'
import { decodeRow, keys } from './rows.ts'

/** The least recently asked for go first. */
const REMEMBERED_MAX = 1_000

/**
 * Versions of the rows of namespaces in which topics may be made. What is remembered may be out of date: whoever uses it
 * compares it in the transaction, and on a conflict forgets it and asks again.
 */
export class KnownNamespaces {
  readonly #store: MetadataStore
  readonly #versions = new Map<string, number>()

  constructor(store: MetadataStore) {
    this.#store = store
  }

  /** undefined: there is no such namespace, or it is being deleted. */
  async version(namespace: string): Promise<number | undefined> {
    const known = this.#versions.get(namespace)
    if (known !== undefined) return known
    const record = await this.#store.get(keys.namespace(namespace))
    if (record === undefined || decodeRow(NamespaceRowSchema, record).deleting === true) return undefined
    this.#remember(namespace, record.version)
    return record.version
  }

  forget(namespace: string): void {
    this.#versions.delete(namespace)
  }

  #remember(namespace: string, version: number): void {
    this.#versions.set(namespace, version)
    for (const oldest of this.#versions.keys()) {
      if (this.#versions.size <= REMEMBERED_MAX) break
      this.#versions.delete(oldest)
    }
  }
}
