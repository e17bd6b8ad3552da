import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { ageText, brokerUrls, costsOf, sumUsage } from './tenant-usage.ts'

const namespace = (name: string, metrics: Record<string, number>): object => ({
  metrics,
  dimensions: { namespace: name }
})

test('namespaces of all brokers are added up by tenant', () => {
  const one = [
    { metrics: { brk_connections_active: 3 }, dimensions: {} },
    namespace('acme/a', { brk_topics: 2, brk_unloadedTopics: 3, brk_storedBytes: 700, brk_backlogAgeSeconds: 40 }),
    namespace('acme/b', { brk_topics: 1, brk_storedBytes: 100, brk_throughputIn: 10, brk_backlogAgeSeconds: 90 }),
    namespace('small/a', { brk_topics: 1, brk_storedBytes: 200, brk_throughputOut: 30 }),
    { metrics: { brk_requestsPerSecond: 5 }, dimensions: { tenant: 'small' } }
  ]
  const two = [namespace('acme/a', { brk_topics: 4, brk_producers: 1, brk_backlogEntries: 7 })]
  const [acme, small] = costsOf(sumUsage([one, two, 'no report']))
  assert.equal(acme?.tenant, 'acme')
  assert.equal(acme.namespaces, 2)
  assert.equal(acme.topics, 10)
  assert.equal(acme.storageBytes, 800)
  assert.equal(acme.backlogEntries, 7)
  assert.equal(acme.backlogAgeSeconds, 90)
  assert.equal(acme.shares.storage, 0.8)
  assert.equal(acme.driver, 'clients')
  assert.equal(small?.requests, 5)
  assert.deepEqual(small.shares, { storage: 0.2, bytes: 0.75, requests: 1, topics: 1 / 11, clients: 0 })
  assert.equal(small.driver, 'requests')
})

test('a tenant that takes nothing has no driver', () => {
  const [idle] = costsOf(sumUsage([[namespace('idle/a', {})]]))
  assert.equal(idle?.driver, undefined)
})

test('one broker is asked where it was asked, several by their addresses', () => {
  assert.deepEqual(brokerUrls(['a:8080'], 'https://door'), ['https://door'])
  assert.deepEqual(brokerUrls(['a:8080', 'b:8080'], 'http://door'), ['http://a:8080', 'http://b:8080'])
  assert.throws(() => brokerUrls(['a:8080', 'b:8080'], 'https://door'), /--admin-url/)
})

test('ages are in their greatest unit', () => {
  assert.deepEqual([0, 59, 61, 7200, 200_000].map(ageText), ['0 s', '59 s', '1 min', '2 h', '2 d'])
})
