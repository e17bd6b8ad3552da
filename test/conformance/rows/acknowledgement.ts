// Acknowledging and its opposite: what comes again, when, and how it is counted.
import { strict as assert } from 'node:assert'
import type { Message } from '../client.ts'
import { eventually, numbered, refused, type Context, type Row } from '../row.ts'

const ONE_BATCH = { batching: { maxMessages: 10, maxDelayMs: 5_000 } }

const texts = (messages: readonly Message[]): string[] => messages.map(({ text }) => text)
const empty = ({ msgBacklog }: { msgBacklog: number }): boolean => msgBacklog === 0

async function partsOfBatch(c: Context, cumulative: boolean): Promise<void> {
  const topic = c.topic()
  const client = await c.client()
  const options = { batchIndexAck: true, position: 'Earliest' } as const
  const consumer = await client.consumer(topic, 's', options)
  await (await client.producer(topic, ONE_BATCH)).sendMany(numbered('m', 10))
  const received = await consumer.take(10)
  const fourth = received[4]
  assert(fourth !== undefined)
  if (cumulative) await consumer.ackCumulative(fourth)
  else await consumer.ack(...received.filter((_, index) => index % 2 === 0))
  await consumer.close()
  const again = await client.consumer(topic, 's', options)
  const rest = numbered('m', 10).filter((_, index) => (cumulative ? index > 4 : index % 2 === 1))
  const left = await again.take(5)
  assert.deepEqual(texts(left), rest)
  await again.ack(...left)
  await eventually(() => c.admin.subscription(topic, 's'), empty)
}

const ackRows: Row[] = [
  {
    name: 'ack-individual',
    proves: 'after a reconnect only what was not acknowledged comes again, in order',
    feature: 'acknowledgement',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).sendMany(numbered('m', 10))
      const received = await consumer.take(10)
      await consumer.ack(...received.filter((_, index) => [0, 3, 4, 8].includes(index)))
      await consumer.close()
      await client.close()
      const again = await (await c.client()).consumer(topic, 's')
      assert.deepEqual(await again.texts(6), ['m-1', 'm-2', 'm-5', 'm-6', 'm-7', 'm-9'])
    }
  },
  {
    name: 'ack-cumulative',
    proves: 'a cumulative acknowledgement covers everything before it',
    feature: 'acknowledgement',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).sendMany(numbered('m', 10))
      const received = await consumer.take(10)
      assert(received[6] !== undefined)
      await consumer.ackCumulative(received[6])
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.msgBacklog === 3
      )
      await consumer.close()
      const again = await client.consumer(topic, 's')
      assert.deepEqual(await again.texts(3), ['m-7', 'm-8', 'm-9'])
    }
  },
  {
    name: 'ack-parts-of-a-batch',
    proves: 'with batch-index acknowledgement, what was acknowledged inside a batch does not come again',
    feature: 'acknowledgement',
    needs: ['batch-index-ack'],
    run: c => partsOfBatch(c, false)
  },
  {
    name: 'ack-cumulative-inside-a-batch',
    proves: 'a cumulative acknowledgement inside a batch covers the batch up to that message',
    feature: 'acknowledgement',
    needs: ['batch-index-ack'],
    run: c => partsOfBatch(c, true)
  },
  {
    name: 'ack-whole-batch',
    proves: 'without batch-index acknowledgement a batch comes again whole until all of it is acknowledged, then never',
    feature: 'acknowledgement',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { batchIndexAck: false })
      await (await client.producer(topic, ONE_BATCH)).sendMany(numbered('m', 10))
      await consumer.ack(...(await consumer.take(10)).slice(0, 9))
      await consumer.close()
      const again = await client.consumer(topic, 's', { batchIndexAck: false })
      const received = await again.take(10)
      assert.deepEqual(texts(received), numbered('m', 10))
      await again.ack(...received)
      await eventually(() => c.admin.subscription(topic, 's'), empty)
    }
  },
  {
    name: 'ack-receipt',
    proves: 'an acknowledgement that asks for a receipt is answered when it counts: the backlog is empty at once',
    feature: 'acknowledgement',
    needs: ['ack-receipt'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type: 'Shared', ackReceipt: true })
      await (await client.producer(topic)).sendMany(numbered('m', 5))
      await consumer.ack(...(await consumer.take(5)))
      assert.equal((await c.admin.subscription(topic, 's')).msgBacklog, 0)
    }
  },
  {
    name: 'ack-list',
    proves: 'several ids in one acknowledgement count each',
    feature: 'acknowledgement',
    needs: ['ack-list'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type: 'Shared' })
      await (await client.producer(topic)).sendMany(numbered('m', 10))
      const received = await consumer.take(10)
      await consumer.ackList(received.filter((_, index) => index !== 5))
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.msgBacklog === 1
      )
      await consumer.close()
      assert.deepEqual(await (await client.consumer(topic, 's', { type: 'Shared' })).texts(1), ['m-5'])
    }
  },
  {
    name: 'ack-of-another',
    proves: 'a consumer of a Shared subscription may acknowledge what another one received',
    feature: 'acknowledgement',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const receiver = await client.consumer(topic, 's', { type: 'Shared' })
      await (await client.producer(topic)).sendMany(numbered('m', 4))
      const received = await receiver.take(4)
      const other = await (await c.client()).consumer(topic, 's', { type: 'Shared' })
      for (const { id } of received) await other.ackId(id)
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => empty(s) && s.unackedMessages === 0
      )
    }
  },
  {
    name: 'ack-twice',
    proves: 'an acknowledgement that is repeated changes nothing',
    feature: 'acknowledgement',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type: 'Shared' })
      await (await client.producer(topic)).sendMany(numbered('m', 3))
      const [first, second] = await consumer.take(3)
      assert(first !== undefined && second !== undefined)
      await consumer.ack(first)
      await consumer.ackId(first.id)
      await consumer.ack(second)
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.msgBacklog === 1
      )
      await consumer.close()
      assert.deepEqual(await (await client.consumer(topic, 's', { type: 'Shared' })).texts(1), ['m-2'])
    }
  },
  {
    name: 'ack-cumulative-on-shared',
    proves: 'cumulative acknowledgement is not for Shared subscriptions: the message stays',
    feature: 'acknowledgement',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type: 'Shared' })
      await (await client.producer(topic)).send('x')
      const message = await consumer.receive()
      await refused(consumer.ackCumulative(message), 'CumulativeAckNotAllowed', 'InvalidConfiguration', 'Unknown')
      await consumer.close()
      assert.deepEqual(await (await client.consumer(topic, 's', { type: 'Shared' })).texts(1), ['x'])
    }
  }
]

