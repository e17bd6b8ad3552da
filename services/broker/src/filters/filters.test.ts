import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '@strata/base'
import { eventually } from '@strata/base/testing'
import { PulsarClient } from '@strata/client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AdminWorld } from '../admin/testing/admin-world.ts'
import { FilterRegistry } from './filter-registry.ts'

/* Entry filters, seen by clients: the example, those that put off or fail, and their removal. */

const EXAMPLE = fileURLToPath(new URL('examples/by-property.mjs', import.meta.url))

/** Puts every entry off, or fails for it, when it sees it first for a subscription; then accepts it. */
const first = (what: string): string => `
export function createEntryFilter() {
  const seen = new Set()
  return {
    filterEntry({ ledgerId, entryId }, { topic, subscription }) {
      const id = [topic, subscription, ledgerId, entryId].join(' ')
      if (seen.has(id)) return undefined
      seen.add(id)
      ${what}
    }
  }
}
`

let directory: string
let admin: AdminWorld
let client: PulsarClient
let count = 0
let name: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strata-filters-'))
  await copyFile(EXAMPLE, join(directory, 'by-property.mjs'))
  await writeFile(join(directory, 'later.mjs'), first("return 'reschedule'"))
  await writeFile(join(directory, 'fails.mjs'), first("throw new Error('not now')"))
  await writeFile(join(directory, 'broken.mjs'), 'export const nothing = 1')
  admin = await AdminWorld.start({
    entryFiltersDirectory: directory,
    allowOverrideEntryFilters: true,
    dispatcherEntryFilterRescheduledMessageDelay: 5
  })
})

afterAll(async () => {
  await admin.close()
  await rm(directory, { recursive: true, force: true })
})

beforeEach(async () => {
  client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
  name = `t${++count}`
  await admin.call('PUT', `persistent/public/default/${name}`)
})

afterEach(async () => {
  await client.close()
})

const path = (rest: string, domain = 'persistent'): string => `${domain}/public/default/${name}/${rest}`

/** Sets the filters of the topic (or, without names, removes them), and waits until the live topic goes by them. */
async function filters(names: string | undefined, domain = 'persistent'): Promise<void> {
  const of = path('entryFilters', domain)
  const told = names === undefined ? admin.told('DELETE', of) : admin.told('POST', of, { entryFilterNames: names })
  expect(await told).toBe('204')
  await eventually(() => {
    for (const topic of admin.world.broker.topics.values()) {
      if (topic.name.localName === name && topic.policies.entryFilters !== (names ?? '')) throw new Error('not yet')
    }
  })
}

async function stats(domain = 'persistent'): Promise<Record<string, unknown>> {
  const { body } = await admin.call('GET', path('stats', domain))
  return (body as { subscriptions: Record<string, Record<string, unknown>> }).subscriptions['s'] ?? {}
}

async function publish(kinds: readonly string[], domain = 'persistent'): Promise<void> {
  const topic = `${domain}://public/default/${name}`
  const producer = await client.createProducer({ topic, batching: { enabled: false } })
  for (const kind of kinds) await producer.send({ data: Buffer.from(kind), properties: { kind }, key: kind })
  await producer.close()
}

describe.each(['exclusive', 'failover', 'shared', 'key-shared'] as const)('on a subscription that is %s', type => {
  const subscribe = async (): ReturnType<PulsarClient['subscribe']> =>
    await client.subscribe({
      topic: name,
      subscription: 's',
      type,
      initialPosition: 'earliest',
      subscriptionProperties: { wants: 'x' }
    })

  test('the example: what is not wanted is acknowledged instead, until the filter is removed', async () => {
    await filters('by-property')
    const consumer = await subscribe()
    await publish(['x', 'y', 'x', 'y'])
    for (let index = 0; index < 2; index++) {
      const message = await consumer.receive(5000)
      expect(message.text).toBe('x')
      await consumer.acknowledge(message)
    }
    await eventually(async () => {
      expect(await stats()).toMatchObject({
        ...{ filterProcessedMsgCount: 4, filterAcceptedMsgCount: 2, filterRejectedMsgCount: 2 },
        ...{ filterRescheduledMsgCount: 0, msgBacklog: 0 }
      })
    })
    await filters(undefined)
    await publish(['y'])
    expect((await consumer.receive(5000)).text).toBe('y')
  })

  test.each(['later', 'fails'])(
    '%s: what was put off comes in the end, and nothing is lost',
    async filter => {
      await filters(filter)
      await publish(['a', 'b', 'c'])
      const consumer = await subscribe()
      const seen = new Set<string>()
      while (seen.size < 3) seen.add((await consumer.receive(5000)).text)
      expect([...seen].sort()).toEqual(['a', 'b', 'c'])
      const { filterRescheduledMsgCount, msgBacklog } = await stats()
      expect(filterRescheduledMsgCount).toBe(3)
      expect(msgBacklog).toBe(3)
    },
    180_000
  )
})

