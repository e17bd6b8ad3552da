// The four subscription types: who gets what, and who is refused.
import { strict as assert } from 'node:assert'
import type { Consumer, Message, SubscriptionType } from '../client.ts'
import { eventually, numbered, refused, type Context, type Row } from '../row.ts'

const TYPES: readonly SubscriptionType[] = ['Exclusive', 'Failover', 'Shared', 'Key_Shared']

const SHORT = { operationTimeoutMs: 5_000 }

function basics(type: SubscriptionType): Row {
  return {
    name: `basics-${type.toLowerCase().replace('_', '-')}`,
    proves: `publish, receive, acknowledge on a ${type} subscription; nothing is left and nothing comes twice`,
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type, position: 'Earliest' })
      const producer = await client.producer(topic)
      const sent = numbered('m', 20)
      await producer.sendMany(sent)
      const received = await consumer.take(20)
      assert.deepEqual(
        received.map(({ text }) => text),
        sent
      )
      await consumer.ack(...received)
      await eventually(
        () => c.admin.subscription(topic, 's'),
        stats => stats.msgBacklog === 0 && stats.type === type
      )
      await consumer.close()
      const again = await client.consumer(topic, 's', { type, position: 'Earliest' })
      await producer.send('new')
      assert.deepEqual(await again.texts(1), ['new'])
    }
  }
}

const generalRows: Row[] = [
  {
    name: 'two-subscriptions',
    proves: 'every subscription has every message, at its own pace',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumers = [await client.consumer(topic, 'a'), await client.consumer(topic, 'b', { type: 'Shared' })]
      const producer = await client.producer(topic)
      await producer.sendMany(numbered('m', 10))
      for (const consumer of consumers) assert.deepEqual(await consumer.texts(10), numbered('m', 10))
    }
  },
  {
    name: 'exclusive-second-refused',
    proves: 'a second consumer of an Exclusive subscription is refused with ConsumerBusy, and the first goes on',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(SHORT), await c.client(SHORT)]
      const consumer = await one.consumer(topic, 's')
      await refused(two.consumer(topic, 's'), 'ConsumerBusy')
      await refused(one.consumer(topic, 's'), 'ConsumerBusy')
      await (await one.producer(topic)).send('x')
      assert.deepEqual(await consumer.texts(1), ['x'])
      await consumer.close()
      await two.consumer(topic, 's')
    }
  },
  {
    name: 'type-mismatch-refused',
    proves:
      'a consumer of another type than those connected is refused with ConsumerBusy; after they left the type may change',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client(SHORT)
      const shared = await client.consumer(topic, 's', { type: 'Shared' })
      for (const type of ['Failover', 'Key_Shared', 'Exclusive'] as const) {
        await refused(client.consumer(topic, 's', { type }), 'ConsumerBusy')
      }
      await shared.close()
      await client.consumer(topic, 's', { type: 'Failover' })
      assert.equal((await c.admin.subscription(topic, 's')).type, 'Failover')
    }
  },
  {
    name: 'initial-position',
    proves:
      'a new subscription starts at the end, or at the beginning when it says Earliest; an old one stays where it is',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const producer = await client.producer(topic)
      await producer.send('old')
      const late = await client.consumer(topic, 'late')
      const early = await client.consumer(topic, 'early', { position: 'Earliest' })
      await producer.send('new')
      assert.deepEqual(await late.texts(1), ['new'])
      const [first] = await early.take(2)
      assert.equal(first?.text, 'old')
      await early.ack(first)
      await early.close()
      const again = await client.consumer(topic, 'early', { position: 'Earliest' })
      assert.deepEqual(await again.texts(1), ['new'])
    }
  },
  {
    name: 'consumer-in-stats',
    proves: 'consumers show in the stats with name, properties and unacknowledged count',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const options = { type: 'Shared', name: 'seen', properties: { team: 'red' }, queueSize: 50 } as const
      const consumer = await client.consumer(topic, 's', options)
      const producer = await client.producer(topic)
      await producer.sendMany(numbered('m', 10))
      await consumer.take(10)
      const stats = await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.consumers[0]?.unackedMessages === 10
      )
      const [shown] = stats.consumers
      assert.equal(shown?.consumerName, 'seen')
      assert.deepEqual(shown.metadata, { team: 'red' })
      assert.equal(shown.msgOutCounter, 10)
      assert.deepEqual([stats.unackedMessages, stats.msgBacklog, stats.isDurable], [10, 10, true])
    }
  },
  {
    name: 'subscription-properties',
    proves:
      'subscription properties are kept with the subscription and shown by the admin API, also after a reconnect without them',
    feature: 'subscriptions',
    needs: ['subscription-properties'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { subscriptionProperties: { owner: 'me' } })
      assert.deepEqual((await c.admin.subscription(topic, 's')).subscriptionProperties, { owner: 'me' })
      await consumer.close()
      await client.consumer(topic, 's')
      assert.deepEqual((await c.admin.subscription(topic, 's')).subscriptionProperties, { owner: 'me' })
    }
  },
  {
    name: 'topics-list',
    proves: 'one consumer of several topics receives from all of them and tells which',
    feature: 'subscriptions',
    run: async c => {
      const topics = [c.topic(), c.topic(), c.topic()]
      const client = await c.client()
      const consumer = await client.consumer(topics, 's', { type: 'Shared' })
      for (const topic of topics) await (await client.producer(topic)).send(topic)
      const received = await consumer.take(3)
      assert.deepEqual(received.map(({ text }) => text).sort(), [...topics].sort())
      for (const message of received) assert.equal(message.fields.topic, message.text)
      await consumer.ack(...received)
      for (const topic of topics)
        await eventually(
          () => c.admin.subscription(topic, 's'),
          s => s.msgBacklog === 0
        )
    }
  }
]

