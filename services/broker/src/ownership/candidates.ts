import type { BrokerAddress, BundleName } from './contract.ts'
import type { MachineContext } from './machine-context.ts'
import type { Placed } from './placement.ts'

/** A broker that did not take what it was given is given nothing for so long. */
const AVOID_MS = 30_000

/** Who may take a bundle. */
export class Candidates {
  readonly #context: MachineContext
  readonly #avoidUntilMs = new Map<string, number>()

  constructor(context: MachineContext) {
    this.#context = context
  }

  avoid(instance: string): void {
    this.#avoidUntilMs.set(instance, this.#context.nowMs + AVOID_MS)
  }

  onGone(instance: string): void {
    this.#avoidUntilMs.delete(instance)
  }

  /** Where a bundle without an owner goes; this broker too, unless it leaves. Undefined: nobody is there. */
  place(bundle: BundleName): Placed | undefined {
    const { registry, isLeaving, place } = this.#context
    const all = isLeaving ? registry.peers() : registry.all()
    const fit = this.#fit(all)
    const brokers = fit.length > 0 ? fit : all
    return brokers.length === 0 ? undefined : place({ bundle, brokers })
  }

  /** Where a bundle of this broker goes; undefined: nobody else may take it. */
  elsewhere(bundle: BundleName): BrokerAddress | undefined {
    const brokers = this.#fit(this.#context.registry.peers())
    return brokers.length === 0 ? undefined : this.#context.place({ bundle, brokers })?.broker
  }

  #fit(brokers: readonly BrokerAddress[]): readonly BrokerAddress[] {
    const { nowMs } = this.#context
    return brokers.filter(({ instance, isDraining }) => !isDraining && (this.#avoidUntilMs.get(instance) ?? 0) <= nowMs)
  }
}
