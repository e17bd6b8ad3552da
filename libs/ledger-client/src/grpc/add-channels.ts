import type { Clock, EntryId, LedgerId } from '@strata/base'
import type { AddFailure, AddSink } from '../contract.ts'
import type { AddAnswer } from './node-messages.ts'

/** What the queue of adds must know of one. */
export interface ChannelOfAdds {
  readonly number: number
  /** Of all its adds; they queue apart from those of writers, and stay in order among themselves. */
  readonly isRecovery: boolean
}

interface Channel extends ChannelOfAdds {
  readonly ledgerId: LedgerId
  readonly sink: AddSink
  lastSent: EntryId
  /** Since when an answer is owed without one having come. */
  waitingSinceMs: number
}

/**
 * Who waits for which adds of one stream. A channel is a run of adds by one sink to one ledger with an answer owed all the
 * while; it is gone when nothing is owed, so that nothing is kept for ledgers that are done.
 */
export class AddChannels {
  readonly #byNumber = new Map<number, Channel>()
  readonly #byLedger = new Map<LedgerId, Channel[]>()
  #next = 0
  /** What was sent last is mostly followed by more of it. */
  #last: Channel | undefined

  get isEmpty(): boolean {
    return this.#byNumber.size === 0
  }

  /** The channel for an add that is handed over now. */
  send(
    sink: AddSink,
    add: { ledgerId: LedgerId; entryId: EntryId; recovery: boolean },
    clock: Pick<Clock, 'nowMs'>
  ): ChannelOfAdds {
    const last = this.#last
    if (last?.sink === sink && last.ledgerId === add.ledgerId) {
      last.lastSent = add.entryId
      return last
    }
    const channels = this.#byLedger.get(add.ledgerId)
    const open = channels?.find(channel => channel.sink === sink)
    if (open !== undefined) {
      open.lastSent = add.entryId
      this.#last = open
      return open
    }
    this.#next = (this.#next + 1) >>> 0
    const channel = {
      number: this.#next,
      isRecovery: add.recovery,
      ledgerId: add.ledgerId,
      sink,
      lastSent: add.entryId,
      waitingSinceMs: clock.nowMs()
    }
    this.#last = channel
    this.#byNumber.set(channel.number, channel)
    if (channels === undefined) this.#byLedger.set(add.ledgerId, [channel])
    else channels.push(channel)
    return channel
  }

  /** Late answers for channels that are gone are dropped. */
  answer({ channel: number, entryId, failure }: AddAnswer, nowMs: number): void {
    const channel = this.#byNumber.get(number)
    if (channel === undefined) return
    channel.waitingSinceMs = nowMs
    if (entryId >= channel.lastSent) this.#remove(channel)
    if (failure === undefined) channel.sink.onAdded(channel.ledgerId, entryId)
    else channel.sink.onAddFailed(channel.ledgerId, entryId, failure)
  }

  /** When the longest wait began; undefined: nothing is owed. */
  oldestWaitMs(): number | undefined {
    let oldest: number | undefined
    for (const { waitingSinceMs } of this.#byNumber.values()) {
      if (oldest === undefined || waitingSinceMs < oldest) oldest = waitingSinceMs
    }
    return oldest
  }

  failAll(failure: AddFailure): void {
    const channels = [...this.#byNumber.values()]
    this.#byNumber.clear()
    this.#byLedger.clear()
    this.#last = undefined
    for (const { sink, ledgerId, lastSent } of channels) sink.onAddFailed(ledgerId, lastSent, failure)
  }

  #remove(channel: Channel): void {
    this.#byNumber.delete(channel.number)
    if (this.#last === channel) this.#last = undefined
    const left = (this.#byLedger.get(channel.ledgerId) ?? []).filter(other => other !== channel)
    if (left.length === 0) this.#byLedger.delete(channel.ledgerId)
    else this.#byLedger.set(channel.ledgerId, left)
  }
}
