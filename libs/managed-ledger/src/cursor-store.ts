import { strict as assert } from 'node:assert'
import { asError, every, ledgerId, reasonOf, type Clock, type Logger } from '@strata/base'
import type { AckState } from '@strata/cursor-protocol'
import type { LedgerAppender, LedgerClient } from '@strata/ledger-client'
import { CursorEntryWriter } from './cursor-ledger-codec.ts'
import { ManagedLedgerError } from './errors.ts'
import type { LogPersistence } from './persistence.ts'
import { wasRefused, type LogSession } from './log-session.ts'

/** A durable cursor as the store sees it. */
export interface StoredCursor {
  /** Names it inside the cursor ledger. */
  readonly number: number
  readonly name: string
  readonly properties: Readonly<Record<string, string>>
  readonly state: AckState
}

type Done = (error?: Error) => void

const ENTRY_BYTES_MAX = 512 * 1024
/** An unforced change waits this long for others; with its write it is durable within a second. */
const LAZY_FLUSH_MS = 500
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 2_000

/**
 * Makes the cursors of a log durable, all in one cursor ledger: the changes of a tick, of all cursors, are one entry.
 *
 * Invariants
 *   J1  The ledger that the log's record names begins with all cursors whole and then holds every change in order, up to
 *       what is reported durable. A ledger becomes the named one only when all of that is confirmed in it.
 *   J2  A waiter is called when everything changed before it asked is confirmed in the named ledger, or in one that became it.
 *   J3  A ledger that failed or grew long is replaced, never appended to again. None is made before there is a change.
 */
export class CursorStore {
  readonly #session: LogSession
  readonly #client: LedgerClient
  readonly #clock: Clock
  readonly #log: Logger
  readonly #onFenced: (error: Error) => void
  readonly #bytesMax: number
  readonly #deadlineMs: number
  readonly #persistence: LogPersistence | undefined

  readonly #cursors = new Map<string, StoredCursor>()
  /** Changes that are in no entry yet. */
  readonly #dirty = new Set<StoredCursor>()
  readonly #undefinedYet = new Set<StoredCursor>()
  #removed: number[] = []
  /** In memory there is what the named ledger may not hold: only a new ledger makes it durable. */
  #mustReplace = false

  #appender: LedgerAppender | undefined
  #writtenBytes = 0
  #snapshotBytes = 0
  #isReplacing = false
  #waiting: Done[] = []
  /** Called when the ledger that is being made is the named one. */
  #waitingForNext: Done[] = []
  readonly #unconfirmed: { readonly entryId: number; readonly waiters: Done[] }[] = []
  #cancelLazy: (() => void) | undefined
  #tick: NodeJS.Immediate | undefined
  #stopped: Error | undefined

  constructor(parts: {
    session: LogSession
    client: LedgerClient
    clock: Clock
    log: Logger
    onFenced: (error: Error) => void
    bytesMax: number
    deadlineMs: number
    persistence: LogPersistence | undefined
  }) {
    this.#session = parts.session
    this.#client = parts.client
    this.#clock = parts.clock
    this.#log = parts.log
    this.#onFenced = parts.onFenced
    this.#bytesMax = parts.bytesMax
    this.#deadlineMs = parts.deadlineMs
    this.#persistence = parts.persistence
  }

  /** A cursor that the named ledger already holds. */
  adopt(cursor: StoredCursor): void {
    this.#cursors.set(cursor.name, cursor)
  }

  define(cursor: StoredCursor): void {
    this.#cursors.set(cursor.name, cursor)
    this.#undefinedYet.add(cursor)
    this.#armLazy()
  }

