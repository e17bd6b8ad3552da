import fc from 'fast-check'
import type { KeySharedOptions, SubscriptionType } from '../../contract.ts'
import { DispatchModel, full, LIMITS, type ModelConsumer } from './dispatch-model.ts'
import { FakeConnection } from './fake-connection.ts'
import { createWorld } from './world.ts'

/** One thing that happens. `who` and `which` are taken modulo what there is. */
export type Step =
  | ConsumerStep
  | { readonly do: 'join'; readonly priority: number; readonly permits: number }
  | { readonly do: 'publish'; readonly messages: readonly { readonly key: number; readonly size: number }[] }
  | { readonly do: 'seek' | 'skip'; readonly which: number }
  | { readonly do: 'cache'; readonly every: number }
  | { readonly do: 'fail' | 'hold' | 'settle' | 'wait' }

/** What a consumer does, or happens to it. */
type ConsumerStep =
  | { readonly do: 'leave' | 'redeliverAll' | 'close' | 'open'; readonly who: number }
  | { readonly do: 'flow'; readonly who: number; readonly permits: number }
  | { readonly do: 'ack' | 'redeliver'; readonly who: number; readonly which: readonly number[] }
  | { readonly do: 'ackPart'; readonly who: number; readonly which: number; readonly mask: number }
  | { readonly do: 'ackCumulative'; readonly which: number }

const who = fc.nat(7)
const which = fc.array(fc.nat(60), { minLength: 1, maxLength: 8 })

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('join' as const), priority: fc.nat(1), permits: fc.nat(30) })
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who }) },
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constant('flow' as const), who, permits: fc.integer({ min: 1, max: 20 }) })
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('publish' as const),
        messages: fc.array(fc.record({ key: fc.nat(5), size: fc.integer({ min: 1, max: 4 }) }), {
          minLength: 1,
          maxLength: 8
        })
      })
    },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('ack' as const), who, which }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('redeliver' as const), who, which }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('ackPart' as const), who, which: fc.nat(60), mask: fc.nat(15) })
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('ackCumulative' as const), which: fc.nat(60) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('redeliverAll' as const, 'close' as const), who }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('open' as const), who }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('seek' as const, 'skip' as const), which: fc.nat(60) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('cache' as const), every: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('fail' as const, 'hold' as const) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'wait' as const) }) }
  ),
  { minLength: 10, maxLength: 60 }
)

export interface RunOptions {
  readonly type: SubscriptionType
  readonly keyShared?: KeySharedOptions
  readonly consistentHashing?: boolean
  /** Null: unlimited. */
  readonly poolBytes?: number
}

/** Plays the steps against a subscription and the model, then drains it. Throws where they disagree. */
export async function play(steps: readonly Step[], options: RunOptions): Promise<{ deliveries: number }> {
  const run = new Run(options)
  for (const step of steps) await run.step(step)
  await run.drain()
  return { deliveries: run.model.deliveries }
}

class Run {
  readonly model: DispatchModel
  readonly #options: RunOptions
  readonly #world: ReturnType<typeof createWorld>
  #nextId = 1
  #heldReads: (() => void)[] | undefined

