import { MetadataError } from '../errors.ts'
import type { MetadataStore, Transaction, TransactionResult } from '../metadata-store.ts'

/** A store whose next transactions go wrong on demand: not applied, or applied with the answer lost. */
export class FaultyMetadataStore implements MetadataStore {
  readonly #store: MetadataStore
  #faults: ('lost' | 'applied')[] = []
  /** Every transaction that was submitted, the failed ones too. */
  readonly submitted: Transaction[] = []

  constructor(store: MetadataStore) {
    this.#store = store
  }

  /** `lost`: never reaches the store. `applied`: is applied, but the caller only hears UNAVAILABLE. One a transaction. */
  failNext(...faults: ('lost' | 'applied')[]): void {
    this.#faults.push(...faults)
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    this.submitted.push(transaction)
    const fault = this.#faults.shift()
    if (fault === 'lost') throw MetadataError.create('UNAVAILABLE', { fault })
    const result = await this.#store.transact(transaction)
    if (fault === 'applied') throw MetadataError.create('UNAVAILABLE', { fault })
    return result
  }

  get: MetadataStore['get'] = key => this.#store.get(key)
  scan: MetadataStore['scan'] = options => this.#store.scan(options)
  watch: MetadataStore['watch'] = (prefix, listener) => this.#store.watch(prefix, listener)
  grantLease: MetadataStore['grantLease'] = ttlMs => this.#store.grantLease(ttlMs)
  close: MetadataStore['close'] = () => this.#store.close()
}
