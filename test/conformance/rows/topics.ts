// Topics: names, partitions, patterns, and what happens to clients while a topic is unloaded, terminated or deleted.
import { strict as assert } from 'node:assert'
import { compareIds } from './publishing.ts'
import { topicPath } from '../http.ts'
import { eventually, numbered, refused, type Context, type Row } from '../row.ts'

const SHORT = { operationTimeoutMs: 5_000 }

const nameRows: Row[] = [
  {
    name: 'topic-short-name',
    proves: 'a short name, tenant/namespace/name and the full name are one topic',
    feature: 'topics',
    run: async c => {
      const short = c.unique()
      const client = await c.client()
      const consumer = await client.consumer(`persistent://public/default/${short}`, 's', { type: 'Shared' })
      for (const name of [short, `public/default/${short}`, `persistent://public/default/${short}`]) {
        await (await client.producer(name)).send(name)
      }
      assert.equal((await consumer.texts(3)).length, 3)
    }
  },
  {
    name: 'topic-invalid-names',
    proves: 'names that are none are refused with InvalidTopicName',
    feature: 'topics',
    run: async c => {
      const client = await c.client(SHORT)
      for (const name of ['persistent://public/default', 'persistent://public', 'wrong://public/default/x', 'a/b']) {
        await refused(client.producer(name), 'InvalidTopicName', 'InvalidConfiguration')
        await refused(client.consumer(name, 's'), 'InvalidTopicName', 'InvalidConfiguration')
      }
    }
  },
  {
    name: 'topic-odd-names',
    proves: 'a topic’s local name may hold spaces, percent signs and any letters, over the wire and in admin paths',
    feature: 'topics',
    run: async c => {
      const topic = `persistent://public/default/${c.unique()} a%20b:Ω@#`
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).send('x')
      const message = await consumer.receive()
      assert.deepEqual([message.text, message.fields.topic], ['x', topic])
      assert.equal((await c.admin.stats(topic)).msgInCounter, 1)
    }
  },
  {
    name: 'topic-no-namespace',
    proves: 'a topic in a namespace or tenant that does not exist is refused with TopicNotFound',
    feature: 'topics',
    run: async c => {
      const client = await c.client(SHORT)
      for (const name of [`persistent://public/${c.unique()}/x`, `persistent://${c.unique()}/default/x`]) {
        await refused(client.producer(name), 'TopicNotFound')
        await refused(client.consumer(name, 's'), 'TopicNotFound')
      }
    }
  },
  {
    name: 'http-service-url',
    proves: 'a client with an http:// service URL looks up over HTTP and then works the same',
    feature: 'lookup',
    run: async c => {
      const topic = c.topic()
      const client = await c.client({}, c.webUrl)
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).sendMany(numbered('m', 5))
      assert.deepEqual(await consumer.texts(5), numbered('m', 5))
    }
  },
  {
    name: 'http-partitioned-lookup',
    proves: 'an http:// client learns the partitions of a topic',
    feature: 'lookup',
    run: async c => {
      const topic = await partitioned(c, 3)
      const client = await c.client({}, c.webUrl)
      assert.deepEqual(
        await client.partitions(topic),
        [0, 1, 2].map(index => `${topic}-partition-${index}`)
      )
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      for (const text of numbered('m', 9)) await producer.send({ data: text, key: text })
      assert.equal((await consumer.texts(9)).length, 9)
    }
  }
]

async function partitioned(c: Context, count: number): Promise<string> {
  const topic = c.topic()
  await c.admin.expect(204, 'PUT', `${topicPath(topic)}/partitions`, count)
  return topic
}

