import { strict as assert } from 'node:assert'
import type { BookieId, Clock, EntryId, LedgerId } from '@strata/base'
import {
  hasValidDigest,
  ReadPlan,
  readOrder,
  type ReadMiss,
  type ReadVerdict,
  type StoredEntry
} from '@strata/ledger-protocol'
import type { BookieDirectory, DamagedCopy, LacAnswer, LedgerEntry, LedgerFollower } from './contract.ts'
import { LedgerError } from './errors.ts'
import { ignoreOperatingErrors, present, type LedgerMetadata, type VersionedLedger } from './ledger-metadata.ts'

/** How long nodes are left to wait before the metadata is read again: the ensemble may have changed, or the writer died. */
const POLL_MS_MAX = 5_000
/** After a wait in vain: nodes may answer at once, as those of a ledger that somebody is recovering do. */
const LOOK_AGAIN_MS = 200
/** After the first node told its LAC, the others have this long. */
const LAC_GRACE_MS = 50

interface ReadLimits {
  readonly first: EntryId
  readonly last: EntryId
  readonly bytesMax: number
  readonly entriesMax: number
}

export interface ReaderDoors {
  readonly directory: BookieDirectory
  readonly metadata: LedgerMetadata
  readonly clock: Clock
  readonly random: () => number
  /** Milliseconds that a node may be silent before the next one is asked as well. */
  readonly speculateMs: number
  /** A copy was not what was written; the entry was asked of others. Must not throw. */
  readonly onDamaged: (copy: DamagedCopy) => void
}

/** Reads a ledger from whichever members of the write set answer, every digest verified. */
export class NodeLedgerReader implements LedgerFollower {
  readonly ledgerId: LedgerId
  readonly #doors: ReaderDoors
  #ledger: VersionedLedger

  constructor(options: { ledgerId: LedgerId; ledger: VersionedLedger; doors: ReaderDoors }) {
    this.ledgerId = options.ledgerId
    this.#ledger = options.ledger
    this.#doors = options.doors
  }

  async lastConfirmed(wait?: { waitPast: EntryId; timeoutMs: number }): Promise<{ lac: EntryId; isClosed: boolean }> {
    const deadlineMs = this.#doors.clock.nowMs() + (wait?.timeoutMs ?? 0)
    for (;;) {
      if (this.#ledger.record.state !== 'closed') await this.#readMetadata()
      const { end } = this.#ledger.record
      if (end !== undefined) return { lac: end.lastEntryId, isClosed: true }
      const leftMs = deadlineMs - this.#doors.clock.nowMs()
      const pollMs = Math.max(0, Math.min(leftMs, POLL_MS_MAX))
      const lac = await this.#askLacs(wait === undefined ? undefined : { ...wait, timeoutMs: pollMs })
      if (lac > (wait?.waitPast ?? -Infinity) || leftMs <= 0) return { lac, isClosed: false }
      await this.#pause(Math.min(leftMs, LOOK_AGAIN_MS))
    }
  }

  /** The highest LAC that is told: of those who answer soon, or of the first who knows more than `wait.waitPast`. */
  #askLacs(wait: { waitPast: EntryId; timeoutMs: number } | undefined): Promise<EntryId> {
    const { directory, clock } = this.#doors
    const { firstEntryId, bookies } = this.#ledger.record.ensembles.at(-1) ?? assert.fail()
    const request = { ledgerId: this.ledgerId, fence: false, ...wait }
    return new Promise((resolve, reject) => {
      let lac: EntryId | undefined
      let waiting = bookies.length
      let cancel = (): void => undefined
      const end = (): void => {
        cancel()
        // An ensemble begins behind what was confirmed.
        if (lac !== undefined) resolve(Math.max(lac, firstEntryId - 1) as EntryId)
        else reject(LedgerError.create('UNAVAILABLE', { ledgerId: this.ledgerId }))
      }
      const heard = (answer: LacAnswer | undefined): void => {
        waiting -= 1
        const isFirst = lac === undefined
        if (answer !== undefined && answer.lac > (lac ?? -Infinity)) lac = answer.lac
        if (waiting === 0 || (wait !== undefined && lac !== undefined && lac > wait.waitPast)) end()
        // The others have had the same time: whoever takes much longer is not waited for.
        else if (isFirst && lac !== undefined) cancel = clock.after(LAC_GRACE_MS, end)
      }
      for (const bookie of bookies) {
        const node = directory.node(bookie)
        if (node === undefined) queueMicrotask(() => heard(undefined))
        else node.readLac(request).catch(ignoreOperatingErrors).then(heard, reject)
      }
    })
  }

