import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { bundlesBetween, evenBoundaries } from './bundle-name.ts'
import type { BrokerAddress } from './contract.ts'
import { watchedBy } from './peer-watch.ts'
import { placeByHash } from './placement.ts'

const brokersOf = (count: number): BrokerAddress[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `broker-${i}:8080`,
    instance: `i${i}`,
    version: '1',
    startedAtMs: 0,
    urls: { brokerUrl: undefined, brokerUrlTls: undefined, httpUrl: undefined, httpUrlTls: undefined },
    listeners: new Map(),
    isDraining: false
  }))

test('bundles are spread evenly, and few move when a broker goes', () => {
  const brokers = brokersOf(5)
  const bundles = bundlesBetween('a/b', evenBoundaries(4000))
  const counts = new Map<string, number>()
  let moved = 0
  for (const bundle of bundles) {
    const { id } = placeByHash({ bundle, brokers }).broker
    counts.set(id, (counts.get(id) ?? 0) + 1)
    if (placeByHash({ bundle, brokers: brokers.slice(0, 4) }).broker.id !== id) moved++
  }
  for (const count of counts.values()) assert(count > 700 && count < 900, `${count} of 4000 for one of five`)
  assert.equal(moved, counts.get('broker-4:8080'))
})

test('up to eight brokers all watch all; of more each watches three, and is watched by three', () => {
  assert.equal(watchedBy('i0', brokersOf(8)).length, 7)
  const brokers = brokersOf(20)
  const watchers = new Map<string, number>()
  for (const { instance } of brokers) {
    for (const watched of watchedBy(instance, brokers)) {
      assert.notEqual(watched.instance, instance)
      watchers.set(watched.instance, (watchers.get(watched.instance) ?? 0) + 1)
    }
  }
  assert.deepEqual([...new Set(watchers.values())], [3])
  assert.equal(watchers.size, 20)
})
