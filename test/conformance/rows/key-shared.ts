// Key_Shared: one consumer a key, order kept while consumers come and go.
import { strict as assert } from 'node:assert'
import type { Consumer, Message } from '../client.ts'
import { numbered, refused, type Context, type Row } from '../row.ts'

const KEYS = numbered('key', 20)

/** Twenty keys in turn, `rounds` times: the text of each message is its round. */
function roundsOf(rounds: number, from = 0): { data: string; key: string }[] {
  return Array.from({ length: rounds }, (_, round) => KEYS.map(key => ({ data: String(from + round), key }))).flat()
}

function byKey(messages: readonly Message[]): Map<string, string[]> {
  const map = new Map<string, string[]>()
  for (const { fields, text } of messages) map.set(fields.key, [...(map.get(fields.key) ?? []), text])
  return map
}

async function oneConsumerAKey(c: Context): Promise<void> {
  const topic = c.topic()
  const [one, two] = [await c.client(), await c.client()]
  const consumers = [
    await one.consumer(topic, 's', { type: 'Key_Shared' }),
    await two.consumer(topic, 's', { type: 'Key_Shared' })
  ]
  const producer = await one.producer(topic)
  await producer.sendMany(roundsOf(5))
  const taken = await Promise.all(consumers.map(consumer => consumer.drain(2_500)))
  const [a, b] = taken.map(byKey)
  assert(a !== undefined && b !== undefined)
  assert.equal(a.size + b.size, KEYS.length, 'a key went to both')
  assert(a.size > 0 && b.size > 0, 'one of them got no key at all')
  for (const rounds of [...a.values(), ...b.values()]) assert.deepEqual(rounds, ['0', '1', '2', '3', '4'])
}

async function keysMove(c: Context): Promise<void> {
  const topic = c.topic()
  const [one, two] = [await c.client(), await c.client()]
  const leaver = await one.consumer(topic, 's', { type: 'Key_Shared' })
  const stayer = await two.consumer(topic, 's', { type: 'Key_Shared' })
  const producer = await two.producer(topic)
  await producer.sendMany(roundsOf(3))
  const [gone, kept] = await Promise.all([leaver.drain(2_000), stayer.drain(2_000)])
  assert.equal(gone.length + kept.length, 60)
  await stayer.ack(...kept)
  await leaver.ack(...gone.filter(({ text }) => text === '0'))
  await leaver.close()
  await producer.sendMany(roundsOf(1, 3))
  const moved = byKey(await stayer.drain(2_500))
  for (const key of new Set(gone.map(({ fields }) => fields.key))) assert.deepEqual(moved.get(key), ['1', '2', '3'])
  for (const key of new Set(kept.map(({ fields }) => fields.key))) assert.deepEqual(moved.get(key), ['3'])
}

/** While the first consumer holds unacknowledged messages of a key, a consumer that joins must not get a later one of that key. */
async function joiningWaits(c: Context): Promise<void> {
  const topic = c.topic()
  const [one, two] = [await c.client(), await c.client()]
  const first = await one.consumer(topic, 's', { type: 'Key_Shared' })
  const producer = await one.producer(topic)
  await producer.sendMany(roundsOf(1))
  const held = await first.take(20)
  const joined = await two.consumer(topic, 's', { type: 'Key_Shared' })
  await producer.sendMany(roundsOf(1, 1))
  await joined.nothing(1_500)
  await first.ack(...held)
  const [later, moved] = await Promise.all([first.drain(2_500), joined.drain(2_500)])
  assert.equal(later.length + moved.length, 20, 'all of the second round came, once')
  assert(moved.length > 0, 'the one that joined got its share once the first let go')
  for (const message of [...later, ...moved]) assert.equal(message.text, '1')
}

async function sticky(c: Context): Promise<void> {
  const topic = c.topic()
  const [one, two] = [await c.client(), await c.client()]
  const ranged = (client: typeof one, low: number, high: number): Promise<Consumer> =>
    client.consumer(topic, 's', { type: 'Key_Shared', keyShared: { ranges: [[low, high]] } })
  const lower = await ranged(one, 0, 32_767)
  const upper = await ranged(two, 32_768, 65_535)
  const producer = await one.producer(topic)
  const messages = roundsOf(2)
  await producer.sendMany(messages)
  const expected = (isMine: (hash: number) => boolean): string[] => KEYS.filter(key => isMine(stickyHash(key))).sort()
  const [a, b] = await Promise.all([lower.drain(2_500), upper.drain(2_500)])
  assert.deepEqual(
    [...byKey(a).keys()].sort(),
    expected(hash => hash <= 32_767)
  )
  assert.deepEqual(
    [...byKey(b).keys()].sort(),
    expected(hash => hash > 32_767)
  )
  assert.equal(a.length + b.length, messages.length)
}

