// Non-persistent topics; what is switched off; and brokers that are configured otherwise than by default.
import { strict as assert } from 'node:assert'
import type { Client, SubscriptionType } from '../client.ts'
import type { Forwarder } from '../forwarder.ts'
import { topicPath } from '../http.ts'
import { eventually, numbered, refused, type Context, type Row } from '../row.ts'

const SHORT = { operationTimeoutMs: 5_000 }
const TYPES: readonly SubscriptionType[] = ['Exclusive', 'Failover', 'Shared', 'Key_Shared']

const nonPersistentRows: Row[] = [
  ...TYPES.map((type): Row => ({
    name: `non-persistent-${type.toLowerCase().replace('_', '-')}`,
    proves: `a non-persistent topic delivers to the connected consumer of a ${type} subscription`,
    feature: 'non-persistent',
    run: async c => {
      const topic = c.topic('non-persistent')
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type })
      const producer = await client.producer(topic)
      // one by one: a non-persistent topic drops what finds no permit
      for (const text of numbered('m', 10)) {
        await producer.send({ data: text, key: text })
        const message = await consumer.receive()
        assert.equal(message.text, text)
        assert.equal(message.fields.topic, topic)
        // no acknowledgement: all ids are alike here, and Go would take the next message for one that it acknowledged
      }
    }
  })),
  {
    name: 'non-persistent-stores-nothing',
    proves: 'a non-persistent topic keeps nothing: who comes later has missed it, and backlog and storage stay zero',
    feature: 'non-persistent',
    run: async c => {
      const topic = c.topic('non-persistent')
      const client = await c.client()
      const producer = await client.producer(topic)
      await producer.sendMany(numbered('lost', 10))
      const consumer = await client.consumer(topic, 's', { position: 'Earliest' })
      await producer.send('seen')
      assert.deepEqual(await consumer.texts(1), ['seen'])
      const stats = await c.admin.stats(topic)
      assert.equal(stats.storageSize, 0)
      assert.equal(stats.subscriptions.s?.msgBacklog, 0)
    }
  },
  {
    name: 'non-persistent-two-subscriptions',
    proves: 'every subscription of a non-persistent topic gets what is published while it is connected',
    feature: 'non-persistent',
    run: async c => {
      const topic = c.topic('non-persistent')
      const client = await c.client()
      const consumers = [await client.consumer(topic, 'a'), await client.consumer(topic, 'b', { type: 'Shared' })]
      await (await client.producer(topic)).send('x')
      for (const consumer of consumers) assert.deepEqual(await consumer.texts(1), ['x'])
    }
  },
  {
    name: 'non-persistent-slow-consumer',
    proves: 'a consumer without permits loses messages, and the producer is not held up by it',
    feature: 'non-persistent',
    run: async c => {
      const topic = c.topic('non-persistent')
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { queueSize: 5 })
      const producer = await client.producer(topic)
      await producer.sendMany(numbered('m', 200))
      const received = await consumer.drain(1_000)
      assert(received.length >= 5 && received.length < 200, `${received.length} of 200 came`)
    }
  },
  {
    name: 'non-persistent-drops-shown',
    proves: 'what a non-persistent topic drops shows as the drop rate of the subscription that missed it',
    feature: 'non-persistent',
    run: async c => {
      const topic = c.topic('non-persistent')
      const client = await c.client()
      await client.consumer(topic, 'slow', { queueSize: 1 })
      const quick = await client.consumer(topic, 'quick')
      const producer = await client.producer(topic)
      const { subscriptions } = await eventually(
        async () => {
          await producer.sendMany(numbered('m', 2)) // few enough for the quick one's queue
          return await c.admin.stats(topic)
        },
        stats => (stats.subscriptions.slow?.msgDropRate ?? 0) > 0
      )
      assert.equal(subscriptions.quick?.msgDropRate, 0)
      assert.equal((await quick.receive()).text, 'm-0')
    }
  },
  {
    name: 'non-persistent-partitioned',
    proves: 'a non-persistent topic can be partitioned',
    feature: 'non-persistent',
    run: async c => {
      const topic = c.topic('non-persistent')
      await c.admin.expect(204, 'PUT', `${topicPath(topic)}/partitions`, 2)
      const client = await c.client()
      assert.equal((await client.partitions(topic)).length, 2)
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      for (const text of numbered('m', 6)) await producer.send({ data: text, key: text })
      assert.deepEqual((await consumer.texts(6)).sort(), numbered('m', 6))
    }
  }
]

