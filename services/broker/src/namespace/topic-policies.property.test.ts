import { ManualClock, eventually } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaultBrokerSettings } from '../config/settings.ts'
import { NamespaceService } from './namespace-service.ts'
import type { PolicyName } from './policy-table.ts'
import { TopicName } from './topic-name.ts'
import type { TopicPolicyReach } from './topic-policy-rows.ts'

const NAMESPACE = 'public/default'
const TOPICS = ['a', 'b'].map(name => TopicName.parse(`persistent://${NAMESPACE}/${name}`))
const NUMBERS = ['messageTTL', 'maxProducersPerTopic', 'maxConsumersPerTopic'] as const
const settings = { ...defaultBrokerSettings(), ttlDurationDefaultInSeconds: 77, maxProducersPerTopic: 88 }

type Level = 'namespace' | TopicPolicyReach

type Edit =
  | {
      readonly kind: 'set'
      readonly level: Level
      readonly topic: number
      readonly policy: number
      readonly value: number
    }
  | { readonly kind: 'remove'; readonly level: Level; readonly topic: number; readonly policy: number }
  | { readonly kind: 'remove all' | 'make anew'; readonly topic: number }

const level = fc.constantFrom<Level>('namespace', 'local', 'global')
const topic = fc.nat(TOPICS.length - 1)
const policy = fc.nat(NUMBERS.length - 1)
const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('set' as const), level, topic, policy, value: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), level, topic, policy }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('remove all' as const, 'make anew' as const), topic }) }
)
/** What two admins do at the same moment, each by a broker of its own; they never change the same policy of the same thing. */
const moment = fc
  .tuple(edit, edit)
  .filter(([one, other]) => whatOf(one) !== whatOf(other) && !(isWhole(one) || isWhole(other)))
const step = fc.oneof(
  fc.record({ brokers: fc.constant([0]), edits: edit.map(one => [one]) }),
  fc.record({ brokers: fc.constant([0, 1]), edits: moment.map(both => [...both]) })
)

function whatOf(one: Edit): string {
  return 'level' in one ? `${one.level}/${one.level === 'namespace' ? '' : one.topic}/${one.policy}` : one.kind
}

function isWhole(one: Edit): boolean {
  return one.kind === 'remove all' || one.kind === 'make anew'
}

/** The same, by plain maps from `<level>/<topic>/<policy>`. */
class Model {
  readonly #set = new Map<string, number>()

  apply(one: Edit): void {
    switch (one.kind) {
      case 'set':
        this.#set.set(whatOf(one), one.value)
        return
      case 'remove':
        this.#set.delete(whatOf(one))
        return
      case 'remove all':
      case 'make anew':
        for (const key of [...this.#set.keys()]) if (key.split('/')[1] === String(one.topic)) this.#set.delete(key)
    }
  }

  holds(of: number, index: number, fallback: number): number {
    return (
      this.#set.get(`local/${of}/${index}`) ??
      this.#set.get(`global/${of}/${index}`) ??
      this.#set.get(`namespace//${index}`) ??
      fallback
    )
  }
}

async function perform(service: NamespaceService, one: Edit): Promise<void> {
  const { policies, topics } = service
  const name = TOPICS[one.topic] ?? TopicName.parse('x')
  if (!('level' in one)) {
    if (one.kind === 'remove all') {
      await policies.removeAllOfTopic(name)
      return
    }
    const record = await topics.beginDelete(name)
    await policies.forgetTopic(name)
    await topics.finishDelete(record)
    await topics.create(name, { partitions: 0 })
    return
  }
  const of: PolicyName = NUMBERS[one.policy] ?? 'messageTTL'
  if (one.level === 'namespace') {
    if (one.kind === 'set') await policies.set(NAMESPACE, of, one.value)
    else await policies.remove(NAMESPACE, of)
  } else if (one.kind === 'set') await policies.setOfTopic(name, one.level, of, one.value)
  else await policies.removeOfTopic(name, one.level, of)
}

test('what holds on every broker is what the edits of two admins give, none of them lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
      const store = new MemoryMetadataStore()
      const clock = new ManualClock()
      const cluster = {
        serviceUrl: '',
        serviceUrlTls: '',
        brokerServiceUrl: '',
        brokerServiceUrlTls: '',
        peerClusterNames: []
      }
      const services: NamespaceService[] = []
      for (let index = 0; index < 3; index++) {
        services.push(await NamespaceService.open({ store, settings, clock, cluster }))
      }
      try {
        for (const name of TOPICS) await services[0]?.topics.create(name, { partitions: 0 })
        const model = new Model()
        for (const { brokers, edits } of steps) {
          await Promise.all(
            edits.map(async (one, index) => {
              const service = services[brokers[index] ?? 0]
              if (service !== undefined) await perform(service, one)
            })
          )
          for (const one of edits) model.apply(one)
        }
        for (const service of services) {
          for (const [index, name] of TOPICS.entries()) {
            await eventually(async () => {
              const record = await service.topics.get(name)
              if (record === undefined) throw new Error('the topic is gone')
              const effective = await service.policies.effectiveOf(record)
              expect([
                effective.messageTtlSeconds,
                effective.maxProducersPerTopic,
                effective.maxConsumersPerTopic
              ]).toEqual([model.holds(index, 0, 77), model.holds(index, 1, 88), model.holds(index, 2, 0)])
            })
          }
        }
      } finally {
        for (const service of services) await service.close()
        await store.close()
      }
    }),
    { numRuns: 60 }
  )
}, 60_000)