const failoverRows: Row[] = [
  {
    name: 'failover-takes-over',
    proves:
      'one consumer of a Failover subscription is active; when it leaves the next gets all that was not acknowledged, in order',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const first = await one.consumer(topic, 's', { type: 'Failover', name: 'a' })
      const second = await two.consumer(topic, 's', { type: 'Failover', name: 'b' })
      const { activeConsumerName } = await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.consumers.length === 2
      )
      assert(activeConsumerName === 'a' || activeConsumerName === 'b', activeConsumerName)
      const [active, standby] = activeConsumerName === 'a' ? [first, second] : [second, first]
      const producer = await one.producer(topic)
      await producer.sendMany(numbered('m', 10))
      const received = await active.take(10)
      await active.ack(...received.slice(0, 4))
      await standby.nothing()
      await active.close()
      const rest = await standby.take(6)
      assert.deepEqual(
        rest.map(({ text }) => text),
        numbered('m', 10).slice(4)
      )
      assert.equal(rest[0]?.fields.redeliveryCount, 0, 'leaving is no redelivery')
    }
  },
  {
    name: 'failover-partitions',
    proves: 'the partitions of a Failover subscription are spread over its consumers',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      await c.admin.expect(204, 'PUT', `${topic.replace('://', '/')}/partitions`, 4)
      const [one, two] = [await c.client(), await c.client()]
      const consumers = [
        await one.consumer(topic, 's', { type: 'Failover', name: 'a' }),
        await two.consumer(topic, 's', { type: 'Failover', name: 'b' })
      ]
      for (const partition of [0, 1, 2, 3]) {
        // the later consumer takes its share after a moment
        await eventually(
          () => c.admin.subscription(`${topic}-partition-${partition}`, 's'),
          s => s.activeConsumerName === (partition % 2 === 0 ? 'a' : 'b')
        )
      }
      const producer = await one.producer(topic, { routing: 'RoundRobin' })
      for (const text of numbered('m', 40)) await producer.send({ data: text, key: text })
      const [a = [], b = []] = await Promise.all(consumers.map(consumer => consumer.drain(2_000)))
      assert.equal(a.length + b.length, 40)
      const partitionsOf = (messages: Message[]): number[] =>
        [...new Set(messages.map(({ id }) => id.partition))].sort()
      assert.deepEqual(
        [partitionsOf(a), partitionsOf(b)],
        [
          [0, 2],
          [1, 3]
        ]
      )
    }
  },
  {
    name: 'failover-active-events',
    proves: 'consumers of a Failover subscription are told who is active, and told again when that changes',
    feature: 'subscriptions',
    needs: ['active-events'],
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const options = { type: 'Failover', watchActive: true } as const
      const first = await one.consumer(topic, 's', { ...options, name: 'a' })
      assert.equal(await first.activeEvent(), true)
      await first.close()
      const second = await two.consumer(topic, 's', { ...options, name: 'b' })
      assert.equal(await second.activeEvent(), true)
      const third = await one.consumer(topic, 's', { ...options, name: 'c' })
      const { activeConsumerName } = await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.consumers.length === 2
      )
      const [active, standby] = activeConsumerName === 'b' ? [second, third] : [third, second]
      // one that joins may be told before its library is ready to listen; one that was active must be told
      if (standby === second) assert.equal(await standby.activeEvent(), false)
      await active.close()
      await eventually(
        () => standby.activeEvent(),
        isActive => isActive === true
      )
    }
  },
  {
    name: 'failover-priority',
    proves: 'the active consumer of a Failover subscription is one of the highest priority',
    feature: 'subscriptions',
    needs: ['priority'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const low = await client.consumer(topic, 's', { type: 'Failover', name: 'a', priority: 1 })
      const high = await client.consumer(topic, 's', { type: 'Failover', name: 'z', priority: 0 })
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.activeConsumerName === 'z'
      )
      const producer = await client.producer(topic)
      await producer.send('x')
      assert.deepEqual(await high.texts(1), ['x'])
      await low.nothing()
    }
  }
]

