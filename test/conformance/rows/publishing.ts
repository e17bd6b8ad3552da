// Publishing: batches, compression, chunks, keys, properties, sizes, receipts.
import { strict as assert } from 'node:assert'
import { createHash, randomBytes } from 'node:crypto'
import type { Compression, Id } from '../client.ts'
import { numbered, refused, type Context, type Row } from '../row.ts'

/** The brokers under test are configured with it. */
const MESSAGE_BYTES_MAX = 1_048_576

const COMPRESSIONS: readonly Compression[] = ['NONE', 'LZ4', 'ZLIB', 'ZSTD', 'SNAPPY']

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** Negative if `a` stands before `b` in the log. */
export function compareIds(a: Id, b: Id): number {
  return a.ledger - b.ledger || a.entry - b.entry || a.batch - b.batch
}

function compressionRow(compression: Compression, batched: boolean): Row {
  return {
    name: `publish-${compression.toLowerCase()}-${batched ? 'batched' : 'single'}`,
    proves: `${batched ? 'batches' : 'single messages'} compressed by ${compression} are stored as they came and read back whole`,
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const batching = batched ? { batching: { maxMessages: 20, maxDelayMs: 2_000 } } : {}
      const producer = await client.producer(topic, { compression, ...batching })
      const sent = numbered(`${'compressible '.repeat(30)}${randomBytes(8).toString('hex')}`, 40)
      const receipts = await producer.sendMany(sent)
      assert.deepEqual(await consumer.texts(40), sent)
      const entries = new Set(receipts.map(({ id }) => `${id.ledger}:${id.entry}`)).size
      if (batched) assert(entries < 40, 'forty messages made forty entries')
      else assert.equal(entries, 40)
    }
  }
}

async function batchIds(c: Context): Promise<void> {
  const topic = c.topic()
  const client = await c.client()
  const consumer = await client.consumer(topic, 's')
  const producer = await client.producer(topic, { batching: { maxMessages: 10, maxDelayMs: 5_000 } })
  const receipts = await producer.sendMany(numbered('m', 10))
  assert.deepEqual(
    receipts.map(({ id }) => id.batch),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  )
  assert.equal(new Set(receipts.map(({ id }) => id.entry)).size, 1)
  const received = await consumer.take(10)
  assert.deepEqual(
    received.map(({ id }) => [id.ledger, id.entry, id.batch]),
    receipts.map(({ id }) => [id.ledger, id.entry, id.batch])
  )
}

async function bigMessage(c: Context): Promise<void> {
  const topic = c.topic()
  const client = await c.client()
  const consumer = await client.consumer(topic, 's')
  const producer = await client.producer(topic)
  const data = randomBytes(MESSAGE_BYTES_MAX - 10_000)
  await producer.send({ data })
  await producer.send('after')
  const received = await consumer.receive()
  assert.equal(sha(received.data), sha(data))
  assert.deepEqual(await consumer.texts(1), ['after'])
}

async function chunked(c: Context): Promise<void> {
  const topic = c.topic()
  const client = await c.client()
  const consumer = await client.consumer(topic, 's')
  const producer = await client.producer(topic, { chunking: true })
  const data = randomBytes(2_500_000)
  await producer.send('before')
  await producer.send({ data, key: 'k', properties: { p: 'v' } })
  await producer.send('after')
  assert.deepEqual(await consumer.texts(1), ['before'])
  const received = await consumer.receive()
  assert.equal(sha(received.data), sha(data))
  assert.equal(received.fields.key, 'k')
  assert.deepEqual(received.fields.properties, { p: 'v' })
  const last = await consumer.receive()
  assert.equal(last.text, 'after')
  await consumer.ack(received)
  await consumer.close()
  // the acknowledgement of the whole took all its chunks with it
  const again = await client.consumer(topic, 's')
  assert.deepEqual(await again.texts(2), ['before', 'after'])
}

async function chunksShared(c: Context): Promise<void> {
  const topic = c.topic()
  const client = await c.client()
  const options = { type: 'Shared', queueSize: 10 } as const
  const consumers = [await client.consumer(topic, 's', options), await client.consumer(topic, 's', options)]
  const big = [randomBytes(2_200_000), randomBytes(2_300_000)]
  const producers = [await client.producer(topic, { chunking: true }), await client.producer(topic, { chunking: true })]
  await Promise.all(producers.map((producer, i) => producer.send({ data: big[i] ?? '' })))
  const received = await Promise.all(consumers.map(consumer => consumer.drain(4_000)))
  const hashes = received.flat().map(({ data }) => sha(data))
  assert.deepEqual(hashes.sort(), big.map(sha).sort())
}