  constructor(options: RunOptions) {
    this.#options = options
    this.#world = createWorld({
      ledgerEntriesMax: 7,
      poolBytes: options.poolBytes ?? 1 << 20,
      settings: {
        maxUnackedMessagesPerConsumer: LIMITS.perConsumer,
        maxUnackedMessagesPerSubscription: LIMITS.perSubscription,
        dispatcherMaxReadBatchSize: 5,
        dispatcherMaxReadSizeBytes: 1000,
        subscriptionKeySharedUseConsistentHashing: options.consistentHashing ?? true
      }
    })
    this.model = new DispatchModel(options.type, this.#world)
    this.#world.log.gate = () =>
      this.#heldReads === undefined ? Promise.resolve() : new Promise(resolve => this.#heldReads?.push(resolve))
  }

  async step(step: Step): Promise<void> {
    const { model } = this
    switch (step.do) {
      case 'join':
        return this.#join(step.priority, step.permits)
      case 'publish':
        this.#publish(step.messages)
        return
      case 'seek':
        return this.#seek(step.which)
      case 'skip':
        return this.#skip(step.which)
      case 'cache':
        this.#world.log.isCached = entry => step.every === 0 || entry.entryId % (step.every + 1) !== 0
        return
      case 'fail':
        this.#world.log.failures = 1
        return
      case 'hold':
        this.#heldReads ??= []
        return
      case 'settle':
        return this.#settle()
      case 'wait':
        // More than once: a read that fails after the delay of a failover is tried again after a delay of its own.
        for (let round = 0; round < 3; round++) {
          await this.#settle()
          this.#world.clock.advance(20_000)
        }
        await this.#settle()
        model.check(true)
        return
      default: {
        const active = model.consumers.find(consumer => consumer.name === model.activeName)
        // A Failover subscription changes hands at a time of its own: its order is what is tested, not who acknowledges.
        const index = 'who' in step ? step.who % Math.max(1, model.consumers.length) : 0
        const consumer = 'who' in step ? model.consumers[index] : active
        if (consumer !== undefined) this.#act(step, consumer)
      }
    }
  }

  #act(step: ConsumerStep, consumer: ModelConsumer): void {
    const { model } = this
    switch (step.do) {
      case 'leave':
        this.#leave(consumer)
        return
      case 'flow':
        this.#flow(consumer, step.permits)
        return
      case 'close':
        consumer.connection.isWritable = false
        return
      case 'open':
        consumer.connection.isWritable = true
        return
      case 'redeliverAll':
        this.#redeliver(consumer, undefined)
        return
      case 'redeliver':
        this.#redeliver(consumer, this.#pick(step.which))
        return
      case 'ack':
        this.#acknowledge(consumer, this.#pick(step.which))
        return
      case 'ackPart': {
        for (const index of this.#pick([step.which])) {
          model.acknowledge(index, step.mask)
          const remaining = Int32Array.of(step.mask & full(model.entries[index]?.size ?? 1), 0)
          consumer.consumer.acknowledge([{ ...this.#world.log.positionOf(index), remaining }], false)
        }
        return
      }
      case 'ackCumulative': {
        const [through] = this.#pick([step.which])
        if (through === undefined) return
        if (!model.isTracked) for (let index = 0; index <= through; index++) model.acknowledge(index, 0)
        consumer.consumer.acknowledgeCumulative({ ...this.#world.log.positionOf(through), remaining: undefined })
      }
    }
  }

  #acknowledge(consumer: ModelConsumer, indexes: readonly number[]): void {
    for (const index of indexes) this.model.acknowledge(index, 0)
    const messages = indexes.map(index => ({ ...this.#world.log.positionOf(index), remaining: undefined }))
    consumer.consumer.acknowledge(messages, false)
  }

  /** Mostly what is with consumers, sometimes anything. */
  #pick(which: readonly number[]): number[] {
    const held = [...this.model.inFlight.keys()]
    const all = this.model.entries.length
    const picked = which.map(n =>
      n % 5 === 4 || held.length === 0 ? n % Math.max(all, 1) : (held[n % held.length] ?? 0)
    )
    return [...new Set(picked)].filter(index => index < all)
  }

  async #join(priorityLevel: number, permits: number): Promise<void> {
    const { model } = this
    const { type, keyShared } = this.#options
    if (model.consumers.length >= (type === 'Exclusive' ? 1 : 4)) return
    const connection = new FakeConnection(this.#nextId)
    const id = this.#nextId++
    const name = `c${(id * 7919) % 1000}`
    const before = model.activeName
    const options = { connection, consumerId: id, consumerName: name, priorityLevel, keyShared }
    const { consumer } = await this.#world.join(type, options)
    const joined = { id, name, connection, consumer, granted: 0, sent: 0 }
    connection.onMessage = sent => {
      model.onDelivery(joined, sent)
    }
    model.consumers.push(joined)
    if (!model.isTracked && model.activeName !== before) model.restart()
    if (permits > 0) this.#flow(joined, permits)
  }

  #flow(consumer: ModelConsumer, permits: number): void {
    consumer.granted += permits
    consumer.consumer.flow(permits)
  }

  #publish(messages: readonly { key: number; size: number }[]): void {
    const { entries } = this.model
    for (const { key, size } of messages) {
      entries.push({ index: entries.length, key: `key-${key}`, size, remaining: full(size) })
    }
    this.#world.publish(...messages.map(({ key, size }) => ({ key: `key-${key}`, messages: size })))
  }

  #leave(consumer: ModelConsumer): void {
    const before = this.model.activeName
    this.model.remove(consumer)
    consumer.consumer.leave()
    if (!this.model.isTracked && this.model.activeName !== before) this.model.restart()
  }

  #redeliver(consumer: ModelConsumer, picked: readonly number[] | undefined): void {
    const { model } = this
    if (model.isTracked) {
      const held = [...model.inFlight].filter(([, by]) => by.consumer === consumer).map(([index]) => index)
      model.sendBack(consumer, picked ?? held)
    } else if (consumer.name === model.activeName) model.restart()
    if (picked === undefined) consumer.consumer.redeliverAll(undefined)
    else consumer.consumer.redeliver(picked.map(index => this.#world.log.positionOf(index)))
  }

  async #seek(which: number): Promise<void> {
    const index = which % (this.model.entries.length + 1)
    await this.#world.subscription.seek({ position: this.#world.log.positionOf(index) })
    this.model.removeClosed()
    this.model.resetTo(index)
    await this.#world.turns.settle()
  }

  async #skip(which: number): Promise<void> {
    const left = this.model.entries.filter(entry => entry.remaining !== 0)
    const skipped = left.slice(0, which % 4)
    for (const entry of skipped) this.model.acknowledge(entry.index, 0)
    await this.#world.subscription.skip(skipped.length)
  }

  async #settle(): Promise<void> {
    const held = this.#heldReads ?? []
    this.#heldReads = undefined
    for (const release of held) release()
    await this.#world.turns.settle()
    this.model.check(false)
  }

  /** Everything that is not acknowledged must come, now that everybody takes everything. */
  async drain(): Promise<void> {
    const { model } = this
    if (model.consumers.length === 0) await this.#join(0, 0)
    this.#world.log.failures = 0
    for (const consumer of model.consumers) consumer.connection.isWritable = true
    await this.step({ do: 'wait' })
    for (let round = 0; round < 200 && model.entries.some(entry => entry.remaining !== 0); round++) {
      for (const consumer of model.consumers) {
        this.#flow(consumer, 20)
      }
      await this.step({ do: 'wait' })
      const [first] = model.consumers
      if (first !== undefined) this.#acknowledge(first, [...model.inFlight.keys()].slice(0, 6))
    }
    model.checkAllDelivered()
    await this.#world.subscription.close()
    if (this.#world.pool.bytesHeld !== 0) throw new Error(`sum: ${this.#world.pool.bytesHeld} bytes left in the pool`)
  }
}
