// What the clients of one run did and saw, and what must be true of it. Pure: the run collects, `judge` decides.

/** A message by what the application put in: the key, and its number among those of that key, from 0. */
export interface Sent {
  readonly key: string
  readonly number: number
}

export interface Receipt extends Sent {
  /** `ledger:entry` */
  readonly id: string
  readonly atMs: number
}

export interface Delivery extends Sent {
  readonly consumer: string
  readonly atMs: number
}

export interface SubscriptionHistory {
  readonly name: string
  /** Shared promises no order. */
  readonly isOrdered: boolean
  /** As they came. */
  readonly deliveries: Delivery[]
}

export interface TopicHistory {
  readonly topic: string
  readonly receipts: Receipt[]
  /** What the client library said about sends that it gave up. */
  readonly failures: string[]
  readonly subscriptions: readonly SubscriptionHistory[]
  /** Everything that is stored, read from the beginning when all is over: id → message. */
  readonly stored: Map<string, Sent>
}

export interface Judgement {
  readonly acknowledged: number
  readonly delivered: number
  readonly duplicates: number
  /** Stored more than once: a client that had no answer sends again. */
  readonly storedTwice: number
  readonly failures: number
  /** What was promised and not kept, in words. */
  readonly violations: readonly string[]
}

/**
 * Two consumers' messages reach the judge by different ways: only a message that comes so much later than its successor, of
 * which another consumer told, is out of order for sure.
 */
const BETWEEN_CONSUMERS_MS = 1_000
const NAMED_MAX = 5

export function judge(topics: readonly TopicHistory[]): Judgement {
  const violations: string[] = []
  const sum = (count: (topic: TopicHistory) => number): number => topics.reduce((all, topic) => all + count(topic), 0)
  for (const topic of topics) {
    violations.push(...zombies(topic))
    for (const subscription of topic.subscriptions) {
      violations.push(...lost(topic, subscription))
      if (subscription.isOrdered) violations.push(...disordered(topic, subscription))
    }
  }
  return {
    acknowledged: sum(({ receipts }) => receipts.length),
    delivered: sum(({ subscriptions }) => subscriptions.reduce((all, { deliveries }) => all + deliveries.length, 0)),
    duplicates: sum(({ subscriptions }) =>
      subscriptions.reduce((all, { deliveries }) => all + deliveries.length - new Set(deliveries.map(nameOf)).size, 0)
    ),
    storedTwice: sum(({ stored }) => stored.size - new Set([...stored.values()].map(nameOf)).size),
    failures: sum(({ failures }) => failures.length),
    violations
  }
}

/** Acknowledged messages that this subscription never got. */
export function missing(topic: TopicHistory, { deliveries }: SubscriptionHistory): string[] {
  const seen = new Set(deliveries.map(nameOf))
  return topic.receipts.map(nameOf).filter(name => !seen.has(name))
}

function lost(topic: TopicHistory, subscription: SubscriptionHistory): string[] {
  const names = missing(topic, subscription)
  if (names.length === 0) return []
  return [`${topic.topic}, ${subscription.name}: ${names.length} acknowledged messages never came: ${some(names)}`]
}

/** For each key, the first delivery of a message may not come after the first of a later one. */
function disordered({ topic }: TopicHistory, { name, deliveries }: SubscriptionHistory): string[] {
  const latest = new Map<string, Delivery>()
  const seen = new Set<string>()
  const found: string[] = []
  for (const delivery of deliveries) {
    if (seen.has(nameOf(delivery))) continue
    seen.add(nameOf(delivery))
    const before = latest.get(delivery.key)
    if (before === undefined || before.number < delivery.number) latest.set(delivery.key, delivery)
    else if (before.consumer === delivery.consumer || delivery.atMs - before.atMs > BETWEEN_CONSUMERS_MS) {
      found.push(`${nameOf(delivery)} by ${delivery.consumer} after ${nameOf(before)} by ${before.consumer}`)
    }
  }
  return found.length === 0 ? [] : [`${topic}, ${name}: ${found.length} out of order: ${some(found)}`]
}

/** A receipt of whatever broker names an entry of the one log that is left, and that entry is the message. */
function zombies({ topic, receipts, stored }: TopicHistory): string[] {
  const found: string[] = []
  for (const receipt of receipts) {
    const there = stored.get(receipt.id)
    if (there === undefined) found.push(`${nameOf(receipt)} at ${receipt.id}: nothing is there`)
    else if (nameOf(there) !== nameOf(receipt))
      found.push(`${nameOf(receipt)} at ${receipt.id}: ${nameOf(there)} is there`)
  }
  return found.length === 0 ? [] : [`${topic}: ${found.length} receipts for what is not in the log: ${some(found)}`]
}

/** The longest time without a receipt, from the first receipt on. */
export function longestPauseMs({ receipts }: TopicHistory): number {
  const times = receipts.map(({ atMs }) => atMs).sort((a, b) => a - b)
  return times.reduce((longest, atMs, i) => Math.max(longest, atMs - (times[i - 1] ?? atMs)), 0)
}

export function nameOf({ key, number }: Sent): string {
  return `${key}#${number}`
}

/** The other way round. @throws Error for anything else than what was sent */
export function sentOf(text: string): Sent {
  const [, key, number] = /^(.+)#(\d+)$/.exec(text) ?? []
  if (key === undefined || number === undefined) throw new Error(`not a message of this run: ${text}`)
  return { key, number: Number(number) }
}

function some(names: readonly string[]): string {
  return `${names.slice(0, NAMED_MAX).join(', ')}${names.length > NAMED_MAX ? ', …' : ''}`
}