const partitionRows: Row[] = [
  {
    name: 'partitions-metadata',
    proves: 'a client learns a topic’s partitions; a topic that is not partitioned is its own only one',
    feature: 'partitions',
    run: async c => {
      const client = await c.client()
      const topic = await partitioned(c, 3)
      assert.deepEqual(
        await client.partitions(topic),
        [0, 1, 2].map(index => `${topic}-partition-${index}`)
      )
      const plain = c.topic()
      await (await client.producer(plain)).send('x')
      assert.deepEqual(await client.partitions(plain), [plain])
    }
  },
  {
    name: 'partitions-keys',
    proves:
      'messages of one key stay in one partition and in order; the consumer of the whole topic gets all partitions’',
    feature: 'partitions',
    run: async c => {
      const topic = await partitioned(c, 4)
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      const keys = numbered('key', 12)
      for (const round of ['0', '1', '2']) await producer.sendMany(keys.map(key => ({ data: round, key })))
      const received = await consumer.take(36)
      for (const key of keys) {
        const mine = received.filter(({ fields }) => fields.key === key)
        assert.deepEqual(
          mine.map(({ text }) => text),
          ['0', '1', '2']
        )
        assert.equal(new Set(mine.map(({ id }) => id.partition)).size, 1)
      }
      assert(new Set(received.map(({ id }) => id.partition)).size > 1, 'all keys in one partition')
      await consumer.ack(...received)
      for (const index of [0, 1, 2, 3]) {
        await eventually(
          () => c.admin.subscription(`${topic}-partition-${index}`, 's'),
          s => s.msgBacklog === 0
        )
      }
    }
  },
  {
    name: 'partitions-one-alone',
    proves: 'a partition can be used under its own name, and its messages tell its number',
    feature: 'partitions',
    run: async c => {
      const topic = await partitioned(c, 3)
      const client = await c.client()
      const whole = await client.consumer(topic, 'whole')
      const one = await client.consumer(`${topic}-partition-1`, 'one')
      await (await client.producer(`${topic}-partition-1`)).send('x')
      assert.equal((await whole.receive()).id.partition, 1)
      const message = await one.receive()
      assert.deepEqual([message.text, message.fields.topic], ['x', `${topic}-partition-1`])
    }
  },
  {
    name: 'partitions-no-such',
    proves: 'a partition past the last is refused, not created',
    feature: 'partitions',
    run: async c => {
      const topic = await partitioned(c, 2)
      const client = await c.client(SHORT)
      await refused(client.producer(`${topic}-partition-7`), 'NotAllowedError', 'TopicNotFound')
      await refused(client.consumer(`${topic}-partition-7`, 's'), 'NotAllowedError', 'TopicNotFound')
    }
  },
  {
    name: 'partitions-single-routing',
    proves: 'a producer with single-partition routing keeps to one partition',
    feature: 'partitions',
    run: async c => {
      const topic = await partitioned(c, 4)
      const client = await c.client()
      const producer = await client.producer(topic, { routing: 'Single' })
      const receipts = await producer.sendMany(numbered('m', 20))
      assert.equal(new Set(receipts.map(({ id }) => id.partition)).size, 1)
    }
  },
  {
    name: 'partitions-grow',
    proves: 'after partitions are added a new client sees them; fewer is refused',
    feature: 'partitions',
    run: async c => {
      const topic = await partitioned(c, 2)
      await c.admin.expect(204, 'POST', `${topicPath(topic)}/partitions`, 5)
      const client = await c.client()
      assert.equal((await client.partitions(topic)).length, 5)
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(`${topic}-partition-4`)).send('x')
      assert.equal((await consumer.receive()).id.partition, 4)
    }
  }
]

async function patterned(c: Context, late: boolean): Promise<void> {
  const namespace = await c.namespace()
  const client = await c.client()
  const topic = (name: string): string => `persistent://${namespace}/${name}`
  for (const name of ['in-1', 'in-2', 'out-1']) await (await client.producer(topic(name))).send(`early ${name}`)
  const pattern = topic('in-.*')
  const consumer = await client.consumer({ pattern }, 's', { type: 'Shared', position: 'Earliest', discoveryMs: 1_000 })
  assert.deepEqual((await consumer.texts(2)).sort(), ['early in-1', 'early in-2'])
  if (late) {
    await (await client.producer(topic('out-2'))).send('not for us')
    await (await client.producer(topic('in-3'))).send('late in-3')
    const message = await consumer.receive(40_000)
    assert.deepEqual([message.text, message.fields.topic], ['late in-3', topic('in-3')])
  }
  await (await client.producer(topic('in-1'))).send('again in-1')
  assert.deepEqual(await consumer.texts(1), ['again in-1'])
}