const switchedOffRows: Row[] = [
  {
    name: 'transactions-off',
    proves: 'a transaction is refused while the broker has no coordinator, and plain publishing goes on',
    feature: 'switched-off',
    needs: ['transactions'],
    run: async c => {
      await refused(
        c.client({ ...SHORT, transactions: true }).then(client => client.beginTransaction()),
        'NotAllowedError',
        'TransactionCoordinatorNotFound',
        // what the libraries make of a coordinator topic without partitions
        'TransactionCoordinatorClient',
        'TransactionCoordinatorNotEnabled'
      )
      const topic = c.topic()
      await (await (await c.client()).producer(topic)).send('plain')
    }
  },
  {
    name: 'delayed-off',
    proves: 'with delayed delivery off a delayed message arrives at once',
    feature: 'switched-off',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type: 'Shared' })
      await (await client.producer(topic)).send({ data: 'at once', deliverAfterMs: 600_000 })
      assert.deepEqual(await consumer.texts(1), ['at once'])
    }
  },
  {
    name: 'entry-metadata-off',
    proves: 'by default messages come without broker entry metadata',
    feature: 'entry-metadata',
    needs: ['entry-metadata'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).send('x')
      const { fields } = await consumer.receive()
      assert.deepEqual([fields.index, fields.brokerPublishTime], [undefined, undefined])
    }
  }
]

/** Publishes and consumes, and proves by cutting it that all went through the forwarder. */
async function goesThrough(c: Context, forwarder: Forwarder, client: Client): Promise<void> {
  const topic = c.topic()
  await c.admin.expect(204, 'PUT', topicPath(topic))
  const consumer = await client.consumer(topic, 's')
  await (await client.producer(topic)).send('x')
  assert.deepEqual(await consumer.texts(1), ['x'])
  assert.equal((await c.admin.stats(topic)).publishers.length, 1)
  await forwarder.close()
  await eventually(
    async () => {
      const { publishers, subscriptions } = await c.admin.stats(topic)
      return { producers: publishers.length, consumers: subscriptions.s?.consumers.length }
    },
    ({ producers, consumers }) => producers === 0 && consumers === 0
  )
}

const mappedRows: Row[] = [
  {
    name: 'mapped-port',
    proves: 'without any setting, a client that comes by a mapped port and another host name goes on by that way',
    feature: 'listeners',
    run: async c => {
      const forwarder = await c.forwarder('any')
      await goesThrough(c, forwarder, await c.client(SHORT, forwarder.url))
    }
  },
  {
    name: 'advertised-mapped-port',
    proves: 'a listener may advertise a mapped port: clients that name it never connect to another',
    feature: 'listeners',
    profile: 'tuned',
    needs: ['listener-name'],
    beyond: 'an Apache Pulsar standalone sends every client back the way it came, whatever listener it names',
    run: async c => {
      const forwarder = await c.forwarder('advertised')
      await goesThrough(c, forwarder, await c.client({ ...SHORT, listenerName: 'mapped' }))
    }
  }
]

