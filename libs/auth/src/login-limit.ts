import type { Clock } from '@strata/base'

/** What is remembered of one address. */
interface Mark {
  /** Failures that it may still make. */
  left: number
  atMs: number
}

/** Addresses that are remembered. The one that failed the longest ago goes first. */
const ADDRESSES_MAX = 10_000
const MINUTE_MS = 60_000

/**
 * Failed logins by address: each address has a number of them a minute, and may not try once they are used up. What is
 * guessed is so guessed slowly, and what is costly to check, as passwords are, is checked seldom for one who does not know it.
 *
 * Only failures are remembered, and of a bounded number of addresses: who is believed costs nothing here. Addresses of IPv6 count
 * by network (/64), as one host has all of them.
 */
export class LoginLimit {
  readonly #clock: Clock
  readonly #perMinute: () => number
  /** Those that failed last are last. */
  readonly #marks = new Map<string, Mark>()

  /** `perMinute` may change; 0: no limit. */
  constructor(options: { clock: Clock; perMinute: () => number }) {
    this.#clock = options.clock
    this.#perMinute = options.perMinute
  }

  /** How long the address has to wait before it may try; 0: it may. */
  waitMs(address: string): number {
    if (this.#marks.size === 0) return 0
    const perMinute = this.#perMinute()
    const mark = this.#marks.get(networkOf(address))
    if (perMinute === 0 || mark === undefined) return 0
    const left = this.#leftOf(mark, perMinute)
    return left >= 1 ? 0 : Math.ceil(((1 - left) * MINUTE_MS) / perMinute)
  }

  failed(address: string): void {
    const perMinute = this.#perMinute()
    if (perMinute === 0) return
    const network = networkOf(address)
    const mark = this.#marks.get(network)
    const left = mark === undefined ? perMinute : this.#leftOf(mark, perMinute)
    this.#marks.delete(network)
    this.#marks.set(network, { left: Math.max(0, left - 1), atMs: this.#clock.nowMs() })
    if (this.#marks.size <= ADDRESSES_MAX) return
    const [oldest] = this.#marks.keys()
    if (oldest !== undefined) this.#marks.delete(oldest)
  }

  get size(): number {
    return this.#marks.size
  }

  #leftOf({ left, atMs }: Mark, perMinute: number): number {
    return Math.min(perMinute, left + ((this.#clock.nowMs() - atMs) * perMinute) / MINUTE_MS)
  }
}

function networkOf(address: string): string {
  const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address
  if (!plain.includes(':')) return plain
  const [head = '', tail] = (plain.split('%', 1)[0] ?? '').split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length)
  return [...front, ...Array<string>(zeros).fill('0'), ...back].slice(0, 4).join(':')
}
