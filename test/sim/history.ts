import type { EntryId, LedgerId } from '@strata/base'
import type { LedgerEnd } from '@strata/ledger-client'
import type { Scheduler } from '@strata/sim'

/**
 * What is promised, and checked of every history. Mutants name the one they must die by.
 *
 *   quorum-acked     an entry is acknowledged when Qa members of its write set, as metadata names it, have it synced
 *   ordered-acks     acknowledgements come in order, and never after the writer was told that it failed
 *   acked-kept       an acknowledged entry is read back with its exact bytes
 *   one-content      an entry id never carries other bytes: not on the wire, not on a node, not to a reader
 *   one-end          a ledger that is closed at L is closed at L for everyone, for ever
 *   end-covers       no entry past L was acknowledged or shown to a reader; none up to L was made up
 *   shown-confirmed  nobody is shown an entry of an open ledger that was not acknowledged
 *   state-moves      metadata goes from open over in-recovery to closed, and the last ensemble changes only while it is open,
 *                    behind everything that is acknowledged
 *   node-keeps       a node that answered an add still has the entry after any crash, unless its disk was destroyed
 *   node-no-lie      a node never says 'absent' of what it once answered to have
 *   fence-holds      after a node answered a fence it acknowledges no add but a recoverer's, however early it was admitted
 *   closed-copies    when a ledger is closed, Qa members of the write set of each entry said that they have it
 *   repair-proved    who takes another's place in what is settled has all that was there, synced
 *   copies-whole     where there is an auditor, in the end every entry is on each node that should have it
 *   space-returns    what a deleted ledger took on a node is free again
 *   nothing-lost     nothing is deleted without its deletion record
 *   liveness         with faults stopped, everything finishes within a bound of simulated time
 *   starts           a node whose disk kept its promises starts
 *   no-bug           no assert fails, nothing is thrown that is no operating error
 */
export const INVARIANTS = [
  'quorum-acked',
  'ordered-acks',
  'acked-kept',
  'one-content',
  'one-end',
  'end-covers',
  'shown-confirmed',
  'state-moves',
  'node-keeps',
  'node-no-lie',
  'fence-holds',
  'closed-copies',
  'repair-proved',
  'copies-whole',
  'space-returns',
  'nothing-lost',
  'liveness',
  'starts',
  'no-bug'
] as const

export type Invariant = (typeof INVARIANTS)[number]

/** A promise that was broken. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: Invariant

  constructor(invariant: Invariant, what: string) {
    super(`${invariant}: ${what}`)
    this.invariant = invariant
  }
}

/** One ledger as the world knows it: what its writer sent, what was acknowledged, where it ended. */
export interface LedgerHistory {
  readonly ledgerId: LedgerId
  readonly writer: string
  readonly tags: number[]
  /** Highest acknowledged entry, or -1. */
  acked: number
  isWriterFailed: boolean
  /** Highest entry that a reader was shown, or -1. */
  shown: number
  end: LedgerEnd | undefined
}

/** How often things met that must be able to meet. */
export interface Races {
  recoveryWithChange: number
  recoveryWithRollOver: number
  recoveryWithRecovery: number
  recoveryWithWriter: number
  recoveryWithRepair: number
}

/** The auditor is at work on a ledger when it asked a node about it, or told one, so lately. */
const CARING_MS = 15

/** A line of the history, for people. */
export interface Line {
  readonly atMs: number
  readonly who: string
  readonly what: string
}

/** The record of one run, and those of its promises that can be checked from it alone. */
export class History {
  readonly #scheduler: Scheduler
  readonly #ledgers = new Map<LedgerId, LedgerHistory>()
  readonly lines: Line[] | undefined
  readonly races: Races = {
    recoveryWithChange: 0,
    recoveryWithRollOver: 0,
    recoveryWithRecovery: 0,
    recoveryWithWriter: 0,
    recoveryWithRepair: 0
  }
  readonly counts = {
    ...{ appended: 0, acked: 0, read: 0, recovered: 0, deleted: 0 },
    ...{ changes: 0, repairs: 0, crashes: 0, starts: 0 }
  }
  readonly #recovering = new Map<LedgerId, number>()
  readonly #caredAtMs = new Map<LedgerId, number>()
  /** Ledgers whose present recovery met the auditor. */
  readonly #raced = new Set<LedgerId>()
  readonly #deleting = new Set<LedgerId>()

  constructor(scheduler: Scheduler, isTold: boolean) {
    this.#scheduler = scheduler
    this.lines = isTold ? [] : undefined
  }

  get nowMs(): number {
    return this.#scheduler.nowMs
  }

  get ledgers(): IterableIterator<LedgerHistory> {
    return this.#ledgers.values()
  }

  ledger(id: LedgerId): LedgerHistory | undefined {
    return this.#ledgers.get(id)
  }