const patternRows: Row[] = [
  {
    name: 'pattern-subscription',
    proves: 'a pattern subscription has the matching topics of the namespace, and no others',
    feature: 'patterns',
    needs: ['pattern'],
    run: c => patterned(c, false)
  },
  {
    name: 'pattern-later-topic',
    proves: 'a pattern subscription takes in a matching topic that is created later, and no others',
    feature: 'patterns',
    needs: ['pattern', 'pattern-discovery'],
    run: c => patterned(c, true)
  },
  {
    name: 'pattern-partitioned',
    proves: 'a pattern matches a partitioned topic by its own name, and brings all of its partitions',
    feature: 'patterns',
    needs: ['pattern'],
    run: async c => {
      const namespace = await c.namespace()
      await c.admin.expect(204, 'PUT', `persistent/${namespace}/in-parts/partitions`, 3)
      const client = await c.client()
      const consumer = await client.consumer({ pattern: `persistent://${namespace}/in-.*` }, 's', { type: 'Shared' })
      const producer = await client.producer(`persistent://${namespace}/in-parts`)
      for (const text of numbered('m', 9)) await producer.send({ data: text, key: text })
      assert.deepEqual((await consumer.texts(9)).sort(), numbered('m', 9))
    }
  },
  {
    name: 'pattern-nothing-yet',
    proves: 'a pattern that matches nothing yet waits for what comes',
    feature: 'patterns',
    needs: ['pattern', 'pattern-discovery'],
    run: async c => {
      const namespace = await c.namespace()
      const client = await c.client()
      const options = { type: 'Shared', position: 'Earliest', discoveryMs: 1_000 } as const
      const consumer = await client.consumer({ pattern: `persistent://${namespace}/in-.*` }, 's', options)
      await (await client.producer(`persistent://${namespace}/in-1`)).send('x')
      assert.equal((await consumer.receive(40_000)).text, 'x')
    }
  }
]

async function unloadUnderLoad(c: Context, path: (topic: string) => string): Promise<void> {
  const topic = c.topic()
  const [one, two] = [await c.client(), await c.client()]
  const consumer = await one.consumer(topic, 's')
  const producer = await two.producer(topic)
  const sent = numbered('m', 200)
  await producer.sendMany(sent.slice(0, 50))
  const sending = producer.sendMany(sent.slice(50))
  await c.admin.expect(204, 'PUT', path(topic))
  const receipts = await sending
  for (let i = 1; i < receipts.length; i++) {
    const [before, after] = [receipts[i - 1], receipts[i]]
    assert(before !== undefined && after !== undefined && compareIds(before.id, after.id) < 0, 'receipts out of order')
  }
  const seen: string[] = []
  while (!seen.includes('m-199')) {
    const message = await consumer.receive()
    // what was delivered but not acknowledged before the unload comes again
    if (!seen.includes(message.text)) seen.push(message.text)
    await consumer.ack(message)
  }
  assert.deepEqual(seen, sent)
}

