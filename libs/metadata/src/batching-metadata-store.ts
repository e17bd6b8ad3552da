import { randomUUID } from 'node:crypto'
import { checkKey, checkTransaction } from './limits.ts'
import type {
  Change,
  MetadataRecord,
  MetadataStore,
  ScanOptions,
  ScanPage,
  Transaction,
  TransactionResult
} from './metadata-store.ts'
import { isManyReader, isManyScanner, SharedReads } from './shared-reads.ts'
import { TransactionGroup } from './transaction-group.ts'

/** Shared transactions on their way at once: while they are, what comes gathers for the next. */
const UNDER_WAY_MAX = 2
/** Names of which it is remembered that the shared transaction they went with got no answer. */
const DOUBTS_MAX = 4_096

interface Waiting {
  readonly transaction: Transaction
  readonly resolve: (result: TransactionResult) => void
  readonly reject: (error: unknown) => void
}

/** A transaction, shared or of one alone, without an answer: it, and nothing else, is submitted again for whoever asks. */
interface Doubt {
  readonly shared: Transaction
  asking: Promise<TransactionResult> | undefined
}

/**
 * A store whose named transactions share one where they arrive together and have nothing to do with each other: the next
 * goes out when one returns. What a topic needs to be made costs many topics one round trip and one sync.
 *
 * Invariants
 *   B1  Each is judged by its own compares alone: one that conflicts hears of its own conflicts, the others of the shared
 *       transaction go out again without it.
 *   B2  Each is applied at most once under its name (M5), as long as its caller goes on asking after an ambiguous answer:
 *       then the very transaction it went with is submitted again, under the same name, until it is known what became of
 *       it. The store itself remembers the name of the shared one only.
 *   B3  Those that share one have its revision: between them it does not tell which came first (M1 holds towards all others).
 *
 * Those without a name, or under a lease, go alone, as does one that finds nobody to go with. Where the store reads many keys
 * in one round trip, reads that arrive together share one too, as do scans of folders that are short (`isShort`).
 */
export class BatchingMetadataStore implements MetadataStore {
  readonly #store: MetadataStore
  readonly #reads: SharedReads<MetadataRecord | undefined> | undefined
  readonly #shortScans: SharedReads<ScanPage> | undefined
  #waiting: Waiting[] = []
  readonly #doubts = new Map<string, Doubt>()
  #underWayCount = 0
  #isScheduled = false

  /** The caller goes on owning `store`; closing this one closes it. */
  constructor(store: MetadataStore) {
    this.#store = store
    if (isManyReader(store)) {
      this.#reads = new SharedReads({ one: key => store.get(key), many: keys => store.getMany(keys) })
    }
    if (isManyScanner(store)) {
      const one = (prefix: string): Promise<ScanPage> => store.scan({ prefix, isShort: true })
      this.#shortScans = new SharedReads({ one, many: prefixes => store.scanMany(prefixes) })
    }
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    const { operationId } = transaction
    if (operationId === undefined || isLeased(transaction)) return this.#store.transact(transaction)
    checkTransaction(transaction)
    const own = { ...transaction, changes: transaction.changes.map(copyOf) }
    const committed = await this.#afterDoubt(operationId)
    if (committed !== undefined) return committed
    return new Promise((resolve, reject) => {
      this.#waiting.push({ transaction: own, resolve, reject })
      this.#schedule()
    })
  }

  async get(key: string): Promise<MetadataRecord | undefined> {
    if (this.#reads === undefined) return this.#store.get(key)
    checkKey(key)
    return this.#reads.get(key)
  }

  async scan(options: ScanOptions): Promise<ScanPage> {
    const { prefix, after, limit, keysOnly = false, isShort = false } = options
    const isWhole = isShort && after === undefined && limit === undefined && !keysOnly
    if (!isWhole || this.#shortScans === undefined) return this.#store.scan(options)
    return this.#shortScans.get(prefix)
  }

  watch: MetadataStore['watch'] = (prefix, listener) => this.#store.watch(prefix, listener)
  grantLease: MetadataStore['grantLease'] = ttlMs => this.#store.grantLease(ttlMs)

  async close(): Promise<void> {
    while (this.#waiting.length > 0 || this.#underWayCount > 0) await new Promise(resolve => setImmediate(resolve))
    await this.#store.close()
  }

  /** At the end of the turn: whatever an answer sets off goes with it. */
  #schedule(): void {
    if (this.#isScheduled || this.#underWayCount >= UNDER_WAY_MAX || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#submit()
      this.#schedule()
    })
  }

  /** Never rejects. */
  async #submit(): Promise<void> {
    const members = this.#takeGroup()
    const [only] = members
    if (only === undefined) return
    this.#underWayCount += 1
    try {
      await this.#submitShared(members, members.length === 1 ? only.transaction : sharedOf(members))
    } finally {
      this.#underWayCount -= 1
      this.#schedule()
    }
  }

  #takeGroup(): Waiting[] {
    const group = new TransactionGroup()
    const left: Waiting[] = []
    const members = this.#waiting.filter(waiting => {
      if (group.add(waiting.transaction)) return true
      left.push(waiting)
      return false
    })
    this.#waiting = left
    return members
  }

  async #submitShared(members: readonly Waiting[], shared: Transaction): Promise<void> {
    try {
      this.#answer(members, await this.#store.transact(shared))
    } catch (error) {
      this.#remember(members, { shared, asking: undefined })
      for (const { reject } of members) reject(error)
    }
  }

  /** B1. */
  #answer(members: readonly Waiting[], result: TransactionResult): void {
    if (result.committed) {
      for (const { resolve } of members) resolve(result)
      return
    }
    const again: Waiting[] = []
    for (const member of members) {
      const named = new Set(member.transaction.compares.map(({ key }) => key))
      const conflicts = result.conflicts.filter(({ key }) => named.has(key))
      if (conflicts.length > 0) member.resolve({ committed: false, conflicts })
      else again.push(member)
    }
    this.#waiting.unshift(...again)
  }

  // ------------------------------------------------------------ what got no answer

  #remember(members: readonly Waiting[], doubt: Doubt): void {
    for (const { transaction } of members) {
      if (transaction.operationId !== undefined) this.#doubts.set(transaction.operationId, doubt)
    }
    for (const oldest of this.#doubts.keys()) {
      if (this.#doubts.size <= DOUBTS_MAX) break
      this.#doubts.delete(oldest)
    }
  }

  /** B2. undefined: it was not applied, and never will be unless it is submitted anew. */
  async #afterDoubt(operationId: string): Promise<TransactionResult | undefined> {
    const doubt = this.#doubts.get(operationId)
    if (doubt === undefined) return undefined
    doubt.asking ??= this.#store.transact(doubt.shared).finally(() => {
      doubt.asking = undefined
    })
    const result = await doubt.asking
    // what was refused left nothing behind, so everyone it was for may be judged anew
    this.#doubts.delete(operationId)
    return result.committed ? result : undefined
  }
}

/** It waits for its turn, and its caller may not. */
function copyOf(change: Change): Change {
  return change.kind === 'put' ? { ...change, value: new Uint8Array(change.value) } : change
}

function isLeased({ changes }: Transaction): boolean {
  return changes.some(change => change.kind === 'put' && change.lease !== undefined)
}

function sharedOf(members: readonly Waiting[]): Transaction {
  const compares = new Map<string, number>()
  for (const { transaction } of members) for (const { key, version } of transaction.compares) compares.set(key, version)
  return {
    compares: Array.from(compares, ([key, version]) => ({ key, version })),
    changes: members.flatMap(({ transaction }) => transaction.changes),
    operationId: randomUUID()
  }
}
