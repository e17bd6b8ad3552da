import { CodedError } from '@strata/base'
import type { Random, Scheduler, SimProcess } from '@strata/sim'

const DELAY_MS = 0.3

/** What a client is told, or finds out. */
export function refusedBy(broker: string, reason: string): CodedError {
  return new CodedError('REFUSED', { retryable: true, summary: 'the broker could not do it' }, { broker, reason })
}

/** Requests of clients and peers to brokers: lost with the broker's process, late when it is paused. */
export class Calls {
  readonly #scheduler: Scheduler
  readonly #random: Random
  readonly #open = new Map<SimProcess, Set<() => void>>()

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler
    this.#random = random
  }

  /** The connections to it break. */
  onKilled(process: SimProcess): void {
    for (const breakOff of this.#open.get(process) ?? []) breakOff()
    this.#open.delete(process)
  }

  call<Result>(
    from: SimProcess,
    to: { readonly name: string; readonly process: SimProcess },
    options: { timeoutMs: number; run: () => Promise<Result> }
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => reject(refusedBy(to.name, reason))
      const open = this.#open.get(to.process) ?? new Set()
      const breakOff = (): void => void from.post(this.#delayMs(), () => fail('its connection broke'))
      if (to.process.isDead) {
        breakOff()
        return
      }
      this.#open.set(to.process, open.add(breakOff))
      const answer = (settle: () => void): void => {
        open.delete(breakOff)
        from.post(this.#delayMs(), settle)
      }
      from.post(options.timeoutMs, () => {
        open.delete(breakOff)
        fail('it said nothing in time')
      })
      this.#scheduler.post(to.process, this.#delayMs(), () => {
        options.run().then(
          result => answer(() => resolve(result)),
          (error: unknown) => {
            if (!(error instanceof CodedError)) this.#scheduler.fail(error)
            answer(() => fail(error instanceof Error ? error.message : String(error)))
          }
        )
      })
    })
  }

  #delayMs(): number {
    return this.#random.skewed(DELAY_MS * 0.5, DELAY_MS * 6)
  }
}