  async #readMetadata(): Promise<void> {
    this.#ledger = present(this.ledgerId, await this.#doors.metadata.read(this.ledgerId))
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      this.#doors.clock.after(ms, resolve)
    })
  }

  async read(limits: ReadLimits): Promise<LedgerEntry[]> {
    const found: StoredEntry[] = []
    let { first, bytesMax, entriesMax } = limits
    while (first <= limits.last && entriesMax > 0 && (bytesMax > 0 || found.length === 0)) {
      const run = await this.#readRun({ first, last: limits.last, bytesMax: Math.max(bytesMax, 1), entriesMax })
      if (typeof run === 'string') {
        if (found.length > 0) break // the next call says why
        throw LedgerError.create(run, { ledgerId: this.ledgerId, entryId: first })
      }
      for (const entry of run) {
        found.push(entry)
        bytesMax -= entry.payload.length
      }
      entriesMax -= run.length
      first = (first + run.length) as EntryId
    }
    return found
  }

  /** At least one entry from `first` on, from one node; after a miss the metadata may know newer places, also of a closed ledger. */
  async #readRun(limits: ReadLimits): Promise<StoredEntry[] | ReadVerdict> {
    const run = await this.#askMembers(limits)
    if (typeof run !== 'string') return run
    const before = this.#ledger.version
    await this.#readMetadata()
    return this.#ledger.version === before ? run : this.#askMembers(limits)
  }

  /** One member after another, and a further one beside those that stay silent. */
  #askMembers(limits: ReadLimits): Promise<StoredEntry[] | ReadVerdict> {
    const { clock, random, speculateMs } = this.#doors
    const { record } = this.#ledger
    const plan = new ReadPlan(readOrder(limits.first, record, random()))
    return new Promise((resolve, reject) => {
      let cancel = (): void => undefined
      const end = (result: StoredEntry[] | ReadVerdict): void => {
        cancel()
        resolve(result)
      }
      const heard = (bookie: BookieId, answer: StoredEntry[] | ReadMiss): void => {
        if (typeof answer !== 'string') {
          end(answer)
          return
        }
        plan.onMiss(bookie, answer)
        const { verdict } = plan
        if (verdict === undefined) askNext()
        else end(verdict)
      }
      const askNext = (): void => {
        const bookie = plan.next()
        if (bookie === undefined) return
        cancel()
        if (plan.hasMore) cancel = clock.after(speculateMs, askNext)
        this.#ask(bookie, limits).then(answer => heard(bookie, answer), reject)
      }
      askNext()
    })
  }

  async #ask(bookie: BookieId, limits: ReadLimits): Promise<StoredEntry[] | ReadMiss> {
    const { directory, onDamaged } = this.#doors
    const node = directory.node(bookie)
    const request = { ledgerId: this.ledgerId, ...limits, fence: false }
    const answer = await node?.read(request).catch(ignoreOperatingErrors)
    if (answer === undefined) return 'unreachable'
    const valid = this.#validPrefix(answer.entries, limits.first)
    if (valid.length < answer.entries.length) {
      const entryId = (limits.first + valid.length) as EntryId
      onDamaged({ bookieId: bookie, ledgerId: this.ledgerId, entryId })
      if (valid.length === 0) return 'corrupt'
    }
    if (valid.length > 0) return valid
    return answer.end === 'absent' ? 'absent' : 'unknown'
  }

  #validPrefix(entries: readonly StoredEntry[], first: EntryId): StoredEntry[] {
    const { ledgerId } = this
    const bad = entries.findIndex(
      ({ entryId, lac, lengthBytes, payload, crc32c }, i) =>
        entryId !== first + i || !hasValidDigest({ ledgerId, entryId, lac, lengthBytes, payload, crc32c })
    )
    return bad === -1 ? (entries as StoredEntry[]) : entries.slice(0, bad)
  }
}
