import type { Clock, Logger } from '@strata/base'

const KEPT_MAX = 2_000

/** What was decided lately, for people. */
export class Decisions {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #kept: { readonly bundle: string; readonly line: string }[] = []

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }

  /** @param bundle empty: about this broker */
  note(bundle: string, text: string): void {
    this.#kept.push({ bundle, line: `${new Date(this.#clock.wallMs()).toISOString()} ${text}` })
    // in slices: one by one would move all the others each time
    if (this.#kept.length > 2 * KEPT_MAX) this.#kept.splice(0, KEPT_MAX)
    if (bundle === '') this.#logger.info({ event: 'ownership.decided', text }, 'about this broker')
    else this.#logger.debug({ event: 'ownership.decided', bundle, text }, 'about a bundle')
  }

  /** Newest last. */
  of(bundle: string): string[] {
    return this.#kept.filter(kept => kept.bundle === bundle || kept.bundle === '').map(({ line }) => line)
  }
}
