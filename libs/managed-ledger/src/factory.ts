import { ledgerId, reasonOf, silentLogger, systemClock, type Clock, type Logger } from '@strata/base'
import { trimmableLedgers } from '@strata/cursor-protocol'
import type { LedgerClient, NodeChoice } from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import type {
  CacheCounts,
  LogCreation,
  LogGuards,
  ManagedLedger,
  ManagedLedgerFactory,
  ManagedLedgerOptions,
  RetentionPolicy,
  SeenLog,
  SweptLog
} from './contract.ts'
import { deleteObsolete } from './cursor-store.ts'
import { EntryCache } from './entry-cache.ts'
import { ManagedLedgerError } from './errors.ts'
import { deleteListed } from './ledger-list.ts'
import { loadLog } from './log-loader.ts'
import { LEDGERS_PER_CHANGE_MAX, listLedgers, LogSession, metadataFailure } from './log-session.ts'
import { OpenLog, type LogServices } from './managed-ledger.ts'
import { keptAs } from './persistence.ts'
import { decodeLogRecord, logKey, type LedgerRecord, type LogRecord } from './records.ts'

export interface ManagedLedgerFactoryOptions {
  readonly metadata: MetadataStore
  readonly ledgers: LedgerClient
  /** Bytes that the entry cache of the process keeps alive. */
  readonly cacheBytesMax: number
  readonly clock?: Clock
  readonly log?: Logger
  /** How long appends and cursor changes wait for storage that fails, until they fail with STORAGE_FAILED. */
  readonly storageDeadlineMs?: number
  /** A cursor ledger is replaced past this, or past four times what its cursors take, whichever is more. */
  readonly cursorLedgerBytesMax?: number
}

const CACHE_BYTES_MIN = 1024 * 1024
const STORAGE_DEADLINE_MS = 10_000
const CURSOR_LEDGER_BYTES_MAX = 4 * 1024 * 1024

type OpenOptions = ManagedLedgerOptions & LogGuards & LogCreation

export function createManagedLedgerFactory(options: ManagedLedgerFactoryOptions): ManagedLedgerFactory {
  return new LogFactory(options)
}

class LogFactory implements ManagedLedgerFactory {
  readonly #store: MetadataStore
  readonly #client: LedgerClient
  readonly #chosen = new WeakMap<NodeChoice, LedgerClient>()
  readonly #clock: Clock
  readonly #log: Logger
  readonly #cache: EntryCache
  readonly #options: ManagedLedgerFactoryOptions
  /** Open, opening or being swept here: a name is worked on by one call at a time. */
  readonly #open = new Map<string, OpenLog<never>>()
  readonly #busy = new Map<string, Promise<unknown>>()
  #isClosed = false

  constructor(options: ManagedLedgerFactoryOptions) {
    this.#options = options
    this.#store = options.metadata
    this.#client = options.ledgers
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.#cache = new EntryCache({ bytesMax: Math.max(options.cacheBytesMax, CACHE_BYTES_MIN), clock: this.#clock })
  }

  get cache(): CacheCounts {
    return this.#cache
  }

  get openCount(): number {
    return this.#open.size
  }