async function deadLetters(c: Context, named: boolean): Promise<void> {
  const topic = c.topic()
  const dead = named ? c.topic() : `${topic}-s-DLQ`
  const client = await c.client()
  const graves = await client.consumer(dead, 'undertaker', { type: 'Shared' })
  const deadLetter = named ? { maxRedeliveries: 2, topic: dead } : { maxRedeliveries: 2 }
  const consumer = await client.consumer(topic, 's', { type: 'Shared', nackDelayMs: 200, deadLetter })
  const producer = await client.producer(topic)
  await producer.send({ data: 'poison', key: 'k', properties: { mine: 'yes' } })
  await producer.send('good')
  const counts: number[] = []
  const buried = (async (): Promise<Message> => {
    for (;;) {
      const found = await graves.maybe(50)
      if (found !== undefined) return found
      const message = await consumer.maybe(100)
      if (message === undefined) continue
      if (message.text === 'good') await consumer.ack(message)
      else {
        counts.push(message.fields.redeliveryCount)
        await consumer.nack(message)
      }
    }
  })()
  const message = await buried
  assert.equal(message.text, 'poison')
  assert.equal(message.fields.properties.mine, 'yes')
  assert(counts.length >= 2, `it was tried ${counts.length} times`)
  assert.deepEqual(
    counts,
    counts.map((_, index) => index),
    'the count rises by one each time'
  )
  await eventually(() => c.admin.subscription(topic, 's'), empty)
}

async function countAndNack(c: Context, batched: boolean): Promise<void> {
  const topic = c.topic()
  const client = await c.client()
  // ten of a batch must be said no to within one delay, or it comes again in two goes
  const consumer = await client.consumer(topic, 's', { type: 'Shared', nackDelayMs: batched ? 2_000 : 300 })
  const producer = await client.producer(topic, batched ? ONE_BATCH : {})
  await producer.sendMany(numbered('m', 10))
  const received = await consumer.take(10)
  const [bad, ...good] = received
  assert(bad !== undefined)
  if (batched) await Promise.all(received.map(message => consumer.nack(message)))
  else {
    await consumer.ack(...good)
    await consumer.nack(bad)
  }
  const again = await consumer.take(batched ? 10 : 1)
  assert.deepEqual(texts(again), batched ? numbered('m', 10) : ['m-0'])
  for (const message of again) assert.equal(message.fields.redeliveryCount, 1)
  await consumer.ack(...again)
  await eventually(() => c.admin.subscription(topic, 's'), empty)
}

