import type { BrokerErrorCode } from '../errors.ts'

/** Who a publication is settled with: a producer. */
interface PublicationOwner {
  onStored(publication: Publication, ledgerId: number, entryId: number): void
  onLost(publication: Publication): void
  onRefused(publication: Publication, code: BrokerErrorCode, message: string): void
}

/**
 * One SEND on its way into a log: what its receipt needs. Instances are reused, so a message costs no garbage. Ids that
 * the client chose are kept as two unsigned 32-bit halves: they are echoed exactly.
 */
export interface Publication {
  producer: PublicationOwner | undefined
  sequenceLow: number
  sequenceHigh: number
  hasHighest: boolean
  highestLow: number
  highestHigh: number
  messages: number
  /** Of the payload as the client sent it. */
  bytes: number
}

/** More than this many idle contexts are left to the garbage collector. */
const IDLE_MAX = 65_536

export class PublicationPool {
  readonly #idle: Publication[] = []

  take(): Publication {
    return (
      this.#idle.pop() ?? {
        producer: undefined,
        sequenceLow: 0,
        sequenceHigh: 0,
        hasHighest: false,
        highestLow: 0,
        highestHigh: 0,
        messages: 0,
        bytes: 0
      }
    )
  }

  give(publication: Publication): void {
    publication.producer = undefined
    if (this.#idle.length < IDLE_MAX) this.#idle.push(publication)
  }
}