async function takeTurns(consumers: readonly Consumer[], total: number): Promise<Message[][]> {
  const taken = consumers.map((): Message[] => [])
  let count = 0
  const pump = async (consumer: Consumer, into: Message[]): Promise<void> => {
    while (count < total) {
      const message = await consumer.maybe(500)
      if (message === undefined) continue
      into.push(message)
      count++
      await consumer.ack(message)
    }
  }
  await Promise.all(consumers.map((consumer, i) => pump(consumer, taken[i] ?? [])))
  return taken
}

async function sharedLeaves(c: Context): Promise<void> {
  const topic = c.topic()
  const [one, two] = [await c.client(), await c.client()]
  const leaver = await one.consumer(topic, 's', { type: 'Shared', queueSize: 100 })
  const producer = await one.producer(topic)
  await producer.sendMany(numbered('m', 10))
  const taken = await leaver.take(10)
  await leaver.ack(...taken.slice(0, 3))
  const stayer = await two.consumer(topic, 's', { type: 'Shared' })
  await leaver.close()
  const rest = await stayer.take(7)
  assert.deepEqual(
    rest.map(({ text }) => text),
    numbered('m', 10).slice(3)
  )
  assert.deepEqual(
    rest.map(({ fields }) => fields.redeliveryCount),
    Array<number>(7).fill(0)
  )
}

const sharedRows: Row[] = [
  {
    name: 'shared-spreads',
    proves: 'the consumers of a Shared subscription share the messages: each gets some, each message goes to one',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const options = { type: 'Shared', queueSize: 5 } as const
      const consumers = [await one.consumer(topic, 's', options), await two.consumer(topic, 's', options)]
      const producer = await one.producer(topic)
      await producer.sendMany(numbered('m', 100))
      const taken = await takeTurns(consumers, 100)
      assert.deepEqual(
        taken
          .flat()
          .map(({ text }) => text)
          .sort(),
        numbered('m', 100).sort()
      )
      for (const mine of taken) assert(mine.length >= 10, `one of them got ${mine.length} of 100`)
    }
  },
  {
    name: 'shared-permits',
    proves: 'a consumer that does not read gets no more than it asked for; the rest goes to the others',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const idle = await one.consumer(topic, 's', { type: 'Shared', queueSize: 5 })
      const busy = await two.consumer(topic, 's', { type: 'Shared', queueSize: 100 })
      const producer = await one.producer(topic)
      await producer.sendMany(numbered('m', 60))
      const taken = await busy.drain(1_500)
      await busy.ack(...taken)
      const left = await idle.drain(1_000)
      assert.equal(new Set([...taken, ...left].map(({ text }) => text)).size, 60)
      // a library may ask for as much again while the first lot waits for the application
      assert(left.length >= 5 && left.length <= 12, `the idle one was given ${left.length}`)
    }
  },
  {
    name: 'shared-consumer-leaves',
    proves:
      'what a leaving consumer had not acknowledged goes to the others, in order, and its redelivery count stays 0',
    feature: 'subscriptions',
    run: sharedLeaves
  },
  {
    name: 'shared-priority',
    proves: 'on a Shared subscription a lower priority gets messages only when the higher has no permits left',
    feature: 'subscriptions',
    needs: ['priority'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const high = await client.consumer(topic, 's', { type: 'Shared', priority: 0, queueSize: 10 })
      const low = await client.consumer(topic, 's', { type: 'Shared', priority: 1, queueSize: 100 })
      const producer = await client.producer(topic)
      for (const text of numbered('m', 10)) await producer.send(text)
      assert.deepEqual(await high.texts(10), numbered('m', 10))
      await low.nothing()
    }
  },
  {
    name: 'unsubscribe',
    proves: 'unsubscribe removes the subscription and its backlog; the same name is a new subscription',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { position: 'Earliest' })
      const producer = await client.producer(topic)
      await producer.send('before')
      await consumer.unsubscribe()
      assert.equal((await c.admin.stats(topic)).subscriptions.s, undefined)
      const again = await client.consumer(topic, 's')
      await producer.send('after')
      assert.deepEqual(await again.texts(1), ['after'])
    }
  },
  {
    name: 'unsubscribe-busy',
    proves: 'unsubscribe is refused while another consumer uses the subscription, which stays',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client(SHORT)
      const one = await client.consumer(topic, 's', { type: 'Shared' })
      await client.consumer(topic, 's', { type: 'Shared' })
      await refused(one.unsubscribe(), 'ConsumerBusy', 'MetadataError', 'UnknownError', 'PulsarClient')
      assert((await c.admin.stats(topic)).subscriptions.s !== undefined)
    }
  }
]

export const subscriptionRows: readonly Row[] = [...TYPES.map(basics), ...generalRows, ...failoverRows, ...sharedRows]