const redeliveryRows: Row[] = [
  {
    name: 'nack',
    proves: 'a negatively acknowledged message comes again, alone, with redelivery count 1',
    feature: 'redelivery',
    run: c => countAndNack(c, false)
  },
  {
    name: 'nack-batch',
    proves: 'a negatively acknowledged batch comes again whole, each of its messages with redelivery count 1',
    feature: 'redelivery',
    run: c => countAndNack(c, true)
  },
  {
    name: 'nack-exclusive',
    proves: 'on an Exclusive subscription a negative acknowledgement brings the message again too',
    feature: 'redelivery',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { nackDelayMs: 300 })
      await (await client.producer(topic)).sendMany(['a', 'b'])
      const [a, b] = await consumer.take(2)
      assert(a !== undefined && b !== undefined)
      await consumer.ack(a)
      await consumer.nack(b)
      assert.deepEqual(await consumer.texts(1), ['b'])
    }
  },
  {
    name: 'redeliver-all-exclusive',
    proves:
      'redelivery of everything rewinds to the first unacknowledged message, in order, and older deliveries are void',
    feature: 'redelivery',
    needs: ['redeliver-all'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).sendMany(numbered('m', 30))
      // all of them: libpulsar does not empty its queue when it asks for redelivery
      await consumer.ack(...(await consumer.take(30)).slice(0, 4))
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.msgBacklog === 26
      )
      await consumer.redeliver()
      assert.deepEqual(await consumer.texts(26), numbered('m', 30).slice(4))
      await consumer.nothing()
    }
  },
  {
    name: 'redeliver-all-shared',
    proves: 'redelivery of everything on a Shared subscription brings what this consumer holds, with a count of 1',
    feature: 'redelivery',
    needs: ['redeliver-all'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type: 'Shared' })
      await (await client.producer(topic)).sendMany(numbered('m', 10))
      const received = await consumer.take(10)
      await consumer.ack(...received.slice(0, 5))
      // the acknowledgements may wait in the client; the redelivery overtakes them
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.msgBacklog === 5
      )
      await consumer.redeliver()
      const again = await consumer.take(5)
      assert.deepEqual(texts(again).sort(), numbered('m', 10).slice(5))
      for (const message of again) assert.equal(message.fields.redeliveryCount, 1)
    }
  },
  {
    name: 'ack-timeout',
    proves: 'what is not acknowledged within the ack timeout comes again with a raised count',
    feature: 'redelivery',
    needs: ['ack-timeout'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      // ten seconds is the least that libpulsar takes
      const consumer = await client.consumer(topic, 's', { type: 'Shared', ackTimeoutMs: 10_000 })
      await (await client.producer(topic)).sendMany(['a', 'b'])
      const [a] = await consumer.take(2)
      assert(a !== undefined)
      await consumer.ack(a)
      const again = await consumer.receive(30_000)
      assert.deepEqual([again.text, again.fields.redeliveryCount], ['b', 1])
    }
  },
  {
    name: 'redelivery-count-forgotten',
    proves: 'the redelivery count is forgotten when the last consumer leaves',
    feature: 'redelivery',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { type: 'Shared', nackDelayMs: 200 })
      await (await client.producer(topic)).send('x')
      await consumer.nack(await consumer.receive())
      assert.equal((await consumer.receive()).fields.redeliveryCount, 1)
      await consumer.close()
      const again = await client.consumer(topic, 's', { type: 'Shared' })
      assert.equal((await again.receive()).fields.redeliveryCount, 0)
    }
  },
  {
    name: 'dead-letter-default',
    proves:
      'after the last redelivery a message goes to <topic>-<subscription>-DLQ with its properties, and leaves the backlog',
    feature: 'redelivery',
    needs: ['dead-letter', 'dead-letter-default'],
    run: c => deadLetters(c, false)
  },
  {
    name: 'dead-letter-named',
    proves: 'a dead-letter topic of one’s own name is used instead',
    feature: 'redelivery',
    needs: ['dead-letter'],
    run: c => deadLetters(c, true)
  },
  {
    name: 'retry-letter',
    proves:
      'reconsumeLater sends a message round by the retry topic and back, with its attempt counted in the properties',
    feature: 'redelivery',
    needs: ['retry-letter'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const options = { type: 'Shared', retry: true, deadLetter: { maxRedeliveries: 3 } } as const
      const consumer = await client.consumer(topic, 's', options)
      await (await client.producer(topic)).send({ data: 'again', properties: { mine: 'yes' } })
      await consumer.reconsumeLater(await consumer.receive(), 1_000)
      const back = await consumer.receive()
      assert.equal(back.text, 'again')
      assert.equal(back.fields.topic, `${topic}-s-RETRY`)
      assert.equal(back.fields.properties.mine, 'yes')
      assert.equal(back.fields.properties.RECONSUMETIMES, '1')
      await eventually(() => c.admin.subscription(topic, 's'), empty)
    }
  }
]

export const acknowledgementRows: readonly Row[] = [...ackRows, ...redeliveryRows]
