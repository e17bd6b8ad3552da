import { assertNever } from '@strata/base'
import type { BrokerAddress, BundleName } from './contract.ts'
import type { OwnershipEffect, OwnershipEvent } from './events.ts'
import { Holdings } from './holdings.ts'
import { MachineContext } from './machine-context.ts'
import { Membership } from './membership.ts'
import type { Standing } from './owner-table.ts'
import type { Place } from './placement.ts'
import { Suspicions } from './suspicions.ts'

/**
 * Who serves what, as one broker sees it and acts on it: events in, effects out. Pure: no clock, no socket, no promise, no
 * chance. The rules are in README.md; the parts are Holdings (bundles), Membership (this broker's lease) and Suspicions (the
 * death of others).
 */
export class OwnershipMachine {
  readonly #context: MachineContext
  readonly #holdings: Holdings
  readonly #membership: Membership
  readonly #suspicions: Suspicions

  constructor(options: { place: Place }) {
    this.#context = new MachineContext(options.place)
    this.#holdings = new Holdings(this.#context)
    this.#membership = new Membership(this.#context, this.#holdings)
    this.#suspicions = new Suspicions(this.#context)
  }

  /** @param at monotonic and wall time; monotonic time never goes back */
  step(event: OwnershipEvent, at: { nowMs: number; wallMs: number }): OwnershipEffect[] {
    this.#context.nowMs = at.nowMs
    this.#context.wallMs = at.wallMs
    this.#on(event)
    this.#membership.settle()
    return this.#context.takeEffects()
  }

  /** A `tick` is due then; infinite: none is. */
  get wakeMs(): number {
    return this.#context.wakeMs
  }

  // what is known, between two steps

  get isRegistered(): boolean {
    return this.#context.isRegistered
  }

  get isSuspended(): boolean {
    return this.#context.isSuspended
  }

  get waiterCount(): number {
    return this.#holdings.waiterCount
  }

  get instance(): string {
    return this.#context.registry.instance
  }

  brokers(): readonly BrokerAddress[] {
    return this.#context.registry.all()
  }

  broker(instance: string): BrokerAddress | undefined {
    return this.#context.registry.get(instance)
  }

  held(): BundleName[] {
    return this.#holdings.held()
  }

  holdVersion(bundle: string): number | undefined {
    return this.#holdings.holdVersion(bundle)
  }

  standing(bundle: string): Standing & { readonly sinceMs: number | undefined; readonly reason: string } {
    const { table, isAlive, nowMs } = this.#context
    const row = table.get(bundle)?.row
    return { ...table.standing(bundle, isAlive, nowMs), sinceMs: row?.sinceMs, reason: row?.reason ?? '' }
  }

  /** Bundles with a living owner. */
  *owners(): Generator<[bundle: string, broker: BrokerAddress]> {
    for (const [bundle, { row }] of this.#context.table.entries()) {
      const broker = row.owner === '' ? undefined : this.#context.registry.get(row.owner)
      if (broker !== undefined) yield [bundle, broker]
    }
  }

  #on(event: OwnershipEvent): void {
    const { registry, table, nowMs } = this.#context
    switch (event.kind) {
      case 'registered':
        this.#membership.onRegistered(event.self, event.version)
        this.#suspicions.reconcileAll()
        return
      case 'lease-lost':
        this.#membership.onLeaseLost()
        return
      case 'broker':
        if (registry.apply(event)) this.#onBroker(event.instance)
        return
      case 'row': {
        const news = table.apply({ ...event, nowMs })
        if (news !== false) this.#holdings.onRow(event.bundle, news.before)
        return
      }
      case 'suspicion':
        this.#suspicions.onSuspicion(event.instance, event.by, event.version)
        return
      case 'peer-down':
      case 'peer-up':
        this.#suspicions.onPeer(event.instance, event.kind === 'peer-down')
        return
      case 'peers-answered':
        this.#membership.onPeersAnswered(event.round, event.answers)
        return
      case 'transacted':
        this.#context.onOutcome(event.id, event.outcome)
        return
      case 'tick':
        this.#onTick()
        return
      default:
        this.#onRequest(event)
    }
  }

  #onRequest(
    event: Extract<OwnershipEvent, { kind: 'locate' | 'unload' | 'redivide' | 'obsolete' | 'leave' | 'closed' }>
  ): void {
    switch (event.kind) {
      case 'locate':
        this.#holdings.locate(event)
        return
      case 'unload':
        this.#holdings.unload(event)
        return
      case 'redivide':
        this.#holdings.redivide(event)
        return
      case 'obsolete':
        this.#holdings.onObsolete(event.bundle)
        return
      case 'closed':
        this.#holdings.onClosed(event.bundle)
        return
      case 'leave':
        this.#context.isLeaving = true
        this.#holdings.reconcileAll()
        return
      default:
        assertNever(event)
    }
  }

  #onBroker(instance: string): void {
    const { registry, isAlive } = this.#context
    if (instance === registry.instance && !isAlive(instance)) this.#membership.onDeclaredDead()
    else this.#holdings.onBroker(instance)
    this.#suspicions.reconcileAll()
  }

  #onTick(): void {
    for (const subject of this.#context.takeDue()) {
      this.#membership.onTick(subject)
      this.#suspicions.onTick(subject)
      this.#holdings.reconcile(subject)
    }
  }
}