  /** Its properties or name are to be written again. */
  redefine(cursor: StoredCursor): void {
    if (this.#cursors.get(cursor.name) === cursor) this.define(cursor)
  }

  remove(cursor: StoredCursor): void {
    if (this.#cursors.get(cursor.name) !== cursor) return
    this.#cursors.delete(cursor.name)
    this.#dirty.delete(cursor)
    this.#undefinedYet.delete(cursor)
    this.#removed.push(cursor.number)
    this.#armLazy()
  }

  /** Its acknowledgement state changed. */
  changed(cursor: StoredCursor): void {
    if (this.#dirty.has(cursor) || this.#cursors.get(cursor.name) !== cursor) return
    this.#dirty.add(cursor)
    this.#armLazy()
  }

  /** J2. One write for all who ask in a tick. */
  whenDurable(done: Done): void {
    if (this.#stopped !== undefined) {
      const error = this.#stopped
      queueMicrotask(() => {
        done(error)
      })
      return
    }
    this.#waiting.push(done)
    this.#tick ??= setImmediate(() => {
      this.#tick = undefined
      this.#write()
    })
  }

  /** At once and for good; waiters fail. */
  stop(error: Error): void {
    if (this.#stopped !== undefined) return
    this.#stopped = error
    this.#cancelLazy?.()
    this.#cancelLazy = undefined
    if (this.#tick !== undefined) clearImmediate(this.#tick)
    this.#failWaiters(error)
  }

  /** Closes the ledger; what is not durable yet is lost unless it was waited for. */
  async close(): Promise<void> {
    const appender = this.#appender
    this.#appender = undefined
    if (appender === undefined || this.#stopped !== undefined) return
    await appender.close()
  }

  get #hasChanges(): boolean {
    return this.#mustReplace || this.#dirty.size > 0 || this.#undefinedYet.size > 0 || this.#removed.length > 0
  }

  #armLazy(): void {
    if (this.#cancelLazy !== undefined || this.#stopped !== undefined) return
    this.#cancelLazy = this.#clock.after(this.#persistence?.cursorFlushMs ?? LAZY_FLUSH_MS, () => {
      this.#cancelLazy = undefined
      this.#write()
    })
  }

  /** Everything changed so far goes to the ledger, or into the next one. */
  #write(): void {
    if (this.#stopped !== undefined || this.#isReplacing) return // a replacement ends by writing again
    this.#cancelLazy?.()
    this.#cancelLazy = undefined
    if (this.#hasChanges) {
      const limit = Math.max(this.#bytesMax, this.#snapshotBytes * 4)
      if (this.#appender === undefined || this.#mustReplace || this.#writtenBytes > limit) {
        void this.#replace()
        return
      }
      if (!this.#appendChanges(this.#appender)) return
    }
    const waiters = this.#waiting
    if (waiters.length === 0) return
    this.#waiting = []
    const lastEntryId = (this.#appender?.nextEntryId ?? 0) - 1
    if (lastEntryId <= (this.#appender?.lastAddConfirmed ?? -1)) for (const done of waiters) done()
    else this.#unconfirmed.push({ entryId: lastEntryId, waiters })
  }

  #appendChanges(appender: LedgerAppender): boolean {
    const writer = new CursorEntryWriter(ENTRY_BYTES_MAX)
    for (const number of this.#removed) writer.remove(number)
    for (const cursor of this.#undefinedYet) {
      writer.define(cursor.number, cursor.name, cursor.properties)
      for (const chunk of cursor.state.takeSnapshot(ENTRY_BYTES_MAX)) writer.state(cursor.number, chunk)
      this.#dirty.delete(cursor)
    }
    for (const cursor of this.#dirty) {
      for (const chunk of cursor.state.takeChanges(ENTRY_BYTES_MAX)) writer.state(cursor.number, chunk)
    }
    this.#forgetChanges()
    try {
      for (const entry of writer.finish()) {
        this.#writtenBytes += entry.length
        appender.append(entry)
      }
      return true
    } catch (error) {
      this.#onFailed(appender, asError(error))
      return false
    }
  }

  #forgetChanges(): void {
    this.#removed = []
    this.#undefinedYet.clear()
    this.#dirty.clear()
    this.#mustReplace = false
  }

  #onConfirmed(appender: LedgerAppender, lac: number): void {
    if (appender !== this.#appender) return
    while (this.#unconfirmed[0] !== undefined && this.#unconfirmed[0].entryId <= lac) {
      for (const done of this.#unconfirmed.shift()?.waiters ?? []) done()
    }
  }

  #onFailed(appender: LedgerAppender, error: Error): void {
    if (appender !== this.#appender || this.#stopped !== undefined) return
    this.#log.warn(
      { event: 'cursor_ledger.append_failed', ledgerId: appender.ledgerId, reason: error.message },
      'a cursor ledger takes no more entries; replacing it'
    )
    this.#appender = undefined
    this.#mustReplace = true
    this.#waiting = this.#takeWaiters()
    if (this.#waiting.length > 0) this.#write()
    else this.#armLazy()
  }

  // ---------------------------------------------------------------- replacing the ledger

  async #replace(): Promise<void> {
    assert(!this.#isReplacing)
    this.#isReplacing = true
    const stopDeadlines = every(this.#clock, this.#deadlineMs, () => {
      this.#failWaiters(ManagedLedgerError.create('STORAGE_FAILED', { name: this.#session.name, what: 'cursors' }))
    })
    let pauseMs = RETRY_MS_MIN
    while (this.#stopped === undefined) {
      try {
        await this.#replaceOnce()
        break
      } catch (error) {
        if (ManagedLedgerError.is(error, 'LOG_FENCED')) {
          this.#onFenced(error)
          break
        }
        const reason = reasonOf(error)
        this.#log.warn({ event: 'cursor_ledger.replace_failed', reason }, 'no new cursor ledger; trying again')
        await new Promise<void>(resolve => this.#clock.after(pauseMs, resolve))
        pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)
      }
    }
    stopDeadlines()
    this.#isReplacing = false
    if (this.#hasChanges || this.#waiting.length > 0) this.#write()
  }

  async #replaceOnce(): Promise<void> {
    const old = this.#appender
    const made = this.#cursors.size === 0 ? undefined : await this.#createLedger()
    // From here to the snapshot nothing waits: the waiters taken and the state written belong to one moment.
    this.#waitingForNext = this.#takeWaiters()
    try {
      await this.#writeSnapshot(made)
    } catch (error) {
      this.#mustReplace = true
      if (made !== undefined) void this.#client.delete(made.appender.ledgerId).catch(() => undefined)
      throw error
    }
    await this.#switchTo(made)
    if (this.#stopped !== undefined) return
    this.#appender = made?.appender
    for (const done of this.#waitingForNext.splice(0)) done()
    if (made?.failure !== undefined) this.#onFailed(made.appender, made.failure)
    this.#deleteObsolete(old)
  }

  async #switchTo(made: NewLedger | undefined): Promise<void> {
    try {
      await this.#session.change(record => ({
        record: {
          cursorLedgerId: made?.appender.ledgerId,
          obsoleteLedgerIds: [
            ...record.obsoleteLedgerIds,
            ...(record.cursorLedgerId === undefined ? [] : [record.cursorLedgerId])
          ]
        }
      }))
    } catch (error) {
      this.#mustReplace = true
      if (made !== undefined && wasRefused(error)) {
        void this.#client.delete(made.appender.ledgerId).catch(() => undefined)
      }
      throw error
    }
  }

  async #writeSnapshot(made: NewLedger | undefined): Promise<void> {
    this.#forgetChanges()
    if (made === undefined) return
    const writer = new CursorEntryWriter(ENTRY_BYTES_MAX)
    for (const cursor of this.#cursors.values()) {
      writer.define(cursor.number, cursor.name, cursor.properties)
      for (const chunk of cursor.state.takeSnapshot(ENTRY_BYTES_MAX)) writer.state(cursor.number, chunk)
    }
    this.#snapshotBytes = 0
    for (const entry of writer.finish()) {
      this.#snapshotBytes += entry.length
      made.appender.append(entry)
    }
    this.#writtenBytes = this.#snapshotBytes
    await made.confirmed(made.appender.nextEntryId - 1)
  }

  async #createLedger(): Promise<NewLedger> {
    const made = new NewLedger()
    made.appender = await this.#client.create({
      owner: `cursors:${this.#session.name}@${this.#session.record.epoch}`,
      listener: {
        onConfirmed: lac => {
          made.onConfirmed(lac)
          if (made.isReady) this.#onConfirmed(made.appender, lac)
        },
        onFailed: error => {
          made.onFailed(error)
          if (made.isReady) this.#onFailed(made.appender, error)
        }
      }
    })
    made.isReady = true
    return made
  }

  /** In the background; what stays is in the record and goes when the next owner opens the log. */
  #deleteObsolete(old: LedgerAppender | undefined): void {
    const work = async (): Promise<void> => {
      await old?.close().catch(() => undefined)
      await deleteObsolete(this.#session, this.#client)
    }
    work().catch((error: unknown) => {
      if (ManagedLedgerError.is(error, 'LOG_FENCED')) this.#onFenced(error)
    })
  }

  #takeWaiters(): Done[] {
    const unconfirmed = this.#unconfirmed.splice(0).flatMap(batch => batch.waiters)
    return [...this.#waitingForNext.splice(0), ...unconfirmed, ...this.#waiting.splice(0)]
  }

  #failWaiters(error: Error): void {
    for (const done of this.#takeWaiters()) done(error)
  }
}