  open<Context>(name: string, options: OpenOptions): Promise<ManagedLedger<Context>> {
    return this.#alone(name, async () => {
      const open = this.#open.get(name)
      // One log has one user of its append listener; who asks again by name means the same one.
      if (open !== undefined && !open.isDead) return open
      await open?.close()
      return this.#takeOver<Context>(name, options)
    })
  }

  async exists(name: string): Promise<boolean> {
    const record = await this.#record(name)
    return record !== undefined && !record.isDeleting
  }

  async look(name: string): Promise<SeenLog | undefined> {
    try {
      const record = await this.#store.get(logKey(name))
      // a deletion goes on meanwhile: what it leaves must be looked at when it counts
      return record !== undefined && decodeLogRecord(record.value).isDeleting ? undefined : { record }
    } catch {
      return undefined // `open` finds the same trouble, and says so
    }
  }

  delete(name: string, options: LogGuards = {}): Promise<void> {
    return this.#alone(name, async () => {
      this.#open.get(name)?.abandon(ManagedLedgerError.create('LOG_CLOSED', { name }))
      await this.#deleteLog(name, options)
    })
  }

  sweep(name: string, retention: RetentionPolicy, options: LogGuards = {}): Promise<SweptLog | undefined> {
    return this.#alone(name, async () => {
      const open = this.#open.get(name)
      if (open !== undefined) await open.trim()
      else return await this.#sweepUnopened(name, retention, options)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#open.values()].map(log => log.close()))
    this.#cache.close()
  }

  async #takeOver<Context>(name: string, options: OpenOptions): Promise<ManagedLedger<Context>> {
    if (this.#isClosed) throw ManagedLedgerError.create('LOG_CLOSED', { name })
    const session = await this.#begin(name, options)
    const client = keptAs(this.#clientAmong(options.nodes), options.persistence)
    const loaded = await loadLog({ session, client, clock: this.#clock })
    const log = new OpenLog<Context>(loaded, options, this.#services(client))
    this.#open.set(name, log as OpenLog<never>)
    if (session.record.obsoleteLedgerIds.length > 0) {
      deleteObsolete(session, this.#client).catch((error: unknown) => {
        const reason = reasonOf(error)
        this.#log.warn({ event: 'cursor_ledger.delete_failed', name, reason }, 'left for the next owner of the log')
      })
    }
    return log
  }

  async #begin(name: string, options: OpenOptions): Promise<LogSession> {
    const { bornAt } = options
    let { seen } = options
    if (bornAt !== undefined) return LogSession.begin(name, { store: this.#store, clock: this.#clock, bornAt })
    for (;;) {
      try {
        const { create, guards = [] } = options
        return await this.#session(name, { create, guards, ...(seen === undefined ? {} : { seen }) })
      } catch (error) {
        const isLeftOver = ManagedLedgerError.is(error, 'LOG_NOT_FOUND') && error.details['isDeleting'] === true
        if (!isLeftOver || !options.create) throw error
      }
      // The leftovers of a log of this name that was deleted go first: then there is none.
      await this.#deleteLog(name, options)
      seen = undefined
    }
  }

  /** Logs of one choice share a client. */
  #clientAmong(nodes: NodeChoice | undefined): LedgerClient {
    if (nodes === undefined) return this.#client
    let client = this.#chosen.get(nodes)
    if (client === undefined) this.#chosen.set(nodes, (client = this.#client.among(nodes)))
    return client
  }

  #services(client: LedgerClient): LogServices {
    return {
      client,
      cache: this.#cache,
      clock: this.#clock,
      log: this.#log,
      storageDeadlineMs: this.#options.storageDeadlineMs ?? STORAGE_DEADLINE_MS,
      cursorLedgerBytesMax: this.#options.cursorLedgerBytesMax ?? CURSOR_LEDGER_BYTES_MAX,
      onClosed: log => {
        const open: { readonly name: string } | undefined = this.#open.get(log.name)
        if (open === log) this.#open.delete(log.name)
      }
    }
  }

  #session(
    name: string,
    options: LogGuards & Pick<LogCreation, 'create' | 'seen'> & { change?: Partial<LogRecord> }
  ): Promise<LogSession> {
    const { create, change, seen, guards = [] } = options
    const rest = { ...(change === undefined ? {} : { change }), ...(seen === undefined ? {} : { seen }) }
    return LogSession.takeOver(name, { store: this.#store, clock: this.#clock, create, guards, ...rest })
  }

  /** Ledgers before list entries, list entries before the record: whoever is interrupted, or comes later, goes on. */
  async #deleteLog(name: string, { guards = [] }: LogGuards): Promise<void> {
    if ((await this.#record(name)) === undefined) return
    const session = await this.#session(name, { create: false, guards, change: { isDeleting: true } })
    const { cursorLedgerId, obsoleteLedgerIds } = session.record
    const ledgers = await session.listLedgers()
    await deleteListed({ session, client: this.#client, ids: ledgers.map(ledger => ledger.ledgerId) })
    const cursorLedgers = [...obsoleteLedgerIds, ...(cursorLedgerId === undefined ? [] : [cursorLedgerId])]
    await Promise.all(cursorLedgers.map(id => this.#client.delete(ledgerId(id))))
    await session.change(() => ({ end: true }))
  }

  async #sweepUnopened(name: string, retention: RetentionPolicy, guards: LogGuards): Promise<SweptLog | undefined> {
    let record = await this.#record(name)
    if (record?.isDeleting === true) await this.#deleteLog(name, guards)
    if (record === undefined || record.isDeleting) return undefined
    let ledgers = await this.#ledgers(name)
    if (record.cleanClose === undefined || ledgers.some(ledger => ledger.state === 'open')) {
      await this.#recoverOnce(name, retention, guards)
      record = await this.#record(name)
      ledgers = await this.#ledgers(name)
      if (record?.cleanClose === undefined) return undefined // what went wrong is in the log; it is swept again later
    }
    const { slowestCursor, closedAtMs } = record.cleanClose
    const live = ledgers.filter(ledger => ledger.state !== 'deleting')
    const count = trimmableLedgers(live, { slowest: slowestCursor, retention, nowMs: this.#clock.wallMs() })
    const dropped = live.slice(0, count)
    const deletingIds = ledgers.filter(ledger => ledger.state === 'deleting').map(ledger => ledger.ledgerId)
    if (dropped.length + deletingIds.length > 0)
      await this.#dropUnloaded(name, { record, dropped, deletingIds, ...guards })
    return { ledgers: live.slice(count), slowestCursor, closedAtMs }
  }

  /** Opening a log that was not closed in order recovers it. */
  async #recoverOnce(name: string, retention: RetentionPolicy, guards: LogGuards): Promise<void> {
    const rollover = { entriesMax: 1, bytesMax: 1, ageMsMin: 0, ageMsMax: 1 } // nothing is appended
    const log = await this.#takeOver<never>(name, { create: false, retention, rollover, ...guards })
    await log.trim()
    await log.close()
  }

  async #dropUnloaded(
    name: string,
    work: LogGuards & { record: LogRecord; dropped: readonly LedgerRecord[]; deletingIds: readonly number[] }
  ): Promise<void> {
    const { dropped, deletingIds, guards = [] } = work
    const session = await this.#session(name, { create: false, guards, change: { cleanClose: work.record.cleanClose } })
    for (let from = 0; from < dropped.length; from += LEDGERS_PER_CHANGE_MAX) {
      const batch = dropped.slice(from, from + LEDGERS_PER_CHANGE_MAX)
      const last = batch.at(-1)
      await session.change(record => ({
        record: {
          trimmedThrough:
            last === undefined ? record.trimmedThrough : { ledgerId: last.ledgerId, entryId: last.entries - 1 }
        },
        put: batch.map(ledger => ({ ...ledger, state: 'deleting' }))
      }))
    }
    const ids = [...deletingIds, ...dropped.map(ledger => ledger.ledgerId)]
    await deleteListed({ session, client: this.#client, ids })
  }

  async #record(name: string): Promise<LogRecord | undefined> {
    try {
      const record = await this.#store.get(logKey(name))
      return record === undefined ? undefined : decodeLogRecord(record.value)
    } catch (error) {
      throw metadataFailure(error)
    }
  }

  #ledgers(name: string): Promise<LedgerRecord[]> {
    return listLedgers(this.#store, name)
  }

  /** One call at a time for a name, in order. */
  async #alone<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#busy.get(name) ?? Promise.resolve()
    const done = before.then(work, work)
    const settled = done.then(
      () => undefined,
      () => undefined
    )
    this.#busy.set(name, settled)
    try {
      return await done
    } finally {
      if (this.#busy.get(name) === settled) this.#busy.delete(name)
    }
  }
}
