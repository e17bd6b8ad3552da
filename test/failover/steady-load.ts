// Clients of several languages that publish batches at a rate and consume them, without anything being said of each message.
import { setTimeout as delay } from 'node:timers/promises'
import { Client, type Drained, type Draining, type Poured, type Pouring } from '../conformance/client.ts'
import type { SubscriptionType } from '../conformance/client.ts'
import type { Driver } from '../conformance/driver.ts'
import { FailoverCluster } from './cluster.ts'
import { BROKERS, ETCD_MEMBERS, startDriver, type FailoverOptions } from './run-failover.ts'

/** Of each client: on every topic half of its messages, and two types of subscription. */
const TYPES: readonly (readonly SubscriptionType[])[] = [
  ['Exclusive', 'Shared'],
  ['Failover', 'Key_Shared']
]
const KEYS = 16
const BYTES = 100
const BATCHING = { maxMessages: 1_000, maxDelayMs: 10 }
const ANSWERED_MS_MAX = 60_000
const COME_MS_MAX = 120_000
const LOOK_MS = 250

export interface SteadyTopic {
  readonly name: string
  readonly poured: Poured
  readonly drained: readonly (Drained & { readonly type: SubscriptionType })[]
}

/** @param options.rate Messages a second of each client */
export async function runSteadyLoad(options: FailoverOptions & { readonly rate: number }): Promise<SteadyTopic[]> {
  const cluster = await FailoverCluster.start({
    ...options,
    brokers: BROKERS,
    etcdMembers: ETCD_MEMBERS,
    watchdog: false,
    altered: false
  })
  const drivers: Driver[] = []
  try {
    const flows: Flow[] = []
    for (const language of options.languages) {
      const driver = await startDriver(language, options.drivers)
      drivers.push(driver)
      for (const [index, types] of TYPES.entries()) {
        const topic = `persistent://public/default/steady-${language}-${index}`
        flows.push(
          await Flow.start({ driver, brokerUrl: cluster.brokerUrl, topic, types, rate: options.rate / TYPES.length })
        )
      }
    }
    await options.trouble(cluster)
    return await Promise.all(flows.map(flow => flow.end()))
  } finally {
    for (const driver of drivers) await driver.stop()
    await cluster.stop()
  }
}

interface FlowOptions {
  readonly driver: Driver
  readonly brokerUrl: string
  readonly topic: string
  readonly types: readonly SubscriptionType[]
  readonly rate: number
}

interface FlowParts {
  readonly topic: string
  readonly client: Client
  readonly pouring: Pouring
  readonly draining: readonly { readonly type: SubscriptionType; readonly flow: Draining }[]
}

class Flow {
  readonly #parts: FlowParts

  private constructor(parts: FlowParts) {
    this.#parts = parts
  }

  static async start({ driver, brokerUrl, topic, types, rate }: FlowOptions): Promise<Flow> {
    const client = await Client.create(driver, brokerUrl)
    const draining: { type: SubscriptionType; flow: Draining }[] = []
    for (const type of types) {
      const consumer = await client.consumer(topic, type, { type, position: 'Earliest' })
      draining.push({ type, flow: await consumer.drainFlow({ keys: KEYS }) })
    }
    const producer = await client.producer(topic, { batching: BATCHING })
    return new Flow({ topic, client, draining, pouring: await producer.pour({ rate, bytes: BYTES, keys: KEYS }) })
  }

  /** Waits until everything was answered, and until it came or does not come. */
  async end(): Promise<SteadyTopic> {
    const { topic, client, pouring, draining } = this.#parts
    const poured = await pouring.end(ANSWERED_MS_MAX)
    const drained = await Promise.all(
      draining.map(async ({ type, flow }) => {
        const untilMs = performance.now() + COME_MS_MAX
        while ((await flow.counts()).received < poured.acknowledged && performance.now() < untilMs) await delay(LOOK_MS)
        return { type, ...(await flow.end()) }
      })
    )
    await client.close()
    return { name: topic, poured, drained }
  }
}

/** What should not have happened, one line each; `minimum`: messages that are too few to prove anything. */
export function faultsOf({ name, poured, drained }: SteadyTopic, minimum: number): string[] {
  const faults: string[] = []
  const { sent, acknowledged, failed, errors } = poured
  if (acknowledged < minimum) faults.push(`${name}: only ${acknowledged} messages were acknowledged`)
  if (failed > 0 || acknowledged !== sent) {
    faults.push(
      `${name}: of ${sent} messages ${acknowledged} were acknowledged, ${failed} failed: ${errors.join('; ')}`
    )
  }
  for (const { type, received, disordered, errors: heard } of drained) {
    if (received < acknowledged) faults.push(`${name}, ${type}: ${received} of ${acknowledged} came`)
    if (type !== 'Shared' && disordered > 0)
      faults.push(`${name}, ${type}: ${disordered} behind a later one of their key`)
    if (heard.length > 0) faults.push(`${name}, ${type}: ${heard.join('; ')}`)
  }
  return faults
}

export function describeSteady(topics: readonly SteadyTopic[]): string {
  const lines = topics.map(({ name, poured, drained }) => {
    const again = drained.map(({ type, again: count }) => `${type} ${count}`).join(', ')
    return `${name}: ${poured.acknowledged} of ${poured.sent} acknowledged, longest time without a receipt ${Math.round(poured.longestPauseMs)} ms; came again: ${again}`
  })
  return lines.join('\n')
}