const tunedRows: Row[] = [
  {
    name: 'entry-metadata-index',
    proves:
      'with the interceptors on, messages have an index that counts messages, batched or not, and the broker’s time',
    feature: 'entry-metadata',
    profile: 'tuned',
    needs: ['entry-metadata'],
    run: async c => {
      const topic = c.topic()
      await c.admin.expect(204, 'PUT', topicPath(topic))
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const before = Date.now()
      await (await client.producer(topic)).sendMany(['a', 'b'])
      await (
        await client.producer(topic, { batching: { maxMessages: 3, maxDelayMs: 2_000 } })
      ).sendMany(['c', 'd', 'e'])
      const received = await consumer.take(5)
      assert.deepEqual(
        received.map(({ fields }) => fields.index),
        [0, 1, 2, 3, 4]
      )
      for (const { fields } of received) assert((fields.brokerPublishTime ?? 0) >= before - 5_000)
    }
  },
  {
    name: 'entry-metadata-survives-unload',
    proves: 'the index goes on where it was after an unload',
    feature: 'entry-metadata',
    profile: 'tuned',
    needs: ['entry-metadata'],
    run: async c => {
      const topic = c.topic()
      await c.admin.expect(204, 'PUT', topicPath(topic))
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).sendMany(['a', 'b', 'c'])
      await c.admin.expect(204, 'PUT', `${topicPath(topic)}/unload`)
      await (await client.producer(topic)).send('d')
      const received = await consumer.drain(2_000)
      assert.deepEqual(received.find(({ text }) => text === 'd')?.fields.index, 3)
    }
  },
  {
    name: 'entry-metadata-transparent',
    proves: 'stored broker entry metadata disturbs no client, whether or not it knows of it',
    feature: 'entry-metadata',
    profile: 'tuned',
    run: async c => {
      const topic = c.topic()
      await c.admin.expect(204, 'PUT', topicPath(topic))
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (
        await client.producer(topic, { compression: 'LZ4', batching: { maxMessages: 5, maxDelayMs: 1_000 } })
      ).sendMany(numbered('m', 10))
      assert.deepEqual(await consumer.texts(10), numbered('m', 10))
      const reader = await client.reader(topic, { start: 'earliest' })
      assert.deepEqual(await reader.texts(10), numbered('m', 10))
    }
  },
  {
    name: 'auto-create-partitioned',
    proves:
      'with allowAutoTopicCreationType=partitioned a topic that is used first has the default number of partitions',
    feature: 'partitions',
    profile: 'tuned',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      for (const text of numbered('m', 9)) await producer.send({ data: text, key: text })
      const received = await consumer.take(9)
      assert.deepEqual([...new Set(received.map(({ id }) => id.partition))].sort(), [0, 1, 2])
      assert.deepEqual(
        await client.partitions(topic),
        [0, 1, 2].map(index => `${topic}-partition-${index}`)
      )
      const { partitions } = await c.admin.get<{ partitions: number }>(`${topicPath(topic)}/partitions`)
      assert.equal(partitions, 3)
    }
  },
  {
    name: 'advertised-listener',
    proves: 'a client that names a listener is sent to that listener’s address; without a name, to the internal one’s',
    feature: 'listeners',
    profile: 'tuned',
    needs: ['listener-name'],
    run: async c => {
      const topic = c.topic()
      const named = await c.client({ listenerName: 'outside' })
      const consumer = await named.consumer(topic, 's')
      await (await (await c.client()).producer(topic)).send('x')
      assert.deepEqual(await consumer.texts(1), ['x'])
    }
  },
  {
    name: 'advertised-listener-lookup',
    proves: 'HTTP lookup answers the address of the listener that is asked for',
    feature: 'listeners',
    profile: 'tuned',
    once: true,
    run: async c => {
      const topic = c.topic()
      await c.admin.expect(204, 'PUT', topicPath(topic))
      const asked = `/lookup/v2/topic/${topicPath(topic)}?listenerName=`
      const outside = await c.admin.get<{ brokerUrl: string }>(`${asked}outside`)
      assert.match(outside.brokerUrl, /^pulsar:\/\/localhost:/)
      const inside = await c.admin.get<{ brokerUrl: string }>(`${asked}inside`)
      assert.match(inside.brokerUrl, /^pulsar:\/\/127\.0\.0\.1:/)
    }
  }
]

const strictRows: Row[] = [
  {
    name: 'no-auto-topic',
    proves: 'with allowAutoTopicCreation=false an unknown topic is refused with TopicNotFound; a created one works',
    feature: 'topics',
    profile: 'strict',
    run: async c => {
      const topic = c.topic()
      const client = await c.client(SHORT)
      await refused(client.producer(topic), 'TopicNotFound')
      await refused(client.consumer(topic, 's'), 'TopicNotFound')
      await c.admin.expect(204, 'PUT', topicPath(topic))
      await (await client.producer(topic)).send('x')
    }
  },
  {
    name: 'no-auto-subscription',
    proves:
      'with allowAutoSubscriptionCreation=false an unknown subscription is refused, one made by the admin API works',
    feature: 'subscriptions',
    profile: 'strict',
    run: async c => {
      const topic = c.topic()
      await c.admin.expect(204, 'PUT', topicPath(topic))
      const client = await c.client(SHORT)
      await refused(client.consumer(topic, 's'), 'SubscriptionNotFound', 'Timeout')
      await c.admin.expect(204, 'PUT', `${topicPath(topic)}/subscription/s`)
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).send('x')
      assert.deepEqual(await consumer.texts(1), ['x'])
    }
  }
]

export const specialRows: readonly Row[] = [
  ...nonPersistentRows,
  ...switchedOffRows,
  ...mappedRows,
  ...tunedRows,
  ...strictRows
]