const lifeRows: Row[] = [
  {
    name: 'backlog-survives',
    proves: 'what was published while nobody was connected waits for the subscription, across an unload',
    feature: 'topics',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      await (await client.consumer(topic, 's')).close()
      const producer = await client.producer(topic)
      await producer.sendMany(numbered('m', 20))
      await producer.close()
      await c.admin.expect(204, 'PUT', `${topicPath(topic)}/unload`)
      const consumer = await (await c.client()).consumer(topic, 's')
      assert.deepEqual(await consumer.texts(20), numbered('m', 20))
    }
  },
  {
    name: 'unload-under-load',
    proves:
      'producer and consumer go through the unload of their topic by themselves: nothing lost, receipts and messages in order',
    feature: 'topics',
    run: c => unloadUnderLoad(c, topic => `${topicPath(topic)}/unload`)
  },
  {
    name: 'unload-keeps-acks',
    proves: 'an unload keeps individual acknowledgements',
    feature: 'topics',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      await producer.sendMany(numbered('m', 10))
      await consumer.ack(...(await consumer.take(10)).filter((_, index) => ![0, 3, 8].includes(index)))
      await consumer.close()
      await c.admin.expect(204, 'PUT', `${topicPath(topic)}/unload`)
      const again = await client.consumer(topic, 's')
      assert.deepEqual(await again.texts(3), ['m-0', 'm-3', 'm-8'])
    }
  },
  {
    name: 'unload-keeps-batch-acks',
    proves: 'an unload keeps what was acknowledged inside of batches',
    feature: 'topics',
    beyond:
      'Apache Pulsar forgets acknowledgements inside of batches when a topic is unloaded; here an acknowledgement that was answered stays',
    needs: ['batch-index-ack'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { batchIndexAck: true })
      const producer = await client.producer(topic, { batching: { maxMessages: 10, maxDelayMs: 5_000 } })
      await producer.sendMany(numbered('whole', 10))
      await producer.sendMany(numbered('a', 10))
      await producer.sendMany(numbered('b', 10))
      const received = await consumer.take(30)
      await consumer.ack(...received.filter((_, index) => ![13, 14, 25].includes(index)))
      await consumer.close()
      await producer.close()
      await c.admin.expect(204, 'PUT', `${topicPath(topic)}/unload`)
      const again = await client.consumer(topic, 's', { batchIndexAck: true })
      assert.deepEqual(await again.texts(3), ['a-3', 'a-4', 'b-5'])
    }
  },
  {
    name: 'terminate',
    proves:
      'a terminated topic answers its last id, takes no message and no producer (TopicTerminated), and is read to its end',
    feature: 'topics',
    run: async c => {
      const topic = c.topic()
      const client = await c.client(SHORT)
      const producer = await client.producer(topic, { sendTimeoutMs: 10_000 })
      const receipts = await producer.sendMany(numbered('m', 3))
      const last = (await c.admin.expect(200, 'POST', `${topicPath(topic)}/terminate`)).json as Record<string, number>
      assert.deepEqual([last.ledgerId, last.entryId], [receipts[2]?.id.ledger, receipts[2]?.id.entry])
      await refused(producer.send('late'), 'TopicTerminated', 'AlreadyClosed')
      await refused(client.producer(topic), 'TopicTerminated')
      const reader = await client.reader(topic, { start: 'earliest' })
      assert.deepEqual(await reader.texts(3), numbered('m', 3))
      assert.equal(await reader.hasNext(), false)
    }
  },
  {
    name: 'end-of-topic',
    proves: 'a consumer learns that its topic ended once everything is acknowledged',
    feature: 'topics',
    needs: ['reached-end'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).sendMany(['a', 'b'])
      await c.admin.expect(200, 'POST', `${topicPath(topic)}/terminate`)
      const received = await consumer.take(2)
      assert.equal(await consumer.reachedEnd(), false)
      await consumer.ack(...received)
      await eventually(
        () => consumer.reachedEnd(),
        ended => ended
      )
    }
  },
  {
    name: 'delete-and-recreate',
    proves: 'a deleted topic comes back empty, without its subscriptions',
    feature: 'topics',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      await producer.send('old')
      await consumer.close()
      await producer.close()
      await c.admin.expect(204, 'DELETE', topicPath(topic))
      await c.admin.refused(404, /not found/i, 'GET', `${topicPath(topic)}/stats`)
      const again = await client.consumer(topic, 's', { position: 'Earliest' })
      await (await client.producer(topic)).send('new')
      assert.deepEqual(await again.texts(1), ['new'])
    }
  },
  {
    name: 'delete-in-use',
    proves: 'a topic with producers, consumers or subscriptions is deleted by force only (412 otherwise)',
    feature: 'topics',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const producer = await client.producer(topic)
      await c.admin.refused(412, /producers?/i, 'DELETE', topicPath(topic))
      await producer.close()
      const consumer = await client.consumer(topic, 's')
      await c.admin.refused(412, /consumers?|subscriptions?/i, 'DELETE', topicPath(topic))
      await consumer.close()
      await c.admin.expect(204, 'DELETE', `${topicPath(topic)}?force=true`)
      await c.admin.expect(404, 'GET', `${topicPath(topic)}/stats`)
    }
  }
]

export const topicRows: readonly Row[] = [...nameRows, ...partitionRows, ...patternRows, ...lifeRows]
