import type { Topic } from '../topic/topic.ts'
import { noTraffic, type TrafficTotals } from './traffic-book.ts'

type Pair = readonly [messages: number, bytes: number]

/**
 * Counters of what is not shown singly, by namespace, so that sums over a namespace grow by what went through it, whichever
 * topics are shown at the moment.
 *
 * Invariants
 *   C1  They never fall.
 *   C2  Between two looks the series of a namespace, all together, grow by what its exact totals grew by: a topic that is newly
 *       shown brings its own past along, which a rate does not see; one that is no longer shown goes on in here.
 */
export class RestCounters {
  readonly #rest = new Map<string, TrafficTotals>()
  #totals = new Map<string, TrafficTotals>()
  /** What was shown last, by topic, and by topic and subscription. */
  #told = new Map<string, Pair>()
  /** In memory at the last look, and not shown. */
  #hidden = new WeakSet<Topic>()

  /** All of it is read at one moment. `hidden` are the topics that are in memory and not in `shown`. */
  look(options: {
    totals: Iterable<readonly [namespace: string, totals: Readonly<TrafficTotals>]>
    shown: readonly Topic[]
    hidden: Iterable<Topic>
  }): void {
    const seen = this.#shownGrowth(options.shown)
    const totals = new Map<string, TrafficTotals>()
    for (const [namespace, now] of options.totals) {
      totals.set(namespace, { ...now })
      const before = this.#totals.get(namespace) ?? noTraffic()
      const own = seen.get(namespace) ?? noTraffic()
      const rest = this.#rest.get(namespace) ?? noTraffic()
      this.#rest.set(namespace, rest)
      for (const key of ['messagesIn', 'bytesIn', 'messagesOut', 'bytesOut'] as const) {
        rest[key] += Math.max(0, now[key] - before[key] - own[key])
      }
    }
    this.#totals = totals
    this.#hidden = new WeakSet(options.hidden)
  }

  of(namespace: string): TrafficTotals {
    return this.#rest.get(namespace) ?? noTraffic()
  }

  /** By how much the series that are shown have grown, by namespace. */
  #shownGrowth(shown: readonly Topic[]): Map<string, TrafficTotals> {
    const seen = new Map<string, TrafficTotals>()
    const told = new Map<string, Pair>()
    for (const topic of shown) {
      const { namespace } = topic.name
      const own = seen.get(namespace) ?? noTraffic()
      seen.set(namespace, own)
      const wasHidden = this.#hidden.has(topic)
      const grown = (key: string, now: Pair): Pair => {
        told.set(key, now)
        const before = this.#told.get(key) ?? (wasHidden ? now : [0, 0])
        return [growth(before[0], now[0]), growth(before[1], now[1])]
      }
      const [messagesIn, bytesIn] = grown(topic.fullName, [topic.traffic.messages.total, topic.traffic.bytes.total])
      own.messagesIn += messagesIn
      own.bytesIn += bytesIn
      for (const { name, messagesOut, bytesOut } of topic.subscriptions.values()) {
        const [messages, bytes] = grown(`${topic.fullName} ${name}`, [messagesOut, bytesOut])
        own.messagesOut += messages
        own.bytesOut += bytes
      }
    }
    this.#told = told
    return seen
  }
}

/** One that fell began anew. */
function growth(before: number, now: number): number {
  return now < before ? now : now - before
}
