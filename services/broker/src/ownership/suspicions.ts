import type { Compare } from '@strata/metadata'
import type { Outcome, RowChange } from './events.ts'
import type { MachineContext } from './machine-context.ts'
import { ownershipKeys } from './rows.ts'

/** How long to wait before a suspicion that could not be written is written again. */
const AGAIN_MS = 250
/** From so many brokers on one is not enough to declare another dead. */
const BROKERS_FOR_TWO = 3

interface Suspect {
  isDown: boolean
  isPending: boolean
  pausedUntilMs: number
  /** Versions of suspicions as stored, by who has them. */
  readonly by: Map<string, number>
}

/**
 * Who is taken for dead, and by whom: rule 4 of README.md. This broker writes a suspicion of a peer whose connection broke and
 * whose port refuses, takes it back when the peer answers, and ends a peer's registration once enough agree.
 */
export class Suspicions {
  readonly #context: MachineContext
  readonly #suspects = new Map<string, Suspect>()

  constructor(context: MachineContext) {
    this.#context = context
  }

  onPeer(instance: string, isDown: boolean): void {
    if ((this.#suspects.get(instance)?.isDown ?? false) === isDown) return
    const suspect = this.#suspect(instance)
    suspect.isDown = isDown
    this.reconcile(instance)
  }

  /** @param version 0: it was taken back */
  onSuspicion(instance: string, by: string, version: number): void {
    const suspect = this.#suspect(instance)
    if (version === 0) suspect.by.delete(by)
    else suspect.by.set(by, version)
    suspect.pausedUntilMs = 0
    this.reconcile(instance)
  }

  reconcileAll(): void {
    for (const instance of [...this.#suspects.keys()]) this.reconcile(instance)
  }

  /** For its alarm, or whenever brokers come and go. */
  onTick(subject: string): void {
    if (subject.startsWith(ALARM)) this.reconcile(subject.slice(ALARM.length))
  }

  reconcile(instance: string): void {
    const suspect = this.#suspects.get(instance)
    const { registry, isRegistered, nowMs } = this.#context
    if (suspect === undefined || suspect.isPending || !isRegistered) return
    if (nowMs < suspect.pausedUntilMs) {
      this.#context.wakeAt(ALARM + instance, suspect.pausedUntilMs)
      return
    }
    const isThere = registry.isAlive(instance)
    const hasOwn = suspect.by.has(registry.instance)
    if (instance === registry.instance) return // whoever else decides about this broker
    if (hasOwn && (!suspect.isDown || !isThere)) this.#takeBack(instance, suspect)
    else if (!isThere) {
      if (suspect.by.size === 0) this.#suspects.delete(instance)
    } else if (this.#isEnough(suspect)) this.#declareDead(instance, suspect)
    else if (suspect.isDown && !hasOwn) this.#write(instance, suspect)
    else if (!suspect.isDown && suspect.by.size === 0) this.#suspects.delete(instance)
  }

  #isEnough(suspect: Suspect): boolean {
    const count = this.#voters(suspect).length
    return count >= (this.#context.registry.all().length >= BROKERS_FOR_TWO ? 2 : 1)
  }

  /** Only the living count. */
  #voters({ by }: Suspect): string[] {
    return [...by.keys()].filter(this.#context.isAlive)
  }

  #write(instance: string, suspect: Suspect): void {
    const { registry } = this.#context
    const compares = [registry.ownCompare, this.#registrationOf(instance)]
    this.#transact(suspect, {
      compares,
      changes: [{ kind: 'suspect', instance }],
      onOutcome: outcome => {
        if (outcome.kind === 'committed') suspect.by.set(registry.instance, outcome.revision)
        this.#context.decided('', `suspects ${this.#idOf(instance)} to be dead`)
        this.reconcile(instance)
      }
    })
  }

  #takeBack(instance: string, suspect: Suspect): void {
    const { registry } = this.#context
    const key = ownershipKeys.suspicion(instance, registry.instance)
    this.#transact(suspect, {
      compares: [],
      changes: [{ kind: 'delete', key }],
      onOutcome: outcome => {
        if (outcome.kind === 'committed') suspect.by.delete(registry.instance)
        this.reconcile(instance)
      }
    })
  }

  #declareDead(instance: string, suspect: Suspect): void {
    const { registry } = this.#context
    const votes = this.#voters(suspect).map(by => ({
      key: ownershipKeys.suspicion(instance, by),
      version: suspect.by.get(by) ?? 0
    }))
    const id = this.#idOf(instance)
    this.#transact(suspect, {
      compares: [registry.ownCompare, this.#registrationOf(instance), ...votes],
      changes: [{ kind: 'delete', key: ownershipKeys.broker(instance) }],
      isLast: true, // the watch tells that it is gone
      onOutcome: outcome => {
        if (outcome.kind === 'committed') this.#context.decided('', `declared ${id} dead`)
        this.reconcile(instance)
      }
    })
  }

  /** One transaction a suspect at a time. The watch tells what came of it. */
  #transact(
    suspect: Suspect,
    work: { compares: Compare[]; changes: RowChange[]; isLast?: boolean; onOutcome: (outcome: Outcome) => void }
  ): void {
    suspect.isPending = true
    this.#context.transact({
      compares: work.compares,
      changes: work.changes,
      onOutcome: outcome => {
        suspect.isPending = false
        const isSettled = outcome.kind === 'committed' && !work.isLast
        suspect.pausedUntilMs = isSettled ? 0 : this.#context.nowMs + AGAIN_MS
        work.onOutcome(outcome)
      }
    })
  }

  #registrationOf(instance: string): Compare {
    return { key: ownershipKeys.broker(instance), version: this.#context.registry.versionOf(instance) }
  }

  #idOf(instance: string): string {
    return this.#context.registry.get(instance)?.id ?? instance
  }

  #suspect(instance: string): Suspect {
    let suspect = this.#suspects.get(instance)
    if (suspect === undefined) {
      suspect = { isDown: false, isPending: false, pausedUntilMs: 0, by: new Map() }
      this.#suspects.set(instance, suspect)
    }
    return suspect
  }
}

const ALARM = 'suspicion:'
