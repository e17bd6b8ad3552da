import type { Clock } from '@strata/base'
import type { Cursor, Entry } from '@strata/managed-ledger'
import type { SubscriptionFilter } from '../filters/subscription-filter.ts'
import type { Dispatcher } from './dispatcher.ts'

interface FilteringOptions {
  readonly filter: SubscriptionFilter
  readonly cursor: Cursor
  readonly clock: Clock
  readonly delayMs: () => number
  /** The dispatcher keeps nothing of what was put off: the log is scanned again. */
  readonly rewind: () => void
  readonly schedule: () => void
  /** An entry was acknowledged by a filter. */
  readonly onRejected: () => void
}

/** What filters say of the entries of a subscription, carried out between its pump and its dispatcher. */
export class Filtering {
  readonly #options: FilteringOptions
  #putOff: { readonly dispatcher: Dispatcher; readonly ledgerId: number; readonly entryId: number }[] = []
  #mustRewind = false
  #cancel: (() => void) | undefined

  constructor(options: FilteringOptions) {
    this.#options = options
  }

  get isOn(): boolean {
    return this.#options.filter.isOn
  }

  /** An entry of the scan. False: it has no taker now and must be offered again. */
  offer(dispatcher: Dispatcher, entry: Entry): boolean {
    const { filter, cursor } = this.#options
    const result = filter.judge(entry)
    if (result === 'accept') {
      const isTaken = dispatcher.offer(entry)
      if (isTaken) filter.forgetVerdict()
      else filter.keepVerdict(entry)
      return isTaken
    }
    if (result === 'reject') {
      cursor.acknowledge(entry.ledgerId, entry.entryId)
      this.#options.onRejected()
    } else this.#later(dispatcher, entry)
    return true
  }

  /** An entry that was popped. */
  offerPending(dispatcher: Dispatcher, entry: Entry): void {
    const result = this.#options.filter.judge(entry)
    if (result === 'accept') dispatcher.offerPending(entry)
    else if (result === 'reject') {
      this.#options.cursor.acknowledge(entry.ledgerId, entry.entryId)
      dispatcher.gone(entry.ledgerId, entry.entryId)
      this.#options.onRejected()
    } else this.#later(dispatcher, entry)
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#putOff = []
  }

  #later(dispatcher: Dispatcher, { ledgerId, entryId, payload }: Entry): void {
    if (dispatcher.putOff({ ledgerId, entryId, payload })) this.#putOff.push({ dispatcher, ledgerId, entryId })
    else this.#mustRewind = true
    this.#cancel ??= this.#options.clock.after(this.#options.delayMs(), () => {
      this.#cancel = undefined
      this.#bringBack()
    })
  }

  #bringBack(): void {
    const putOff = this.#putOff
    this.#putOff = []
    for (const { dispatcher, ledgerId, entryId } of putOff) dispatcher.requeue(ledgerId, entryId)
    if (this.#mustRewind) this.#options.rewind()
    this.#mustRewind = false
    this.#options.schedule()
  }
}
