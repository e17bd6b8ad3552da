import type { BookieId, LedgerId } from '@strata/base'
import type { NodeStanding } from '@strata/ledger-protocol'
import type { Departure } from './departures.ts'

/** What the leading auditor does and knows. */
export interface AuditStatus {
  /** Nodes that are not simply there. */
  readonly nodes: readonly {
    readonly bookieId: BookieId
    readonly standing: NodeStanding
    readonly isAvailable: boolean
  }[]
  /** Repair waits for a person: so many nodes, of a rack or (rack null) of all, went at once. */
  readonly waiting: { readonly rack: string | null; readonly gone: number; readonly of: number } | null
  /** What still depends on nodes that were declared; one on which nothing does is not named any more. */
  readonly departures: readonly Departure[]
  readonly pass: PassProgress | null
  readonly lastPass: PassProgress | null
  readonly unfinishedCount: number
  /** The first of them. */
  readonly unfinished: readonly { readonly ledgerId: LedgerId; readonly why: string }[]
}

export interface PassProgress {
  /**
   * copies: ledgers of nodes that are not there or may hold less; damage: ledgers of which nodes say that they have entries which
   * they cannot read; check: every ledger; retry: what was left undone.
   */
  readonly kind: 'copies' | 'damage' | 'check' | 'verify' | 'retry'
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  readonly ledgersSeen: number
  /** Of these, looked at; known beforehand for those that miss members. */
  readonly ledgersDue: number
  readonly ledgersDone: number
  readonly bytesCopied: number
  /** Estimated; of members that are not there. */
  readonly bytesDue: number
  readonly bytesPerSecond: number
  /** null: not known yet. */
  readonly secondsLeft: number | null
}

/** Counts of a pass. */
export class PassMeter {
  readonly #kind: PassProgress['kind']
  readonly #startedAtMs: number
  #endedAtMs: number | null = null
  seen = 0
  due = 0
  done = 0
  bytesCopied = 0
  bytesDue = 0

  constructor(kind: PassProgress['kind'], startedAtMs: number) {
    this.#kind = kind
    this.#startedAtMs = startedAtMs
  }

  end(atMs: number): void {
    this.#endedAtMs = atMs
  }

  progress(nowMs: number): PassProgress {
    const seconds = Math.max(1, (this.#endedAtMs ?? nowMs) - this.#startedAtMs) / 1000
    const bytesPerSecond = Math.round(this.bytesCopied / seconds)
    const bytesLeft = Math.max(0, this.bytesDue - this.bytesCopied)
    return {
      kind: this.#kind,
      startedAtMs: this.#startedAtMs,
      endedAtMs: this.#endedAtMs,
      ledgersSeen: this.seen,
      ledgersDue: this.due,
      ledgersDone: this.done,
      bytesCopied: this.bytesCopied,
      bytesDue: Math.round(this.bytesDue),
      bytesPerSecond,
      secondsLeft: bytesLeft === 0 ? 0 : bytesPerSecond === 0 ? null : Math.ceil(bytesLeft / bytesPerSecond)
    }
  }
}
