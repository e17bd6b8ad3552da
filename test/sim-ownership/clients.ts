import type { CodedError } from '@strata/base'
import type { TopicName } from '@strata/broker/testing'
import type { Random, SimProcess } from '@strata/sim'
import { refusedBy } from './call.ts'
import type { Cluster, SimBroker } from './sim-broker.ts'

const LOOKUP_MS = 4_000
const REQUEST_MS = 3_000
/** Of Pulsar's clients, shortened to the length of a run. */
const BACKOFF_MS_MAX = 400

/** One client of one topic, which goes on whatever happens; after `finish` until one more thing has succeeded. */
abstract class Client {
  readonly name: string
  protected readonly world: Cluster
  protected readonly topic: TopicName
  protected readonly process: SimProcess
  protected readonly random: Random
  #finishing: 'no' | 'asked' | 'done' = 'no'

  constructor(world: Cluster, name: string, topic: TopicName) {
    this.world = world
    this.name = name
    this.topic = topic
    this.process = world.scheduler.createProcess(name)
    this.random = world.random.fork(name)
  }

  get isDone(): boolean {
    return this.#finishing === 'done'
  }

  start(): void {
    this.process.post(this.random.between(0, 20), () => {
      this.#run().catch((error: unknown) => this.world.scheduler.fail(error))
    })
  }

  finish(): void {
    if (this.#finishing === 'no') this.#finishing = 'asked'
  }

  /** A few requests to the owner. @throws CodedError */
  protected abstract work(owner: SimBroker): Promise<void>

  protected pause(ms: number): Promise<void> {
    return new Promise(resolve => void this.process.post(ms, resolve))
  }

  protected ask<Result>(broker: SimBroker, run: () => Promise<Result>): Promise<Result> {
    return this.world.calls.call(this.process, broker, { timeoutMs: REQUEST_MS, run })
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#finishing !== 'done';) {
      const isLast = this.#finishing === 'asked'
      try {
        await this.work(await this.#owner())
        failures = 0
        if (isLast) this.#finishing = 'done'
      } catch (error) {
        const { message } = error as CodedError // calls fail with nothing else
        this.world.history.tell(this.name, message)
        this.world.history.counts.refusals++
        await this.pause(this.random.between(0.5, 1) * Math.min(BACKOFF_MS_MAX, 20 * 2 ** failures++))
      }
    }
  }

  async #owner(): Promise<SimBroker> {
    const asked = this.random.pick(this.world.brokers)
    const run = (): ReturnType<SimBroker['lookup']> => asked.lookup(this.topic)
    const placement = await this.world.calls.call(this.process, asked, { timeoutMs: LOOKUP_MS, run })
    if (placement.kind === 'here') return asked
    const owner = this.world.brokers.find(({ name }) => name === placement.broker.id)
    if (owner === undefined) throw refusedBy(asked.name, 'it names nobody')
    return owner
  }
}

export class Publisher extends Client {
  #count = 0

  protected override async work(owner: SimBroker): Promise<void> {
    for (let i = 0; i < 8; i++) {
      const tag = `${this.name} ${this.#count++}`
      const place = await this.ask(owner, () => owner.topics.publish(this.topic, tag))
      this.world.history.onReceipt({ ...place, topic: this.topic.toString(), tag, broker: owner.name })
      await this.pause(this.random.skewed(20, 250))
    }
  }
}

export class Consumer extends Client {
  protected override async work(owner: SimBroker): Promise<void> {
    for (let i = 0; i < 4; i++) {
      const messages = await this.ask(owner, async () => {
        const received = await owner.topics.receive(this.topic)
        owner.checkDispatch()
        return received
      })
      const last = messages.at(-1)
      if (last !== undefined) {
        await this.ask(owner, () => owner.topics.acknowledge(this.topic, last))
        this.world.history.onAcked(this.topic.toString(), last)
      }
      await this.pause(this.random.skewed(40, 400))
    }
  }
}
