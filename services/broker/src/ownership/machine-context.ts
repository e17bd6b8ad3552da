import type { Compare } from '@strata/metadata'
import type { BundleName } from './contract.ts'
import type { Outcome, OwnershipEffect, RowChange } from './events.ts'
import { OwnerTable } from './owner-table.ts'
import type { Place } from './placement.ts'
import { Registry } from './registry.ts'

/** `joining`: not registered, and nothing is held. `leaseless`: what was held is served on, as far as peers let it. */
export type Mode = 'joining' | 'registered' | 'leaseless'

export interface Transacting {
  readonly compares: readonly Compare[]
  readonly changes: readonly RowChange[]
  readonly within?: BundleName
  readonly onOutcome: (outcome: Outcome) => void
}

/** What the parts of the machine share: what is known, the present moment, and the effects of the present step. */
export class MachineContext {
  readonly registry = new Registry()
  readonly table = new OwnerTable()
  readonly place: Place
  nowMs = 0
  wallMs = 0
  mode: Mode = 'joining'
  isSuspended = false
  /** It takes nothing any more. */
  isLeaving = false
  /** Until then this broker takes nothing that others may want to take back: all of them were out of touch together. */
  settleUntilMs = 0
  #effects: OwnershipEffect[] = []
  readonly #transactions = new Map<number, (outcome: Outcome) => void>()
  #nextTransactionId = 1
  readonly #alarms = new Map<string, number>()
  #earliestMs = Infinity

  constructor(place: Place) {
    this.place = place
  }

  readonly isAlive = (instance: string): boolean => this.registry.isAlive(instance)

  get isRegistered(): boolean {
    return this.mode === 'registered'
  }

  /** At this moment or before it something is due; infinite: nothing is. */
  get wakeMs(): number {
    return this.#earliestMs
  }

  emit(effect: OwnershipEffect): void {
    this.#effects.push(effect)
  }

  decided(bundle: string, text: string): void {
    this.emit({ kind: 'decided', bundle, text })
  }

  takeEffects(): OwnershipEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  transact({ compares, changes, within, onOutcome }: Transacting): void {
    const id = this.#nextTransactionId++
    this.#transactions.set(id, onOutcome)
    this.emit({ kind: 'transact', id, compares, changes, within })
  }

  onOutcome(id: number, outcome: Outcome): void {
    const run = this.#transactions.get(id)
    this.#transactions.delete(id)
    run?.(outcome)
  }

  /** One alarm a subject: the latest call counts. */
  wakeAt(subject: string, atMs: number): void {
    this.#alarms.set(subject, atMs)
    this.#earliestMs = Math.min(this.#earliestMs, atMs)
  }

  /** At `atMs` at the latest. */
  wakeBefore(subject: string, atMs: number): void {
    this.wakeAt(subject, Math.min(atMs, this.#alarms.get(subject) ?? Infinity))
  }

  stayAsleep(subject: string): void {
    this.#alarms.delete(subject)
  }

  /** Subjects whose time has come. */
  takeDue(): string[] {
    if (this.nowMs < this.#earliestMs) return []
    const due: string[] = []
    let earliestMs = Infinity
    for (const [subject, atMs] of this.#alarms) {
      if (atMs <= this.nowMs) due.push(subject)
      else earliestMs = Math.min(earliestMs, atMs)
    }
    for (const subject of due) this.#alarms.delete(subject)
    this.#earliestMs = earliestMs
    return due
  }
}