test('of a namespace, and a topic over it', async () => {
  const namespace = 'namespaces/public/default/entryFilters'
  expect(await admin.told('POST', namespace, { entryFilterNames: 'by-property' })).toBe('204')
  try {
    expect((await admin.call('GET', namespace)).body).toEqual({ entryFilterNames: 'by-property' })
    expect((await admin.call('GET', path('entryFilters'))).body).toBeUndefined()
    const applied = async (): Promise<unknown> => (await admin.call('GET', path('entryFilters?applied=true'))).body
    expect(await applied()).toEqual({ entryFilterNames: 'by-property' })
    await filters('later')
    expect(await applied()).toEqual({ entryFilterNames: 'later' })
  } finally {
    expect(await admin.told('DELETE', namespace)).toBe('204')
  }
})

test('a topic that keeps nothing drops what is not accepted', async () => {
  await admin.call('PUT', `non-persistent/public/default/${name}`)
  await filters('by-property', 'non-persistent')
  const topic = `non-persistent://public/default/${name}`
  const consumer = await client.subscribe({ topic, subscription: 's', subscriptionProperties: { wants: 'x' } })
  await publish(['y', 'x'], 'non-persistent')
  expect((await consumer.receive(5000)).text).toBe('x')
  expect(await stats('non-persistent')).toMatchObject({ filterRejectedMsgCount: 1, filterAcceptedMsgCount: 1 })
})

test('as Apache Pulsar answers', async () => {
  const empty = "400 entryFilterNames can't be empty. To remove entry filters use the remove method."
  for (const of of ['namespaces/public/default/entryFilters', path('entryFilters')]) {
    expect(await admin.told('GET', of)).toBe('200')
    expect(await admin.told('POST', of, { entryFilterNames: 'absent' })).toBe("400 Entry filter 'absent' not found")
    expect(await admin.told('POST', of, { entryFilterNames: 'broken' })).toBe("400 Entry filter 'broken' not found")
    expect(await admin.told('POST', of, { entryFilterNames: '' })).toBe(empty)
    expect(await admin.told('POST', of, {})).toBe(empty)
    expect(await admin.told('DELETE', of)).toBe('204')
  }
  const absent = 'namespaces/public/absent/entryFilters'
  expect(await admin.told('POST', absent, { entryFilterNames: 'absent' })).toBe("400 Entry filter 'absent' not found")
})

describe('filters of the broker', () => {
  test('hold for every subscription, whatever policies say, unless these may say otherwise', async () => {
    const own = await AdminWorld.start({ entryFiltersDirectory: directory, entryFilterNames: 'by-property' })
    const second = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${own.world.broker.ports.broker}` })
    try {
      await own.call('PUT', 'persistent/public/default/t')
      expect(await own.told('POST', 'persistent/public/default/t/entryFilters', { entryFilterNames: 'later' })).toBe(
        '204'
      )
      const consumer = await second.subscribe({ topic: 't', subscription: 's', subscriptionProperties: { wants: 'x' } })
      const producer = await second.createProducer({ topic: 't', batching: { enabled: false } })
      for (const kind of ['y', 'x']) await producer.send({ data: Buffer.from(kind), properties: { kind } })
      expect((await consumer.receive(5000)).text).toBe('x')
    } finally {
      await second.close()
      await own.close()
    }
  })

  test('a broker does not start without one of them', async () => {
    const settings = { entryFiltersDirectory: directory, entryFilterNames: 'by-property, absent' }
    await expect(FilterRegistry.open(settings, silentLogger)).rejects.toThrow(/'absent' not found/)
  })
})
