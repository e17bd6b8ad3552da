// Moving about in the log: seek, readers, last message id, non-durable subscriptions, table views.
import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import type { Id, ReaderOptions } from '../client.ts'
import { eventually, numbered, refused, type Context, type Row } from '../row.ts'

const ONE_BATCH = { batching: { maxMessages: 10, maxDelayMs: 5_000 } }

/** A topic with `m-0` … `m-9`, and their ids; as one batch, or as ten entries. */
async function filled(c: Context, batched = false): Promise<{ topic: string; ids: Id[] }> {
  const topic = c.topic()
  const producer = await (await c.client()).producer(topic, batched ? ONE_BATCH : {})
  const receipts = await producer.sendMany(numbered('m', 10))
  return { topic, ids: receipts.map(({ id }) => id) }
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index]
  assert(found !== undefined)
  return found
}

/** Seeks to the id of `m-5`. Go's `Seek` is inclusive always; the others' only when the consumer says so. */
async function seekToId(c: Context, options: { inclusive: boolean; batched: boolean }): Promise<void> {
  const { topic, ids } = await filled(c, options.batched)
  const client = await c.client()
  const consumer = await client.consumer(topic, 's', { position: 'Earliest', inclusive: options.inclusive })
  await consumer.take(10)
  await consumer.seek({ id: at(ids, 5) })
  const from = options.inclusive ? 5 : 6
  assert.deepEqual(await consumer.texts(10 - from), numbered('m', 10).slice(from))
}

const GO_SEEK = 'its Seek is inclusive whatever the consumer says'

const seekRows: Row[] = [
  {
    name: 'seek-id',
    proves: 'after a seek to an id the next message is the one behind it',
    feature: 'seek',
    except: { go: GO_SEEK },
    run: c => seekToId(c, { inclusive: false, batched: false })
  },
  {
    name: 'seek-id-inclusive',
    proves: 'an inclusive seek delivers the very message',
    feature: 'seek',
    needs: ['inclusive'],
    run: c => seekToId(c, { inclusive: true, batched: false })
  },
  {
    name: 'seek-inside-batch',
    proves: 'a seek to an id inside a batch goes on inside that batch',
    feature: 'seek',
    except: { go: GO_SEEK },
    run: c => seekToId(c, { inclusive: false, batched: true })
  },
  {
    name: 'seek-inside-batch-inclusive',
    proves: 'an inclusive seek inside a batch starts with that message',
    feature: 'seek',
    needs: ['inclusive'],
    run: c => seekToId(c, { inclusive: true, batched: true })
  },
  {
    name: 'seek-earliest-and-latest',
    proves:
      'a seek to the earliest brings everything again, also what was acknowledged; to the latest, only what comes then',
    feature: 'seek',
    run: async c => {
      const { topic } = await filled(c)
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { position: 'Earliest' })
      await consumer.ack(...(await consumer.take(10)))
      await consumer.seek({ id: 'earliest' })
      assert.deepEqual(await consumer.texts(10), numbered('m', 10))
      await consumer.seek({ id: 'latest' })
      await (await client.producer(topic)).send('new')
      assert.deepEqual(await consumer.texts(1), ['new'])
    }
  },
  {
    name: 'seek-time',
    proves: 'a seek to a time starts with the first message published then or later',
    feature: 'seek',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      for (const text of ['a', 'b', 'c', 'd']) {
        await producer.send(text)
        await delay(20) // publish times are whole milliseconds: they must differ
      }
      const received = await consumer.take(4)
      await consumer.seek({ time: at(received, 2).fields.publishTime })
      assert.deepEqual(await consumer.texts(2), ['c', 'd'])
      await consumer.seek({ time: at(received, 0).fields.publishTime - 60_000 })
      assert.deepEqual(await consumer.texts(4), ['a', 'b', 'c', 'd'])
    }
  },
  {
    name: 'seek-shared',
    proves: 'a seek on a Shared subscription moves it for all its consumers, which come back by themselves',
    feature: 'seek',
    run: async c => {
      const { topic } = await filled(c)
      const [one, two] = [await c.client(), await c.client()]
      const options = { type: 'Shared', position: 'Earliest', queueSize: 3 } as const
      const first = await one.consumer(topic, 's', options)
      await first.ack(...(await first.take(10)))
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.msgBacklog === 0
      )
      const second = await two.consumer(topic, 's', options)
      await first.seek({ id: 'earliest' })
      await eventually(
        () => c.admin.subscription(topic, 's'),
        s => s.consumers.length === 2
      )
      const received = await Promise.all([first.drain(3_000), second.drain(3_000)])
      const all = received.flat().map(({ text }) => text)
      // what was on its way when the consumers were cut off may come twice: the set is what is promised
      assert.deepEqual([...new Set(all)].sort(), numbered('m', 10))
    }
  },
  {
    name: 'seek-partitioned-time',
    proves: 'a seek by time on a partitioned topic moves every partition',
    feature: 'seek',
    needs: ['seek-partitioned'],
    run: async c => {
      const topic = c.topic()
      await c.admin.expect(204, 'PUT', `${topic.replace('://', '/')}/partitions`, 3)
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      for (const text of numbered('m', 12)) await producer.send({ data: text, key: text })
      await consumer.ack(...(await consumer.take(12)))
      await consumer.seek({ time: Date.now() - 3_600_000 })
      assert.deepEqual((await consumer.texts(12)).sort(), numbered('m', 12).sort())
    }
  }
]

