import type { Scheduler } from '@strata/sim'

/**
 * What is promised, and checked of every history; the letters are those of the README of `ownership`.
 *
 *   kept        O1: a receipt names an entry that is in the log that every later owner reads
 *   successor   O2: nothing of a log is changed by a former owner once the next one has opened it
 *   guarded     O3: a log is opened only by the broker that the row of its bundle names
 *   served      O4: with faults stopped every bundle is served within a bound, and every held question is answered
 *   undisturbed O5: a broker that has its lease and its registration drops no bundle
 *   registered  a bundle is taken only by a broker that is registered
 *   two-words   with three brokers or more, one alone declares no other dead
 *   quick       a process that died is declared dead long before its lease ends, where enough others can tell
 *   single      a bundle is given to another only once its topics are closed; and a broker that reaches the store has no topic
 *               open for long whose bundle is another's
 *   suspended   a broker without a lease dispatches nothing while a peer reaches the metadata store
 *   stranded    a broker that alone does not reach the storage nodes has no bundle with a topic for long (rule 11)
 *   acks-kept   an acknowledgement that was answered is there after every takeover
 *   no-bug      no assert fails, nothing is thrown that is no operating error
 */
export type Invariant =
  | 'kept'
  | 'successor'
  | 'guarded'
  | 'served'
  | 'undisturbed'
  | 'registered'
  | 'two-words'
  | 'quick'
  | 'single'
  | 'suspended'
  | 'stranded'
  | 'acks-kept'
  | 'no-bug'

export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: Invariant

  constructor(invariant: Invariant, what: string) {
    super(`${invariant}: ${what}`)
    this.invariant = invariant
  }
}

export interface Place {
  readonly ledgerId: number
  readonly entryId: number
}

export interface Receipt extends Place {
  readonly topic: string
  readonly tag: string
  readonly broker: string
}

export interface Line {
  readonly atMs: number
  readonly who: string
  readonly what: string
}

/** What clients were told, and what happened, for people. */
export class History {
  readonly receipts: Receipt[] = []
  /** By topic: the last acknowledgement that was answered. */
  readonly acked = new Map<string, Place>()
  readonly counts = {
    receipts: 0,
    acks: 0,
    opens: 0,
    drops: 0,
    givenUp: 0,
    releases: 0,
    suspensions: 0,
    preloads: 0,
    merges: 0,
    refusals: 0
  }
  readonly lines: Line[] | undefined
  readonly #scheduler: Scheduler

  constructor(scheduler: Scheduler, isTold: boolean) {
    this.#scheduler = scheduler
    this.lines = isTold ? [] : undefined
  }

  tell(who: string, what: string | (() => string)): void {
    this.lines?.push({ atMs: this.#scheduler.nowMs, who, what: typeof what === 'string' ? what : what() })
  }

  get nowMs(): number {
    return this.#scheduler.nowMs
  }

  violate(invariant: Invariant, what: string): void {
    this.#scheduler.fail(new Violation(invariant, what))
  }

  onReceipt(receipt: Receipt): void {
    this.receipts.push(receipt)
    this.counts.receipts++
    this.tell(receipt.broker, () => `receipt ${receipt.topic} ${receipt.tag} at ${placeOf(receipt)}`)
  }

  onAcked(topic: string, place: Place): void {
    const before = this.acked.get(topic)
    if (before === undefined || isBefore(before, place)) this.acked.set(topic, place)
    this.counts.acks++
  }
}

export function isBefore(a: Place, b: Place): boolean {
  return a.ledgerId < b.ledgerId || (a.ledgerId === b.ledgerId && a.entryId < b.entryId)
}

export function placeOf({ ledgerId, entryId }: Place): string {
  return `${ledgerId}:${entryId}`
}
