import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld
let nextTopic = 0
/** A fresh name for each test, and its path. */
let name: string
let path: string

beforeAll(async () => {
  admin = await AdminWorld.start()
})

afterAll(async () => {
  await admin.close()
})

beforeEach(() => {
  name = `t${nextTopic++}`
  path = admin.topic(name)
})

const full = (topic: string): string => `persistent://public/default/${topic}`

async function script(lines: readonly (readonly [string, string, string, unknown?])[]): Promise<void> {
  for (const [method, at, expected, body] of lines) {
    const told = await admin.told(method as 'GET', at, body)
    expect(`${method} ${at} ⇒ ${told}`).toBe(`${method} ${at} ⇒ ${expected}`)
  }
}

describe('topics', () => {
  test('create, list, delete', async () => {
    await script([
      ['PUT', path, '204'],
      ['PUT', path, '409 This topic already exists'],
      ['PUT', `${path}/partitions`, '409 This topic already exists', 2],
      ['PUT', '/admin/v2/persistent/public/nope/x', '404 Namespace not found'],
      ['PUT', '/admin/v2/persistent/bad%20t/default/x', '412 Namespace name is not valid'],
      ['PUT', `${path}x%2Fy`, '412 Topic name is not valid']
    ])
    const listed = (await admin.call('GET', 'persistent/public/default')).body as string[]
    expect(listed).toContain(full(name))
    await script([
      ['DELETE', path, '204'],
      ['DELETE', path, `404 Topic ${full(name)} not found`],
      ['GET', `${path}/stats`, `404 Topic ${full(name)} not found`],
      ['DELETE', `${path}/partitions`, `404 Topic ${full(name)} not found.`]
    ])
  })

  test('a name with everything in it', async () => {
    const odd = `${name} ü?&%@#`
    const at = admin.topic(encodeURIComponent(odd))
    await script([
      ['PUT', at, '204'],
      ['GET', `${at}/partitions`, '200']
    ])
    expect((await admin.call('GET', 'namespaces/public/default/topics')).body).toContain(full(odd))
    await script([['DELETE', at, '204']])
  })

  test.each([
    ['a number', 3, 'application/json'],
    ['a number as text', 3, 'text/plain'],
    ['an object', { partitions: 3, properties: { x: 'y' } }, 'application/vnd.partitioned-topic-metadata+json']
  ])('partitions as %s', async (_, body, contentType) => {
    expect((await admin.call('PUT', `${path}/partitions`, JSON.stringify(body), contentType)).status).toBe(204)
    expect((await admin.call('GET', `${path}/partitions`)).body).toMatchObject({ partitions: 3 })
    expect((await admin.call('GET', 'persistent/public/default/partitioned')).body).toContain(full(name))
    await script([['DELETE', `${path}/partitions?force=true`, '204']])
  })

  test('partitions: what is refused, and more of them', async () => {
    await script([
      ['PUT', `${path}/partitions`, '406 Number of partitions should be more than 0', 0],
      ['GET', `${path}/partitions`, `404 Topic ${full(name)} not found`],
      ['GET', `${path}/partitions?checkAllowAutoCreation=true`, '200'],
      ['GET', '/admin/v2/persistent/public/nope/x/partitions', '404 Namespace not found'],
      ['POST', `${path}/partitions`, `409 Topic ${full(name)} is not the partitioned topic.`, 5],
      ['PUT', `${path}/partitions`, '204', 2],
      ['PUT', path, '409 This topic already exists'],
      ['PUT', `${path}/subscription/s`, '204'],
      ['POST', `${path}/partitions`, "422 Desired partitions 1 can't be less than the current partitions 2.", 1],
      ['POST', `${path}/partitions`, '204', 4],
      ['DELETE', `${path}-partition-0`, '204'],
      [
        'DELETE',
        path,
        `409 ${full(name)} is a partitioned topic, instead of calling delete topic, please call delete-partitioned-topic.`
      ]
    ])
    expect((await admin.call('GET', `${path}-partition-3/subscriptions`)).body).toEqual(['s'])
    const expected = `412 Can't create topic ${name}x-partition-3 with "-partition-" followed by numeric value if there isn't a partitioned topic ${name}x created.`
    await script([['PUT', `${path}x-partition-3`, expected]])
  })

  test('bodies that mean nothing', async () => {
    for (const body of ['""', '{}', 'null', '']) {
      const at = admin.topic(`${name}-${Buffer.from(body).toString('hex')}`)
      await script([
        ['PUT', at, '204', body],
        ['DELETE', at, '204', body]
      ])
    }
  })

  test('while somebody is connected only force deletes', async () => {
    const client = await admin.world.connect()
    await client.producer(full(name))
    await script([
      ['DELETE', path, '412 Topic has 1 connected producers/consumers'],
      ['DELETE', `${path}?force=true`, '204'],
      ['PUT', `${path}p/partitions`, '204', 2]
    ])
    await client.producer(full(`${name}p-partition-0`), { producerId: 1n })
    await script([
      ['DELETE', `${path}p-partition-0`, '412 Topic has 1 connected producers/consumers'],
      ['DELETE', `${path}p/partitions`, '412 Topic has 1 connected producers/consumers'],
      ['DELETE', `${path}p-partition-0?force=true`, '204'],
      ['DELETE', `${path}p/partitions?force=true`, '204']
    ])
    client.destroy()
  })

  test('properties', async () => {
    await script([
      ['PUT', path, '204', { k: 'v' }],
      ['PUT', `${path}/properties`, '204', { q: '1' }],
      ['PUT', `${path}/properties`, '400', { q: 1 }]
    ])
    expect((await admin.call('GET', `${path}/properties`)).body).toEqual({ k: 'v', q: '1' })
    await script([['DELETE', `${path}/properties?key=k`, '204']])
    expect((await admin.call('GET', `${path}/properties`)).body).toEqual({ q: '1' })
  })

  test('terminate, once and again', async () => {
    await admin.publish(name, ['a', 'b'])
    const end = (await admin.call('POST', `${path}/terminate`)).body
    expect(end).toMatchObject({ entryId: 1, partitionIndex: -1 })
    expect((await admin.call('POST', `${path}/terminate`)).body).toEqual(end)
    await script([
      ['PUT', `${path}p/partitions`, '204', 2],
      ['POST', `${path}p/terminate`, '405 Termination of a partitioned topic is not allowed'],
      ['POST', `${path}p/terminate/partitions`, '200']
    ])
  })

  test('stats of a topic, of a partitioned one, and of what does not exist', async () => {
    await admin.publish(name, ['a', 'b'])
    await script([['PUT', `${path}/subscription/s`, '204', { ledgerId: -1, entryId: -1 }]])
    const stats = (await admin.call('GET', `${path}/stats`)).body
    expect(stats).toMatchObject({
      msgInCounter: 2,
      publishers: [],
      subscriptions: { s: { msgBacklog: 2, type: 'None' } }
    })
    expect((await admin.call('GET', `${path}/internalStats`)).body).toMatchObject({
      numberOfEntries: 2,
      state: 'LedgerOpened',
      cursors: { s: { state: 'Open' } }
    })
    expect((await admin.call('GET', `${path}/internal-info`)).body).toMatchObject({ cursors: { s: {} } })
    await script([
      ['PUT', `${path}p/partitions`, '204', 2],
      ['PUT', `${path}p/subscription/s`, '204']
    ])
    await admin.publish(`${name}p-partition-0`, ['a'])
    await admin.publish(`${name}p-partition-1`, ['b', 'c'])
    const summed = (await admin.call('GET', `${path}p/partitioned-stats`)).body
    expect(summed).toMatchObject({
      msgInCounter: 3,
      subscriptions: { s: { msgBacklog: 3 } },
      metadata: { partitions: 2 },
      partitions: { [full(`${name}p-partition-1`)]: { msgInCounter: 2 } }
    })
    const short = (await admin.call('GET', `${path}p/partitioned-stats?perPartition=false`)).body
    expect(short).toMatchObject({ msgInCounter: 3, partitions: {} })
    await script([
      ['GET', `${path}p/stats`, `404 Topic ${full(`${name}p`)} not found`],
      ['GET', `${path}/partitioned-stats`, `404 Partitioned Topic ${full(name)} not found`],
      ['GET', `${path}p/partitioned-internalStats`, '200'],
      ['GET', `${path}p/internal-info`, '200']
    ])
  })

  test('messages: last, by time, peeked, examined, by position', async () => {
    await admin.publish(name, ['one', 'two', 'three'])
    await script([['PUT', `${path}/subscription/s`, '204', { messageId: { ledgerId: -1, entryId: -1 } }]])
    const last = (await admin.call('GET', `${path}/lastMessageId`)).body as { ledgerId: number }
    const { ledgerId } = last
    expect(last).toEqual({ ledgerId, entryId: 2, partitionIndex: -1, batchIndex: -1, batchSize: 0 })
    expect((await admin.call('GET', `${path}/messageid/0`)).body).toMatchObject({ entryId: -1 })
    expect((await admin.call('GET', `${path}/messageid/99999999999999`)).body).toMatchObject({ entryId: 3 })
    const peeked = await admin.call('GET', `${path}/subscription/s/position/2`)
    expect(peeked).toMatchObject({ status: 200, body: 'two', headers: { 'x-pulsar-message-id': `${ledgerId}:1` } })
    expect(peeked.headers['x-pulsar-property']).toBe('{}')
    expect((await admin.call('GET', `${path}/examinemessage`)).body).toBe('three')
    const second = await admin.call('GET', `${path}/examinemessage?initialPosition=earliest&messagePosition=2`)
    expect(second.body).toBe('two')
    expect((await admin.call('GET', `${path}/ledger/${ledgerId}/entry/0`)).body).toBe('one')
    const sizes: number[] = []
    for (const entryId of [-1, 0, 2, 9]) {
      sizes.push((await admin.call('PUT', `${path}/backlogSize`, { ledgerId, entryId })).body as number)
    }
    const [whole = 0] = sizes
    expect(sizes).toEqual([whole, Math.round((whole * 2) / 3), 0, 0])
    expect(whole).toBeGreaterThan(0)
    await script([
      ['GET', `${path}/subscription/s/position/9`, '404 Message not found'],
      ['GET', `${path}/subscription/nope/position/1`, `404 Subscription nope not found for topic ${full(name)}`],
      ['GET', `${path}/ledger/999999/entry/0`, '404 Message id not found'],
      ['PUT', `${path}e`, '204'],
      ['GET', `${path}e/examinemessage`, '412 Could not examine messages due to the total message is zero']
    ])
  })

  test('unload, truncate and trim leave a topic that works', async () => {
    await admin.publish(name, ['a', 'b'])
    await script([
      ['PUT', `${path}/subscription/s`, '204', { ledgerId: -1, entryId: -1 }],
      ['PUT', `${path}/unload`, '204'],
      ['POST', `${path}/trim`, '200'],
      ['DELETE', `${path}/truncate`, '204'],
      ['PUT', `${path}nope/unload`, `404 Topic ${full(`${name}nope`)} not found`]
    ])
    expect((await admin.call('GET', `${path}/stats`)).body).toMatchObject({ subscriptions: { s: { msgBacklog: 0 } } })
  })
})

