import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import type { Clock, Logger } from '@strata/base'
import { MetadataError } from '../errors.ts'
import { checkKey, checkTransaction } from '../limits.ts'
import type { ManyReader } from '../shared-reads.ts'
import type { ArchivableStore, StoreSnapshot } from '../archivable-store.ts'
import type {
  Lease,
  MetadataRecord,
  ScanOptions,
  ScanPage,
  Transaction,
  TransactionResult,
  Watch,
  WatchListener
} from '../metadata-store.ts'
import { metadataErrorOf } from './etcd-failure.ts'
import { EtcdKeys } from './etcd-keys.ts'
import { EtcdLease } from './etcd-lease.ts'
import { EtcdMembers, type EtcdTls } from './etcd-members.ts'
import { EtcdOperations } from './etcd-operations.ts'
import { EtcdReader } from './etcd-reader.ts'
import { TXN } from './etcd-rpc.ts'
import { EtcdSession } from './etcd-session.ts'
import { EtcdTransactor } from './etcd-transactor.ts'
import { EtcdWatch } from './etcd-watch.ts'
import { baseOfIdentity, encodeIdentity, RevisionBase } from './revision-base.ts'
import { modEquals, putOp, valueEquals } from './transaction-plan.ts'

export interface EtcdMetadataOptions {
  /** host:port of each member. */
  readonly endpoints: readonly string[]
  /** Undefined: connections are in the clear, passwords too. */
  readonly tls?: EtcdTls
  readonly username?: string
  readonly password?: string
  /** Everything is kept below this; it ends with a slash. One prefix, one cluster of Strata. */
  readonly prefix: string
  readonly clock: Clock
  readonly logger: Logger
  /** How long one request to one member may go unanswered. */
  readonly attemptMs?: number
  /** How long a call goes on asking, all attempts together. */
  readonly patienceMs?: number
  /** How many named transactions are remembered. */
  readonly operationsMax?: number
  /** The store was set back, or is another one: everything fails from now on, and the process must start anew. Called once. */
  readonly onReplaced?: (reason: string) => void
}

/** Longer than an election takes. */
const ATTEMPT_MS = 3_000
const PATIENCE_MS = 10_000

/**
 * The store of a cluster: etcd, through its v3 API.
 *
 * Every read is linearizable. A record's version is etcd's revision of its last change. Nothing is cached; what is
 * promised beyond the interface stands in the README and at the parts.
 */