/** A ledger that is not yet the log's cursor ledger. */
class NewLedger {
  declare appender: LedgerAppender
  isReady = false
  failure: Error | undefined
  #lac = -1
  #wanted: { readonly entryId: number; readonly done: Done } | undefined

  confirmed(entryId: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const done: Done = error => {
        if (error === undefined) resolve()
        else reject(error)
      }
      if (this.failure !== undefined) done(this.failure)
      else if (this.#lac >= entryId) done()
      else this.#wanted = { entryId, done }
    })
  }

  onConfirmed(lac: number): void {
    this.#lac = lac
    if (this.#wanted === undefined || lac < this.#wanted.entryId) return
    const { done } = this.#wanted
    this.#wanted = undefined
    done()
  }

  onFailed(error: Error): void {
    this.failure = error
    this.#wanted?.done(error)
    this.#wanted = undefined
  }
}

/** Deletes cursor ledgers that were replaced, and forgets them. */
export async function deleteObsolete(session: LogSession, client: LedgerClient): Promise<void> {
  const ids = session.record.obsoleteLedgerIds
  if (ids.length === 0) return
  await Promise.all(ids.map(id => client.delete(ledgerId(id))))
  await session.change(record => ({
    record: { obsoleteLedgerIds: record.obsoleteLedgerIds.filter(id => !ids.includes(id)) }
  }))
}
