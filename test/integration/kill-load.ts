import { PulsarClient, type Consumer, type Message } from '@strata/client'
import type { StrataProcess } from '../support/strata-process.ts'

/** What one subscription may and must do with each message, as the clients saw it. */
export interface AckRecord {
  /** When the acknowledgement was given to the client, monotonic ms. */
  readonly askedAtMs: number
  /** The broker said that it is durable. */
  answered: boolean
  /** When the process was killed that was asked; what it had not persisted may come back then or in a later round. */
  killedAtMs: number
  /** The longest that any message of that round waited for its receipt: what the disk and the two cores had time for. */
  slowestSendMs: number
}

export interface SubscriptionPlan {
  readonly name: string
  readonly type: 'exclusive' | 'failover' | 'shared'
  readonly cumulative: boolean
  readonly ackReceipts: boolean
}

export const TOPIC = 'persistent://public/default/kill'

export const PLANS: readonly SubscriptionPlan[] = [
  { name: 'one', type: 'exclusive', cumulative: true, ackReceipts: true },
  { name: 'two', type: 'failover', cumulative: true, ackReceipts: false },
  { name: 'many', type: 'shared', cumulative: false, ackReceipts: true }
]

/** All that was promised to applications over all rounds so far. */
export class Ledger {
  /** `producer:number` of every message whose send resolved. */
  readonly acknowledgedSends = new Set<string>()
  readonly acks = new Map<string, Map<string, AckRecord>>(PLANS.map(plan => [plan.name, new Map()]))
  /** Sends without a receipt, by when they were sent. */
  readonly #pending = new Map<string, number>()
  #slowestSendMs = 0

  onStarted(): void {
    this.#pending.clear()
    this.#slowestSendMs = 0
  }

  onSend(id: string): void {
    this.#pending.set(id, performance.now())
  }

  onReceipt(id: string): void {
    this.acknowledgedSends.add(id)
    this.#onSent(id, performance.now())
  }

  onKilled(atMs: number): void {
    for (const id of this.#pending.keys()) this.#onSent(id, atMs)
    const slowestSendMs = this.#slowestSendMs
    for (const acks of this.acks.values()) {
      for (const record of acks.values()) {
        if (record.killedAtMs !== Infinity) continue
        record.killedAtMs = atMs
        record.slowestSendMs = slowestSendMs
      }
    }
  }

  #onSent(id: string, atMs: number): void {
    this.#slowestSendMs = Math.max(this.#slowestSendMs, atMs - (this.#pending.get(id) ?? atMs))
    this.#pending.delete(id)
  }
}

const PRODUCERS = 4
const SENDS_IN_FLIGHT = 200
/** Of the Shared subscription, every seventh message is left alone, so that holes stay. */
const LEFT_ALONE = 7

/** Four producers and three subscriptions at full speed until `until` resolves; then everything is cut, unanswered. */
export async function runLoad(
  strata: StrataProcess,
  round: number,
  ledger: Ledger,
  until: () => Promise<void>
): Promise<void> {
  ledger.onStarted()
  const client = new PulsarClient({ serviceUrl: strata.brokerUrl })
  const consumers = await Promise.all(PLANS.map(plan => subscribe(client, plan)))
  consumers.forEach((consumer, i) => void consume(consumer, PLANS[i] as SubscriptionPlan, ledger))
  for (let i = 0; i < PRODUCERS; i++) void produce(client, `p${i}`, round, ledger)
  await until()
  client.shutdown()
}

export function subscribe(client: PulsarClient, plan: SubscriptionPlan): Promise<Consumer> {
  return client.subscribe({
    topic: TOPIC,
    subscription: plan.name,
    type: plan.type,
    initialPosition: 'earliest',
    ackReceipts: plan.ackReceipts,
    batchIndexAcks: true,
    ackGroupMs: 10
  })
}

async function produce(client: PulsarClient, name: string, round: number, ledger: Ledger): Promise<void> {
  const batched = name === 'p0' || name === 'p1'
  const options = { topic: TOPIC, name: `${name}-${round}`, batching: { enabled: batched } }
  const producer = await client.createProducer(options).catch(() => undefined)
  if (producer === undefined) return // killed before it was there
  let next = 0
  const lane = async (): Promise<void> => {
    for (;;) {
      const id = `${name}-${round}:${next++}`
      ledger.onSend(id)
      await producer.send({ data: Buffer.from(id) })
      ledger.onReceipt(id)
    }
  }
  // each lane ends with the first send that was not answered
  await Promise.allSettled(Array.from({ length: SENDS_IN_FLIGHT }, lane))
}

async function consume(consumer: Consumer, plan: SubscriptionPlan, ledger: Ledger): Promise<void> {
  const acks = ledger.acks.get(plan.name) as Map<string, AckRecord>
  let held: Message[] = []
  try {
    for (;;) {
      const message = await consumer.receive()
      if (plan.cumulative) {
        held.push(message)
        if (held.length < 50) continue
        const covered = held
        held = []
        settle(covered, consumer.acknowledgeCumulative(message), acks, plan)
      } else if (Number(idOf(message).split(':')[1]) % LEFT_ALONE !== 0) {
        settle([message], consumer.acknowledge(message), acks, plan)
      }
    }
  } catch {
    // the process was killed, or the client was shut down
  }
}

function settle(
  messages: readonly Message[],
  answer: Promise<void>,
  acks: Map<string, AckRecord>,
  plan: SubscriptionPlan
): void {
  const records = messages.map(message => {
    const record: AckRecord = { askedAtMs: performance.now(), answered: false, killedAtMs: Infinity, slowestSendMs: 0 }
    acks.set(idOf(message), record)
    return record
  })
  answer.then(
    () => {
      if (plan.ackReceipts) for (const record of records) record.answered = true
    },
    () => undefined
  )
}

export function idOf(message: Message): string {
  return Buffer.from(message.data).toString()
}