const messageRows: Row[] = [
  {
    name: 'keys-and-properties',
    proves: 'partition key, ordering key, properties, event time and publish time arrive as sent, batched or not',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const started = Date.now()
      for (const batching of [undefined, { maxMessages: 10, maxDelayMs: 20 }]) {
        const producer = await client.producer(topic, batching === undefined ? {} : { batching })
        const properties = { plain: 'value', empty: '', 'ключ ✓': 'значение 🚀' }
        await producer.send({ data: 'x', key: 'key-é', orderingKey: 'order', properties, eventTime: 1_700_000_000_123 })
        const { fields } = await consumer.receive()
        assert.deepEqual(fields.properties, properties)
        assert.equal(fields.key, 'key-é')
        assert.equal(fields.orderingKey, 'order')
        assert.equal(fields.eventTime, 1_700_000_000_123)
        assert(fields.publishTime >= started - 60_000 && fields.publishTime <= Date.now() + 60_000)
        assert.equal(fields.producerName, producer.name)
        assert.equal(fields.topic, topic)
        assert.equal(fields.redeliveryCount, 0)
      }
    }
  },
  {
    name: 'no-key-no-properties',
    proves: 'a message without key, properties and event time arrives without them, not with empty ones invented',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).send('x')
      const { fields } = await consumer.receive()
      assert.deepEqual([fields.key, fields.orderingKey, fields.eventTime, fields.properties], ['', '', 0, {}])
    }
  },
  {
    name: 'empty-payload',
    proves: 'a message of no bytes is a message',
    feature: 'producers',
    except: { go: 'the Go client drops a message of no bytes that is not in a batch' },
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic)).sendMany(['', 'x'])
      assert.deepEqual(await consumer.texts(2), ['', 'x'])
    }
  },
  {
    name: 'empty-payload-in-batch',
    proves: 'a message of no bytes is a message in a batch too',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      await (await client.producer(topic, { batching: { maxMessages: 3, maxDelayMs: 1_000 } })).sendMany(['', 'x', ''])
      assert.deepEqual(await consumer.texts(3), ['', 'x', ''])
    }
  },
  {
    name: 'big-message',
    proves: 'a message just below maxMessageSize goes through whole, and the connection lives on',
    feature: 'producers',
    run: bigMessage
  },
  {
    name: 'too-big-message',
    proves: 'CONNECTED announces maxMessageSize: a bigger message is refused by the client, and the producer goes on',
    feature: 'connection',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      await refused(producer.send({ data: randomBytes(MESSAGE_BYTES_MAX + 1) }), 'MessageTooBig')
      await producer.send('after')
      assert.deepEqual(await consumer.texts(1), ['after'])
    }
  },
  {
    name: 'chunked-message',
    proves: 'a message of several chunks is put together again, with its key and properties, and acknowledged as one',
    feature: 'producers',
    needs: ['chunking'],
    run: chunked
  },
  {
    name: 'chunks-on-shared',
    proves:
      'on a Shared subscription all chunks of a message go to one consumer, though two producers interleave theirs',
    feature: 'subscriptions',
    needs: ['chunking'],
    run: chunksShared
  },
  {
    name: 'batch-ids',
    proves:
      'the messages of a batch share one entry and are told apart by batch index, in receipts and at the consumer alike',
    feature: 'producers',
    run: batchIds
  }
]

const orderRows: Row[] = [
  {
    name: 'receipts-in-order',
    proves: 'receipts come in the order of sending, with rising ids, and the log has the same order',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      const sent = numbered('m', 300)
      const receipts = await producer.sendMany(sent)
      assert.deepEqual(
        receipts.map(({ index }) => index),
        sent.map((_, index) => index)
      )
      for (let i = 1; i < receipts.length; i++) {
        const [before, after] = [receipts[i - 1], receipts[i]]
        assert(before !== undefined && after !== undefined && compareIds(before.id, after.id) < 0, `receipt ${i}`)
      }
      const received = await consumer.take(300)
      assert.deepEqual(
        received.map(({ text }) => text),
        sent
      )
      assert.deepEqual(
        received.map(({ id }) => id.entry),
        receipts.map(({ id }) => id.entry)
      )
    }
  },
  {
    name: 'producers-interleave',
    proves: 'several producers on one topic keep their own order each, and nothing is lost between them',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const names = ['a', 'b', 'c', 'd']
      const producers = await Promise.all(names.map(() => client.producer(topic)))
      await Promise.all(producers.map((producer, i) => producer.sendMany(numbered(names[i] ?? '', 50))))
      const texts = await consumer.texts(200)
      for (const name of names)
        assert.deepEqual(
          texts.filter(text => text.startsWith(name)),
          numbered(name, 50)
        )
    }
  },
  {
    name: 'sequence-ids',
    proves: 'sequence ids are the application’s: of 64 bits, echoed in receipts, and last_sequence_id starts at -1',
    feature: 'producers',
    needs: ['last-sequence-id'],
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const producer = await client.producer(topic)
      assert.equal(await producer.lastSequenceId(), -1)
      const nanoseconds = 1_700_000_000_000_000_000 // not exact as a double: that is the same double on both ways
      for (const sequenceId of [5, 900, nanoseconds]) {
        await producer.send({ data: `at ${sequenceId}`, sequenceId })
        assert.equal(await producer.lastSequenceId(), sequenceId)
      }
      assert.equal((await consumer.texts(3)).length, 3)
    }
  },
  {
    name: 'initial-sequence-id',
    proves: 'a producer goes on behind the sequence id that it is given',
    feature: 'producers',
    needs: ['last-sequence-id', 'initial-sequence-id'],
    run: async c => {
      const client = await c.client()
      const producer = await client.producer(c.topic(), { initialSequenceId: 100 })
      await producer.send('x')
      assert.equal(await producer.lastSequenceId(), 101)
    }
  },
  {
    name: 'sequence-ids-without-dedup',
    proves: 'without deduplication a repeated sequence id is stored again',
    feature: 'producers',
    run: async c => {
      const topic = c.topic()
      const client = await c.client()
      const consumer = await client.consumer(topic, 's')
      const first = await client.producer(topic, { name: 'twice' })
      await first.send({ data: 'one', sequenceId: 7 })
      await first.close()
      const second = await client.producer(topic, { name: 'twice' })
      await second.send({ data: 'two', sequenceId: 7 })
      assert.deepEqual(await consumer.texts(2), ['one', 'two'])
    }
  }
]

export const publishingRows: readonly Row[] = [
  ...COMPRESSIONS.flatMap(compression => [compressionRow(compression, false), compressionRow(compression, true)]),
  ...messageRows,
  ...orderRows
]