/** The hash of a key on a Key_Shared subscription: Murmur3 (x86, 32 bits, seed 0) of its bytes, without sign, modulo 65,536. */
export function stickyHash(key: string): number {
  const bytes = Buffer.from(key)
  let hash = 0
  const mix = (word: number): number => {
    const first = Math.imul(word, 0xcc9e2d51)
    return Math.imul((first << 15) | (first >>> 17), 0x1b873593)
  }
  const whole = bytes.length - (bytes.length % 4)
  for (let at = 0; at < whole; at += 4) {
    hash ^= mix(bytes.readInt32LE(at))
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  if (whole < bytes.length) hash ^= mix(bytes.readUIntLE(whole, bytes.length - whole))
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return (hash & 0x7fffffff) % 65_536 || 1
}

export const keySharedRows: readonly Row[] = [
  {
    name: 'key-shared-one-consumer-a-key',
    proves: 'all messages of a key go to one consumer, in order, and the keys are split over both',
    feature: 'subscriptions',
    run: oneConsumerAKey
  },
  {
    name: 'key-shared-consumer-leaves',
    proves: 'the keys of a leaving consumer move with what it had not acknowledged, in order, before what is newer',
    feature: 'subscriptions',
    run: keysMove
  },
  {
    name: 'key-shared-consumer-joins',
    proves: 'a joining consumer gets no message of a key whose earlier ones are still unacknowledged elsewhere',
    feature: 'subscriptions',
    run: joiningWaits
  },
  {
    name: 'key-shared-sticky',
    proves: 'sticky consumers get exactly the keys whose hash is in their ranges',
    feature: 'subscriptions',
    run: sticky
  },
  {
    name: 'key-shared-sticky-conflict',
    proves: 'overlapping sticky ranges are refused with ConsumerAssignError, and the holder goes on',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const client = await c.client({ operationTimeoutMs: 5_000 })
      const ranged = (low: number, high: number): Promise<Consumer> =>
        client.consumer(topic, 's', { type: 'Key_Shared', keyShared: { ranges: [[low, high]] } })
      const holder = await ranged(0, 65_535)
      await refused(ranged(100, 200), 'ConsumerAssignError')
      await (await client.producer(topic)).send({ data: 'x', key: 'any' })
      assert.deepEqual(await holder.texts(1), ['x'])
    }
  },
  {
    name: 'key-shared-ordering-key',
    proves: 'the ordering key decides before the partition key',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const options = { type: 'Key_Shared' } as const
      const consumers = [await one.consumer(topic, 's', options), await two.consumer(topic, 's', options)]
      const producer = await one.producer(topic)
      await producer.sendMany(KEYS.map(key => ({ data: key, key, orderingKey: 'the same' })))
      const taken = await Promise.all(consumers.map(consumer => consumer.drain(2_000)))
      assert.deepEqual(
        taken.map(({ length }) => length).sort((x, y) => x - y),
        [0, KEYS.length]
      )
    }
  },
  {
    name: 'key-shared-key-based-batches',
    proves: 'batches made by key keep the keys apart: each consumer gets whole batches of its own keys only, in order',
    feature: 'subscriptions',
    run: async c => {
      const topic = c.topic()
      const [one, two] = [await c.client(), await c.client()]
      const options = { type: 'Key_Shared' } as const
      const consumers = [await one.consumer(topic, 's', options), await two.consumer(topic, 's', options)]
      const producer = await one.producer(topic, { batching: { maxMessages: 1_000, maxDelayMs: 500, keyBased: true } })
      await producer.sendMany(roundsOf(4))
      const [a, b] = (await Promise.all(consumers.map(consumer => consumer.drain(2_500)))).map(byKey)
      assert(a !== undefined && b !== undefined)
      assert.equal(a.size + b.size, KEYS.length)
      for (const rounds of [...a.values(), ...b.values()]) assert.deepEqual(rounds, ['0', '1', '2', '3'])
    }
  }
]
