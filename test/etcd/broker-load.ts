import { setTimeout as delay } from 'node:timers/promises'
import { strict as assert } from 'node:assert'
import { MessageId, PulsarClient, type Producer } from '@strata/client'

const LANES = 50
const POLL_MS = 5

/** Messages `producer:number` published by several producers at full speed, and which of them were acknowledged. */
export class PublishLoad {
  readonly acknowledged = new Set<string>()
  /** Why sends failed: none does while an ack quorum of storage nodes lives. */
  readonly failures: unknown[] = []
  readonly #client: PulsarClient
  readonly #lanes: Promise<void>[] = []
  #isStopping = false

  constructor(serviceUrl: string) {
    this.#client = new PulsarClient({ serviceUrl })
  }

  /** @param topics Each gets a producer that batches and one that does not. */
  async start(topics: readonly string[]): Promise<void> {
    for (const topic of topics) {
      for (const enabled of [true, false]) {
        const name = `${topic.replace(/.*\//, '')}-${enabled ? 'batches' : 'singles'}`
        const producer = await this.#client.createProducer({ topic, name, batching: { enabled } })
        this.#publish(producer, name)
      }
    }
  }

  #publish(producer: Producer, name: string): void {
    let next = 0
    const lane = async (): Promise<void> => {
      while (!this.#isStopping) {
        const id = `${name}:${next++}`
        try {
          await producer.send({ data: Buffer.from(id) })
          this.acknowledged.add(id)
        } catch (error) {
          this.failures.push(error)
          return
        }
      }
    }
    for (let i = 0; i < LANES; i++) this.#lanes.push(lane())
  }

  /** Waits until so many more are acknowledged. */
  async flows(messages: number): Promise<void> {
    const enough = this.acknowledged.size + messages
    while (this.acknowledged.size < enough) {
      if (this.failures.length > 0) throw this.failures[0]
      await delay(POLL_MS)
    }
  }

  /** Lets what was sent be answered. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#lanes)
    await this.#client.close()
  }
}

/** Everything on the topics: nothing acknowledged is missing, and of each producer first copies stand in the order sent. */
export async function assertWhole(serviceUrl: string, topics: readonly string[], sent: ReadonlySet<string>) {
  const client = new PulsarClient({ serviceUrl })
  const stored = new Set<string>()
  let copies = 0
  for (const topic of topics) {
    const latest = new Map<string, number>()
    const reader = await client.createReader({ topic, startMessageId: MessageId.earliest })
    while (await reader.hasMessageAvailable()) {
      const id = Buffer.from((await reader.readNext(20_000)).data).toString()
      if (stored.has(id)) {
        copies++ // sent again after a lost answer, as without deduplication it may be
        continue
      }
      stored.add(id)
      const [producer = '', number] = id.split(':')
      assert(Number(number) > (latest.get(producer) ?? -1), `${id} stands behind a later message of its producer`)
      latest.set(producer, Number(number))
    }
    await reader.close()
  }
  await client.close()
  const lost = [...sent].filter(id => !stored.has(id))
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} of ${sent.size} acknowledged messages are gone`)
  return { stored: stored.size, copies }
}