describe('subscriptions', () => {
  const backlog = async (): Promise<unknown> => {
    const { subscriptions } = (await admin.call('GET', `${path}/stats`)).body as {
      subscriptions: Record<string, { msgBacklog: number }>
    }
    return subscriptions.s?.msgBacklog
  }

  test('create, list, delete', async () => {
    await script([
      ['PUT', `${path}/subscription/s`, '204'],
      ['PUT', `${path}/subscription/s`, '409 Subscription already exists for topic'],
      ['PUT', `${path}/subscription/a%2Fb%20c`, '204', { properties: { k: 'v' } }]
    ])
    expect((await admin.call('GET', `${path}/subscriptions`)).body).toEqual(['s', 'a/b c'])
    expect((await admin.call('GET', `${path}/subscription/a%2Fb%20c/properties`)).body).toEqual({ k: 'v' })
    await script([
      ['PUT', `${path}/subscription/s/properties`, '204', { z: '1' }],
      ['DELETE', `${path}/subscription/s`, '204'],
      ['DELETE', `${path}/subscription/s`, `404 Subscription s not found for topic ${full(name)}`],
      ['GET', `${path}nope/subscriptions`, `404 Topic ${full(`${name}nope`)} not found`]
    ])
  })

  test('with a consumer only force deletes', async () => {
    const client = await admin.world.connect()
    await client.subscribe(full(name), { subscription: 's' })
    await script([
      ['DELETE', `${path}/subscription/s`, '412 Subscription has active connected consumers'],
      ['DELETE', `${path}/subscription/s?force=true`, '204']
    ])
    client.destroy()
  })

  test('a backlog is analysed from the message that is named, or from its first', async () => {
    await admin.publish(name, ['a', 'b', 'c'])
    const { ledgerId } = (await admin.call('GET', `${path}/lastMessageId`)).body as { ledgerId: number }
    const sub = `${path}/subscription/s`
    await script([['PUT', sub, '204', { ledgerId: -1, entryId: -1 }]])
    const counts: unknown[] = []
    for (const from of [undefined, { ledgerId, entryId: 1 }, { ledgerId: -1, entryId: -1 }, { ledgerId, entryId: 9 }]) {
      counts.push(((await admin.call('POST', `${sub}/analyzeBacklog`, from)).body as { entries: number }).entries)
    }
    expect(counts).toEqual([3, 2, 3, 0])
  })

  test('skip, reset, expire', async () => {
    await admin.publish(name, ['a', 'b', 'c'])
    const { ledgerId } = (await admin.call('GET', `${path}/lastMessageId`)).body as { ledgerId: number }
    const sub = `${path}/subscription/s`
    await script([['PUT', sub, '204', { ledgerId: -1, entryId: -1 }]])
    expect(await backlog()).toBe(3)
    await script([['POST', `${sub}/skip/1`, '204']])
    expect(await backlog()).toBe(2)
    await script([['POST', `${sub}/skip_all`, '204']])
    expect(await backlog()).toBe(0)
    await script([['POST', `${sub}/resetcursor/0`, '204']])
    expect(await backlog()).toBe(3)
    await script([['POST', `${sub}/resetcursor`, '204', { ledgerId, entryId: 1, partitionIndex: -1 }]])
    expect(await backlog()).toBe(2)
    for (const excluded of [{ isExcluded: true }, { excluded: true }]) {
      await script([
        ['POST', `${sub}/resetcursor/0`, '204'],
        ['POST', `${sub}/resetcursor`, '204', { ledgerId, entryId: 1, ...excluded }]
      ])
      expect(await backlog()).toBe(1)
    }
    await script([
      ['POST', `${sub}/resetcursor/0`, '204'],
      ['POST', `${sub}/expireMessages/1000000000`, '204']
    ])
    expect(await backlog()).toBe(3)
    await script([['POST', `${sub}/expireMessages/1`, '204']])
    expect(await backlog()).toBe(0)
    for (const [body, left] of [
      [{ isExcluded: true }, 2],
      [{}, 1],
      [{ entryId: 9 }, 0]
    ] as const) {
      await script([
        ['POST', `${sub}/resetcursor/0`, '204'],
        ['POST', `${sub}/expireMessages`, '204', { ledgerId, entryId: 1, partitionIndex: -1, ...body }]
      ])
      expect(await backlog()).toBe(left)
    }
    const wrong = `404 Subscription nope not found for topic ${full(name)}`
    await script([
      ['POST', `${path}/subscription/nope/skip/1`, wrong],
      ['POST', `${path}/subscription/nope/skip_all`, wrong],
      ['POST', `${path}/subscription/nope/resetcursor/0`, wrong],
      ['POST', `${path}/subscription/nope/expireMessages/1`, wrong],
      [
        'POST',
        `${path}/all_subscription/expireMessages/3600`,
        `409 Expire message by timestamp not issued on topic persistent://public/default/${path.split('/').at(-1) ?? ''} for subscription s due to ongoing message expiration not finished or subscription almost catch  up. If it's performed on a partitioned topic operation might succeeded on other partitions, please check stats of individual partition.`
      ],
      ['POST', `${sub}/resetcursor`, '400 A message id is needed']
    ])
  })

  test('of a partitioned topic', async () => {
    await script([
      ['PUT', `${path}/partitions`, '204', 2],
      ['PUT', `${path}/subscription/s`, '204'],
      ['POST', `${path}/subscription/s/skip/1`, '405 Skip messages on a partitioned topic is not allowed'],
      ['POST', `${path}/subscription/s/skip_all`, '204'],
      ['POST', `${path}/subscription/s/resetcursor/0`, '204'],
      [
        'POST',
        `${path}/subscription/s/resetcursor`,
        '405 Reset-cursor at position is not allowed for partitioned-topic',
        { ledgerId: 1, entryId: 1 }
      ],
      ['GET', `${path}/subscription/s/position/1`, '405 Peek messages on a partitioned topic is not allowed'],
      ['DELETE', `${path}/subscription/nope`, '404 Subscription not found'],
      ['DELETE', `${path}/subscription/s`, '204']
    ])
  })
})

describe('non-persistent topics', () => {
  test('the same paths, where they make sense', async () => {
    const at = `/admin/v2/non-persistent/public/default/${name}`
    await script([
      ['PUT', at, '204'],
      ['GET', `${at}/stats`, '200'],
      ['GET', `${at}/internalStats`, '200'],
      ['GET', `${at}/lastMessageId`, '405 GetLastMessageId on a non-persistent topic is not allowed'],
      ['GET', `${at}/messageid/0`, '405 Get message ID by timestamp on a non-persistent topic is not allowed'],
      ['POST', `${at}/terminate`, '406 Need to provide a persistent topic name'],
      ['DELETE', `${at}/truncate`, '412 unsupport truncate'],
      ['PUT', `${at}p/partitions`, '204', 2]
    ])
    expect((await admin.call('GET', 'namespaces/public/default/topics?mode=NON_PERSISTENT')).body).toContain(
      `non-persistent://public/default/${name}`
    )
    await script([
      ['DELETE', at, '204'],
      ['DELETE', `${at}p/partitions`, '204'],
      ['GET', `${at}/stats`, `404 Topic non-persistent://public/default/${name} not found`]
    ])
  })
})