function readerRow(
  name: string,
  proves: string,
  options: (ids: Id[]) => ReaderOptions,
  from: number,
  batched = false
): Row {
  return {
    name,
    proves,
    feature: 'readers',
    needs: name.endsWith('inclusive') ? ['inclusive'] : [],
    run: async c => {
      const { topic, ids } = await filled(c, batched)
      const client = await c.client()
      const reader = await client.reader(topic, options(ids))
      const expected = numbered('m', 10).slice(from)
      assert.deepEqual(await reader.texts(expected.length), expected)
      assert.equal(await reader.hasNext(), false)
      await (await client.producer(topic)).send('new')
      await eventually(
        () => reader.hasNext(),
        has => has
      )
      assert.deepEqual(await reader.texts(1), ['new'])
      assert.equal(await reader.hasNext(), false)
    }
  }
}

const readerRows: Row[] = [
  readerRow(
    'reader-earliest',
    'a reader from the earliest reads everything, then what comes',
    () => ({ start: 'earliest' }),
    0
  ),
  readerRow('reader-from-id', 'a reader from an id starts behind it', ids => ({ start: at(ids, 3) }), 4),
  readerRow(
    'reader-from-id-inclusive',
    'an inclusive reader starts with the very message',
    ids => ({ start: at(ids, 3), inclusive: true }),
    3
  ),
  readerRow(
    'reader-inside-batch',
    'a reader from an id inside a batch starts behind it',
    ids => ({ start: at(ids, 3) }),
    4,
    true
  ),
  readerRow(
    'reader-inside-batch-inclusive',
    'an inclusive reader inside a batch starts with the very message',
    ids => ({ start: at(ids, 3), inclusive: true }),
    3,
    true
  ),
  {
    name: 'reader-latest',
    proves: 'a reader from the latest reads only what comes after it was made',
    feature: 'readers',
    run: async c => {
      const { topic } = await filled(c)
      const client = await c.client()
      const reader = await client.reader(topic, { start: 'latest' })
      assert.equal(await reader.hasNext(), false)
      await (await client.producer(topic)).sendMany(['x', 'y'])
      assert.deepEqual(await reader.texts(2), ['x', 'y'])
    }
  },
  {
    name: 'reader-latest-inclusive',
    proves: 'an inclusive reader from the latest starts with the last message there is',
    feature: 'readers',
    needs: ['inclusive'],
    except: { go: 'its inclusive reader from the latest waits for the next message' },
    run: async c => {
      const { topic } = await filled(c)
      const reader = await (await c.client()).reader(topic, { start: 'latest', inclusive: true })
      assert.equal(await reader.hasNext(), true)
      assert.deepEqual(await reader.texts(1), ['m-9'])
      assert.equal(await reader.hasNext(), false)
    }
  },
  {
    name: 'reader-empty-topic',
    proves: 'a reader on an empty topic has nothing, and gets what comes',
    feature: 'readers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const reader = await client.reader(topic, { start: 'earliest' })
      assert.equal(await reader.hasNext(), false)
      await (await client.producer(topic)).send('x')
      assert.deepEqual(await reader.texts(1), ['x'])
    }
  },
  {
    name: 'reader-seek',
    proves: 'a reader can seek to an id, to the ends and to a time',
    feature: 'readers',
    needs: ['inclusive'],
    run: async c => {
      const { topic, ids } = await filled(c)
      const reader = await (await c.client()).reader(topic, { start: 'earliest', inclusive: true })
      const received = await reader.take(10)
      await reader.seek({ id: at(ids, 4) })
      assert.deepEqual(await reader.texts(6), numbered('m', 10).slice(4))
      await reader.seek({ id: 'earliest' })
      assert.deepEqual(await reader.texts(10), numbered('m', 10))
      await reader.seek({ time: at(received, 0).fields.publishTime - 10_000 })
      assert.deepEqual(await reader.texts(10), numbered('m', 10))
      assert.equal(await reader.hasNext(), false)
    }
  },
  {
    name: 'reader-two',
    proves: 'readers of one topic do not disturb each other',
    feature: 'readers',
    run: async c => {
      const { topic } = await filled(c)
      const client = await c.client()
      const readers = [
        await client.reader(topic, { start: 'earliest' }),
        await client.reader(topic, { start: 'earliest' })
      ]
      for (const reader of readers) assert.deepEqual(await reader.texts(10), numbered('m', 10))
    }
  },
  {
    name: 'reader-leaves-nothing',
    proves: 'a reader’s cursor is not durable: it shows while it is open, and nothing is left after it',
    feature: 'readers',
    run: async c => {
      const { topic } = await filled(c)
      const reader = await (await c.client()).reader(topic, { start: 'earliest' })
      await reader.take(1)
      const [shown] = Object.values((await c.admin.stats(topic)).subscriptions)
      assert.equal(shown?.isDurable, false)
      await reader.close()
      await eventually(
        () => c.admin.stats(topic),
        stats => Object.keys(stats.subscriptions).length === 0
      )
    }
  },
  {
    name: 'reader-subscription-name',
    proves: 'a reader uses the subscription name it is given',
    feature: 'readers',
    needs: ['reader-subscription'],
    run: async c => {
      const { topic } = await filled(c)
      await (await c.client()).reader(topic, { start: 'earliest', subscription: 'mine' })
      assert.deepEqual(Object.keys((await c.admin.stats(topic)).subscriptions), ['mine'])
    }
  },
  {
    name: 'reader-rollback',
    proves: 'a reader can start some time ago',
    feature: 'readers',
    needs: ['reader-time'],
    run: async c => {
      const { topic } = await filled(c)
      const reader = await (await c.client()).reader(topic, { startAgoMs: 3_600_000 })
      assert.deepEqual(await reader.texts(10), numbered('m', 10))
    }
  },
  {
    name: 'reader-compacted',
    proves: 'read_compacted on a topic that was never compacted reads the full log',
    feature: 'readers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const producer = await client.producer(topic)
      for (const [key, data] of [
        ['a', '1'],
        ['b', '2'],
        ['a', '3']
      ] as const)
        await producer.send({ key, data })
      const reader = await client.reader(topic, { start: 'earliest', readCompacted: true })
      assert.deepEqual(await reader.texts(3), ['1', '2', '3'])
    }
  },
  {
    name: 'table-view',
    proves: 'a table view has the last message of every key',
    feature: 'readers',
    needs: ['table-view'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const producer = await client.producer(topic, { schema: { type: 'STRING' } })
      for (const [key, value] of [
        ['a', '1'],
        ['b', '2'],
        ['a', '3'],
        ['c', '4']
      ] as const)
        await producer.send({ key, value })
      assert.deepEqual(await client.tableView(topic), { a: '3', b: '2', c: '4' })
    }
  }
]

