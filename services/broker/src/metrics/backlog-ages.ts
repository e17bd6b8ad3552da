import { setImmediate } from 'node:timers/promises'
import type { Clock } from '@strata/base'
import { comparePositions, samePosition, type Position } from '@strata/cursor-protocol'
import type { Entry } from '@strata/managed-ledger'
import type { SampledSubscription } from '../subscription/index.ts'
import type { Topic } from '../topic/topic.ts'

/** A longer past is kept more coarsely. */
const MARKS_MAX = 64
/** Entries that are read in one round, to learn when they were published. */
const READS_MAX = 64
const TOPICS_PER_TURN = 2_000

/**
 * When the entries of one log were published, as far as somebody looked: a mark says that up to there all were stored by then.
 *
 * Invariant: marks are in order, of position and of time.
 */
export class PublishMarks {
  readonly #marks: { readonly position: Position; readonly atMs: number }[] = []

  note(position: Position, atMs: number): void {
    const last = this.#marks.at(-1)
    if (last !== undefined && comparePositions(position, last.position) <= 0) return
    this.#marks.push({ position, atMs })
    if (this.#marks.length <= MARKS_MAX) return
    // every other one of the older half goes
    for (let at = MARKS_MAX / 2; at > 0; at -= 2) this.#marks.splice(at, 1)
  }

  /** Nobody will ask of what is before. */
  forgetBefore(position: Position): void {
    while (this.#marks[1] !== undefined && comparePositions(this.#marks[1].position, position) < 0) this.#marks.shift()
  }

  /** The entry was there at the first look already. */
  isFromBefore(position: Position): boolean {
    const [first] = this.#marks
    return first !== undefined && comparePositions(position, first.position) <= 0
  }

  /** At the latest; undefined: since the last mark. */
  storedBy(position: Position): number | undefined {
    return this.#marks.find(mark => comparePositions(position, mark.position) <= 0)?.atMs
  }
}

interface Known {
  readonly marks: PublishMarks
  /** By name of the subscription: what was read of its oldest entry, while that was from before the marks. */
  readonly read: Map<string, { readonly position: Position; readonly publishedAtMs: number }>
}

/**
 * How old the oldest entry of each backlog is. Logs are looked at once a round, and remember how far they had come: of what is
 * published while a topic is in memory the age is known to a round, without a read. What was there before is read, some of it a
 * round; until then its age is told as at least the time since the first look. Topics without a backlog keep nothing here.
 */
export class BacklogAges {
  readonly #clock: Clock
  readonly #publishTimeMs: (entry: Entry) => number
  /** Weak: a topic that closes is not kept until the next round. */
  #known = new WeakMap<Topic, Known>()
  #readsBegun = 0

  constructor(options: { clock: Clock; publishTimeMs: (entry: Entry) => number }) {
    this.#clock = options.clock
    this.#publishTimeMs = options.publishTimeMs
  }

  /** One round at a time. Never rejects. */
  async look(topics: Iterable<Topic>): Promise<void> {
    const known = new WeakMap<Topic, Known>()
    const unread: { readonly topic: Topic; readonly subscription: SampledSubscription }[] = []
    let turn = 0
    for (const topic of [...topics]) {
      if (++turn % TOPICS_PER_TURN === 0) await setImmediate()
      const own = this.#lookAt(topic)
      if (own === undefined) continue
      known.set(topic, own)
      for (const subscription of topic.subscriptions.values()) {
        if (this.#isUnread(topic, subscription, own)) unread.push({ topic, subscription })
      }
    }
    this.#known = known
    for (const { topic, subscription } of this.#inTurn(unread)) await this.#read(topic, subscription)
  }

  /** Seconds since its oldest unacknowledged entry was published; undefined: it has none. */
  ageOf(topic: Topic, subscription: SampledSubscription): number | undefined {
    const oldest = oldestOf(topic, subscription)
    if (oldest === undefined) return undefined
    const nowMs = this.#clock.wallMs()
    const own = this.#known.get(topic)
    const storedBy = own?.marks.storedBy(oldest) ?? nowMs
    const isFromBefore = own?.marks.isFromBefore(oldest) === true
    const read = isFromBefore ? own.read.get(subscription.name) : undefined
    return Math.max(0, nowMs - Math.min(storedBy, read?.publishedAtMs ?? storedBy)) / 1000
  }

  /** As many as may be read, going on where the last round ended. */
  #inTurn<Item>(items: readonly Item[]): readonly Item[] {
    if (items.length <= READS_MAX) return items
    const from = this.#readsBegun
    this.#readsBegun = (from + READS_MAX) % items.length
    return Array.from({ length: READS_MAX }, (_, index) => items[(from + index) % items.length] as Item)
  }

  #lookAt(topic: Topic): Known | undefined {
    let slowest: Position | undefined
    for (const subscription of topic.subscriptions.values()) {
      const oldest = oldestOf(topic, subscription)
      if (oldest !== undefined && (slowest === undefined || comparePositions(oldest, slowest) < 0)) slowest = oldest
    }
    const { log } = topic
    if (slowest === undefined || log === undefined) return undefined
    const own = this.#known.get(topic) ?? { marks: new PublishMarks(), read: new Map() }
    own.marks.note(log.lastConfirmed, this.#clock.wallMs())
    own.marks.forgetBefore(slowest)
    return own
  }

  #isUnread(topic: Topic, subscription: SampledSubscription, own: Known): boolean {
    const oldest = oldestOf(topic, subscription)
    if (oldest === undefined || !own.marks.isFromBefore(oldest)) {
      own.read.delete(subscription.name)
      return false
    }
    const read = own.read.get(subscription.name)
    return read === undefined || !samePosition(read.position, oldest)
  }

  async #read(topic: Topic, subscription: SampledSubscription): Promise<void> {
    const position = oldestOf(topic, subscription)
    const own = this.#known.get(topic)
    if (position === undefined || own === undefined) return
    try {
      const entry = await topic.log?.readOne(position)
      if (entry === undefined) return
      own.read.set(subscription.name, { position, publishedAtMs: this.#publishTimeMs(entry) })
    } catch {
      // storage does not answer: dispatch says so, and the next round reads again
    }
  }
}

function oldestOf(topic: Topic, { cursor }: SampledSubscription): Position | undefined {
  if (cursor === undefined || cursor.backlogEntries() === 0) return undefined
  return topic.log?.nextPosition(cursor.markDelete)
}