export class EtcdMetadataStore implements ArchivableStore, ManyReader {
  readonly #session: EtcdSession
  readonly #keys: EtcdKeys
  readonly #reader: EtcdReader
  readonly #operations: EtcdOperations
  #transactor: EtcdTransactor | undefined
  #revisions = new RevisionBase(0)
  readonly #attemptMs: number
  readonly #leases = new Set<EtcdLease>()
  readonly #watches = new Set<EtcdWatch>()
  readonly #pending = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  private constructor(options: EtcdMetadataOptions) {
    this.#attemptMs = options.attemptMs ?? ATTEMPT_MS
    const { clock, logger, username, password } = options
    const members = new EtcdMembers({ endpoints: options.endpoints, tls: options.tls, clock })
    const session = new EtcdSession({
      members,
      username,
      password,
      attemptMs: this.#attemptMs,
      patienceMs: options.patienceMs ?? PATIENCE_MS,
      clock,
      logger,
      ...(options.onReplaced === undefined ? {} : { onReplaced: options.onReplaced })
    })
    const keys = new EtcdKeys(options.prefix)
    this.#session = session
    this.#keys = keys
    this.#reader = new EtcdReader(session, keys)
    this.#operations = new EtcdOperations({ session, keys, countMax: options.operationsMax })
  }

  /** @throws MetadataError UNAVAILABLE, DENIED, NO_SPACE, STORE_CORRUPT (another version's format below the prefix) */
  static async open(options: EtcdMetadataOptions): Promise<EtcdMetadataStore> {
    const store = new EtcdMetadataStore(options)
    try {
      await store.#answering(() => store.#identify())
      store.#operations.startTrim()
      return store
    } catch (error) {
      await store.close()
      throw error
    }
  }

  async get(key: string): Promise<MetadataRecord | undefined> {
    this.#checkOpen()
    checkKey(key)
    return this.#revisions.record(await this.#answering(() => this.#reader.get(key)))
  }

  /** At most a hundred keys, as of one revision; all of their values in one answer. */
  async getMany(keys: readonly string[]): Promise<(MetadataRecord | undefined)[]> {
    this.#checkOpen()
    for (const key of keys) checkKey(key)
    const records = await this.#answering(() => this.#reader.getMany(keys))
    return records.map(record => this.#revisions.record(record))
  }

  /** At most a hundred prefixes; those of which there is little come in one answer. */
  async scanMany(prefixes: readonly string[]): Promise<ScanPage[]> {
    this.#checkOpen()
    const pages = await this.#answering(() => this.#reader.scanMany(prefixes))
    return pages.map(page => this.#revisions.page(page))
  }

  async scan(options: ScanOptions): Promise<ScanPage> {
    this.#checkOpen()
    return this.#revisions.page(await this.#answering(() => this.#reader.scan(options)))
  }

  async transact(transaction: Transaction): Promise<TransactionResult> {
    this.#checkOpen()
    checkTransaction(transaction)
    const transactor = this.#transactor
    assert(transactor !== undefined, 'an open store knows which one it is')
    const revisions = this.#revisions
    return revisions.result(await this.#answering(() => transactor.transact(revisions.transaction(transaction))))
  }

  async watch(prefix: string, listener: WatchListener): Promise<Watch> {
    this.#checkOpen()
    const options = {
      session: this.#session,
      keys: this.#keys,
      reader: this.#reader,
      attemptMs: this.#attemptMs,
      onClose: (watch: EtcdWatch) => void this.#watches.delete(watch)
    }
    const revisions = this.#revisions
    const raised: WatchListener = events => listener(revisions.events(events))
    const watch = await this.#answering(() => EtcdWatch.open(options, prefix, raised))
    this.#watches.add(watch)
    if (this.#closing !== undefined) watch.close()
    return watch
  }

  /** etcd counts in whole seconds and has a least time of its own (2 s by default): `ttlMs` of the lease is what it gave. */
  async grantLease(ttlMs: number): Promise<Lease> {
    this.#checkOpen()
    return this.#answering(async () => {
      const lease = await EtcdLease.grant(this.#session, ttlMs, ended => void this.#leases.delete(ended))
      if (lease.isHeld) this.#leases.add(lease)
      return lease
    })
  }

  async snapshot(): Promise<StoreSnapshot> {
    this.#checkOpen()
    const { base } = this.#revisions
    const revision = await this.#answering(() => this.#reader.revision())
    const rows = this.#reader.rowsAt(revision)
    const records = async function* (): ReturnType<EtcdReader['rowsAt']> {
      try {
        for await (const row of rows) yield { ...row, version: row.version + base }
      } catch (error) {
        throw metadataErrorOf(error)
      }
    }
    return { revision: Number(revision) + base, records }
  }

  async raiseRevision(floor: number): Promise<void> {
    this.#checkOpen()
    await this.#answering(async () => {
      const key = this.#keys.identity
      for (;;) {
        const row = await this.#reader.row(key)
        const now = await this.#reader.revision()
        const found = row === undefined ? undefined : baseOfIdentity(row.value)
        if (row === undefined || found === undefined) throw MetadataError.create('STORE_CORRUPT')
        if (Number(now) + found.base >= floor) break
        // the next revision is the first one above
        const value = encodeIdentity(randomUUID(), floor - Number(now))
        const raising = { compare: [valueEquals(key, row.value)], success: [putOp(key, value)] }
        await this.#session.ask(TXN, raising, { mayRepeat: true })
      }
      await this.#identify()
    })
  }

  /** Waits for what was submitted before, then gives the leases back, if etcd can be reached. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#session.stopRepeating()
    for (const watch of [...this.#watches]) watch.close()
    await Promise.allSettled([...this.#pending, this.#operations.close()])
    // who cannot be told gets them back when their time is up
    await Promise.allSettled([...this.#leases].map(lease => lease.revoke()))
    this.#session.close()
  }

  /** Finds out which store this is; the first one to come names it. */
  async #identify(): Promise<void> {
    const key = this.#keys.identity
    let row = await this.#reader.row(key)
    if (row === undefined) {
      const value = encodeIdentity(randomUUID(), 0)
      const naming = { compare: [modEquals(key, 0n)], success: [putOp(key, value)] }
      await this.#session.ask(TXN, naming, { mayRepeat: true })
      row = await this.#reader.row(key)
    }
    const value = Buffer.from(row?.value ?? [])
    const found = baseOfIdentity(value)
    if (found === undefined) throw MetadataError.create('STORE_CORRUPT', { format: value.toString().split(' ')[0] })
    this.#revisions = new RevisionBase(found.base)
    this.#transactor = new EtcdTransactor({
      session: this.#session,
      keys: this.#keys,
      identity: { key, value },
      reader: this.#reader,
      operations: this.#operations
    })
  }

  async #answering<Result>(ask: () => Promise<Result>): Promise<Result> {
    const answer = ask()
    this.#pending.add(answer)
    try {
      return await answer
    } catch (error) {
      throw metadataErrorOf(error)
    } finally {
      this.#pending.delete(answer)
    }
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw MetadataError.create('CLOSED')
  }
}
