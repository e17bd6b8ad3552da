// Producers as the broker knows them: names and access modes.
import { strict as assert } from 'node:assert'
import { eventually, refused, type Row } from '../row.ts'

const nameRows: Row[] = [
  {
    name: 'unnamed-producers',
    proves: 'producers without a name get different ones from the broker',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const producers = [await one.producer(topic), await one.producer(topic), await two.producer(topic)]
      const names = producers.map(({ name }) => name)
      assert.equal(new Set(names).size, 3, names.join())
      for (const name of names) assert(name.length > 0)
    }
  },
  {
    name: 'named-producer-duplicate',
    proves:
      'a name in use is refused with ProducerBusy, from the same and from another connection, and is free after close',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client({ operationTimeoutMs: 5_000 }), await c.client({ operationTimeoutMs: 5_000 })]
      const first = await one.producer(topic, { name: 'mine' })
      assert.equal(first.name, 'mine')
      await refused(one.producer(topic, { name: 'mine' }), 'ProducerBusy')
      await refused(two.producer(topic, { name: 'mine' }), 'ProducerBusy')
      await first.send('still mine')
      await first.close()
      const second = await two.producer(topic, { name: 'mine' })
      await second.send('mine again')
    }
  },
  {
    name: 'named-producer-two-topics',
    proves: 'a producer name belongs to its topic: another topic may have it too',
    feature: 'producers',
    run: async c => {
      const client = await c.client()
      const one = await client.producer(c.topic(), { name: 'shared-name' })
      const two = await client.producer(c.topic(), { name: 'shared-name' })
      await one.send('a')
      await two.send('b')
    }
  },
  {
    name: 'producer-in-stats',
    proves:
      'a connected producer, its name and its properties show in the stats of the topic, and are gone after close',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const producer = await client.producer(topic, { name: 'seen', properties: { team: 'blue' } })
      await producer.send('x')
      const { publishers } = await eventually(
        () => c.admin.stats(topic),
        stats => stats.msgInCounter === 1
      )
      assert.deepEqual(
        publishers.map(({ producerName, accessMode }) => [producerName, accessMode]),
        [['seen', 'Shared']]
      )
      assert.deepEqual(publishers[0]?.metadata, { team: 'blue' })
      await producer.close()
      assert.deepEqual((await c.admin.stats(topic)).publishers, [])
    }
  }
]

const accessRows: Row[] = [
  {
    name: 'access-exclusive',
    proves: 'an Exclusive producer keeps out every other: ProducerFenced for Exclusive, ProducerBusy for Shared',
    feature: 'producers',
    needs: ['access-modes'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client({ operationTimeoutMs: 5_000 })
      const first = await client.producer(topic, { accessMode: 'Exclusive' })
      await refused(client.producer(topic, { accessMode: 'Exclusive' }), 'ProducerFenced')
      await refused(client.producer(topic), 'ProducerBusy')
      await first.send('alone')
      await first.close()
      await (await client.producer(topic)).send('open again')
    }
  },
  {
    name: 'access-exclusive-late',
    proves: 'Exclusive is refused with ProducerFenced while a Shared producer is connected',
    feature: 'producers',
    needs: ['access-modes'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client({ operationTimeoutMs: 5_000 })
      const shared = await client.producer(topic)
      await refused(client.producer(topic, { accessMode: 'Exclusive' }), 'ProducerFenced')
      await shared.send('undisturbed')
    }
  },
  {
    name: 'access-wait-for-exclusive',
    proves: 'a waiting producer becomes ready when the exclusive one leaves, and not before',
    feature: 'producers',
    needs: ['access-modes'],
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const consumer = await one.consumer(topic, 's')
      const first = await one.producer(topic, { accessMode: 'Exclusive' })
      const order: string[] = []
      const waiting = two.producer(topic, { accessMode: 'WaitForExclusive' }).then(producer => {
        order.push('second ready')
        return producer
      })
      await first.send('first')
      await first.send('first again')
      order.push('first leaves')
      await first.close()
      const second = await waiting
      await second.send('second')
      assert.deepEqual(order, ['first leaves', 'second ready'])
      assert.deepEqual(await consumer.texts(3), ['first', 'first again', 'second'])
    }
  },
  {
    name: 'access-wait-ready-at-once',
    proves: 'WaitForExclusive on a topic without producers is ready at once',
    feature: 'producers',
    needs: ['access-modes'],
    run: async c => {
      const client = await c.client()
      const producer = await client.producer(c.topic(), { accessMode: 'WaitForExclusive' })
      await producer.send('ready')
    }
  },
  {
    name: 'access-fencing',
    proves: 'ExclusiveWithFencing takes the topic over: the one before can send no more and is told ProducerFenced',
    feature: 'producers',
    needs: ['access-modes', 'fencing'],
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client({ operationTimeoutMs: 5_000 }), await c.client({ operationTimeoutMs: 5_000 })]
      const consumer = await one.consumer(topic, 's')
      const first = await one.producer(topic, { accessMode: 'Exclusive', sendTimeoutMs: 5_000 })
      await first.send('before')
      const second = await two.producer(topic, { accessMode: 'ExclusiveWithFencing' })
      await second.send('after')
      await refused(first.send('never'), 'ProducerFenced', 'AlreadyClosed')
      await refused(one.producer(topic, { accessMode: 'Exclusive' }), 'ProducerFenced')
      await second.send('last')
      assert.deepEqual(await consumer.texts(3), ['before', 'after', 'last'])
    }
  }
]

export const producerRows: readonly Row[] = [...nameRows, ...accessRows]