const lastIdRows: Row[] = [
  {
    name: 'last-message-id',
    proves: 'the last message id is that of the last receipt, with its index inside a batch; an empty topic has -1',
    feature: 'readers',
    needs: ['last-message-id'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      assert.equal((await consumer.lastMessageId()).entry, -1)
      const single = await (await client.producer(topic)).send('x')
      const last = await consumer.lastMessageId()
      // of a message outside a batch, Go says 0 where the others say -1
      assert.deepEqual([last.ledger, last.entry, last.batch <= 0], [single.ledger, single.entry, true])
      await (await client.producer(topic, ONE_BATCH)).sendMany(numbered('m', 10))
      const { entry, batch } = await consumer.lastMessageId()
      assert.deepEqual([entry, batch], [single.entry + 1, 9])
    }
  },
  {
    name: 'non-durable-subscription',
    proves: 'a non-durable subscription goes with its consumer',
    feature: 'subscriptions',
    needs: ['non-durable'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's', { durable: false })
      const producer = await client.producer(topic)
      await producer.send('x')
      assert.deepEqual(await consumer.texts(1), ['x'])
      assert.equal((await c.admin.subscription(topic, 's')).isDurable, false)
      await consumer.close()
      await eventually(
        () => c.admin.stats(topic),
        stats => stats.subscriptions.s === undefined
      )
    }
  },
  {
    name: 'durability-mismatch',
    proves: 'a durable subscription’s name is refused to a non-durable consumer with NotAllowedError',
    feature: 'subscriptions',
    needs: ['non-durable'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client({ operationTimeoutMs: 5_000 })
      const durable = await client.consumer(topic, 's')
      await durable.close()
      await refused(client.consumer(topic, 's', { durable: false }), 'NotAllowedError')
    }
  }
]

export const readingRows: readonly Row[] = [...seekRows, ...readerRows, ...lastIdRows]