  tell(who: string, what: string | (() => string)): void {
    this.lines?.push({ atMs: this.#scheduler.nowMs, who, what: typeof what === 'string' ? what : what() })
  }

  /** Ends the run. */
  violate(invariant: Invariant, what: string): void {
    this.tell('checker', `${invariant} is broken: ${what}`)
    this.#scheduler.fail(new Violation(invariant, what))
  }

  created(ledgerId: LedgerId, writer: string): LedgerHistory {
    const base = { ledgerId, writer, tags: [], acked: -1, isWriterFailed: false, shown: -1 }
    const ledger: LedgerHistory = { ...base, end: undefined }
    if (this.#ledgers.has(ledgerId)) this.violate('one-content', `ledger ${ledgerId} was given to two writers`)
    this.#ledgers.set(ledgerId, ledger)
    return ledger
  }

  acked(ledger: LedgerHistory, lac: EntryId): void {
    const { ledgerId, end } = ledger
    if (ledger.isWriterFailed) this.violate('ordered-acks', `${ledgerId}:${lac} was acknowledged behind the failure`)
    if (lac <= ledger.acked) this.violate('ordered-acks', `${ledgerId}:${lac} was acknowledged behind ${ledger.acked}`)
    if (end !== undefined && lac > end.lastEntryId) {
      this.violate('end-covers', `${ledgerId}:${lac} was acknowledged past the end ${end.lastEntryId}`)
    }
    this.counts.acked += lac - ledger.acked
    ledger.acked = lac
    this.#scheduler.note(lac)
  }

  /** Somebody learnt how the ledger ended, from metadata or by recovering or closing it. */
  ended(ledgerId: LedgerId, end: LedgerEnd, by: string): void {
    const ledger = this.#ledgers.get(ledgerId)
    if (ledger === undefined) return
    const before = ledger.end
    if (before !== undefined) {
      if (before.lastEntryId !== end.lastEntryId || before.lengthBytes !== end.lengthBytes) {
        this.violate('one-end', `${ledgerId} ended at ${before.lastEntryId}, and at ${end.lastEntryId} for ${by}`)
      }
      return
    }
    ledger.end = end
    this.#scheduler.note(end.lastEntryId)
    this.tell(by, () => `ledger ${ledgerId} ends at ${end.lastEntryId}`)
    if (ledger.acked > end.lastEntryId) {
      this.violate('end-covers', `${ledgerId} ends at ${end.lastEntryId}, and ${ledger.acked} was acknowledged`)
    }
    if (ledger.shown > end.lastEntryId) {
      this.violate('end-covers', `${ledgerId} ends at ${end.lastEntryId}, and ${ledger.shown} was shown to a reader`)
    }
    if (end.lastEntryId >= ledger.tags.length) {
      this.violate('end-covers', `${ledgerId} ends at ${end.lastEntryId}, and ${ledger.tags.length} were appended`)
    }
  }

  /** A reader was given the entry. */
  shown(ledgerId: LedgerId, entry: { entryId: EntryId; tag: number | undefined }, reader: string): void {
    const ledger = this.#ledgers.get(ledgerId)
    if (ledger === undefined) return
    this.counts.read++
    if (ledger.tags[entry.entryId] !== entry.tag) {
      this.violate('one-content', `${reader} read other bytes for ${ledgerId}:${entry.entryId}`)
    }
    if (ledger.end !== undefined && entry.entryId > ledger.end.lastEntryId) {
      this.violate('end-covers', `${reader} was shown ${ledgerId}:${entry.entryId} past ${ledger.end.lastEntryId}`)
    }
    if (ledger.end === undefined && entry.entryId > ledger.acked) {
      this.violate(
        'shown-confirmed',
        `${reader} was shown ${ledgerId}:${entry.entryId}, acknowledged is ${ledger.acked}`
      )
    }
    ledger.shown = Math.max(ledger.shown, entry.entryId)
  }

  /** From here on it may be gone. */
  deleting(ledgerId: LedgerId): void {
    this.#deleting.add(ledgerId)
  }

  isDeleting(ledgerId: LedgerId): boolean {
    return this.#deleting.has(ledgerId)
  }

  recoveryBegan(ledgerId: LedgerId, options: { isWriterAlive: boolean }): void {
    const others = this.#recovering.get(ledgerId) ?? 0
    this.#recovering.set(ledgerId, others + 1)
    if (others > 0) this.races.recoveryWithRecovery++
    if (options.isWriterAlive) this.races.recoveryWithWriter++
    if (this.nowMs - (this.#caredAtMs.get(ledgerId) ?? -Infinity) < CARING_MS) this.#race(ledgerId)
  }

  recoveryEnded(ledgerId: LedgerId): void {
    const left = (this.#recovering.get(ledgerId) ?? 1) - 1
    this.#recovering.set(ledgerId, left)
    if (left === 0) this.#raced.delete(ledgerId)
  }

  /** The auditor looks at what nodes have of the ledger, or copies it. */
  cared(ledgerId: LedgerId): void {
    this.#caredAtMs.set(ledgerId, this.nowMs)
    if (this.isRecovering(ledgerId)) this.#race(ledgerId)
  }

  #race(ledgerId: LedgerId): void {
    if (this.#raced.has(ledgerId)) return
    this.#raced.add(ledgerId)
    this.races.recoveryWithRepair++
  }

  isRecovering(ledgerId: LedgerId): boolean {
    return (this.#recovering.get(ledgerId) ?? 0) > 0
  }
}
