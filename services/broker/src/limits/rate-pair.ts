import type { Clock } from '@strata/base'
import { TokenBucket } from './token-bucket.ts'

/** 0: no limit. */
export interface Rate {
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
}

/** A rate of messages and one of bytes, either of which may be used up first. */
export class RatePair {
  readonly #clock: Clock
  #rate: Rate = { messagesPerSecond: 0, bytesPerSecond: 0 }
  #messages: TokenBucket | undefined
  #bytes: TokenBucket | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isOn(): boolean {
    return this.#messages !== undefined || this.#bytes !== undefined
  }

  /** False: it is the rate that there is. What was spent of another one is forgotten. */
  set(rate: Rate): boolean {
    const { messagesPerSecond, bytesPerSecond } = rate
    if (messagesPerSecond === this.#rate.messagesPerSecond && bytesPerSecond === this.#rate.bytesPerSecond) return false
    this.#rate = rate
    const nowMs = this.#clock.nowMs()
    this.#messages = messagesPerSecond > 0 ? new TokenBucket(messagesPerSecond, nowMs) : undefined
    this.#bytes = bytesPerSecond > 0 ? new TokenBucket(bytesPerSecond, nowMs) : undefined
    return true
  }

  /** The same limit, of which another part is for this broker now: what was spent stays spent. False: it is what there is. */
  adjust(rate: Rate): boolean {
    const { messagesPerSecond, bytesPerSecond } = rate
    if (messagesPerSecond === this.#rate.messagesPerSecond && bytesPerSecond === this.#rate.bytesPerSecond) return false
    this.#rate = rate
    const nowMs = this.#clock.nowMs()
    this.#messages = adjusted(this.#messages, messagesPerSecond, nowMs)
    this.#bytes = adjusted(this.#bytes, bytesPerSecond, nowMs)
    return true
  }

  spend(messages: number, bytes: number): void {
    this.#messages?.spend(messages)
    this.#bytes?.spend(bytes)
  }

  /** Until something may pass; 0: now. */
  waitMs(): number {
    if (!this.isOn) return 0
    const nowMs = this.#clock.nowMs()
    return Math.max(this.#messages?.waitMs(nowMs) ?? 0, this.#bytes?.waitMs(nowMs) ?? 0)
  }

  get usedUp(): 'messages' | 'bytes' | undefined {
    const nowMs = this.#clock.nowMs()
    if ((this.#messages?.waitMs(nowMs) ?? 0) > 0) return 'messages'
    return (this.#bytes?.waitMs(nowMs) ?? 0) > 0 ? 'bytes' : undefined
  }
}

function adjusted(bucket: TokenBucket | undefined, perSecond: number, nowMs: number): TokenBucket | undefined {
  if (perSecond <= 0) return undefined
  if (bucket === undefined) return new TokenBucket(perSecond, nowMs)
  bucket.change(perSecond, nowMs)
  return bucket
}
