import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { ProxySettings } from '../settings.ts'
import { ProxyWorld, settingsOf } from '../testing/world.ts'
import { textOf } from './address.ts'
import { BrokerDirectory, GONE_GRACE_MS } from './broker-directory.ts'

let world: ProxyWorld
let clock: ManualClock
let directory: BrokerDirectory

beforeEach(() => {
  world = new ProxyWorld()
  clock = new ManualClock()
})

afterEach(async () => {
  directory.close()
  await world.close()
})

async function open(changes: Partial<ProxySettings> = {}): Promise<void> {
  const { metadata } = world
  directory = await BrokerDirectory.open({ settings: settingsOf(changes), metadata, clock, logger: silentLogger })
}

const rowOf = (host: string, more: object = {}) => ({
  urls: { brokerUrl: `pulsar://${host}:6650`, httpUrl: `http://${host}:8080` },
  ...more
})

/** What four questions in a row are answered with. */
function turns(): string[] {
  return Array.from({ length: 4 }, () => directory.next())
    .map(address => (address === undefined ? 'none' : textOf(address)))
    .sort()
}

describe('registered brokers', () => {
  test('those that were there and those that come take turns; who is about to leave is not asked', async () => {
    await world.register('1', rowOf('a'))
    await open()
    assert.deepEqual(turns(), Array(4).fill('a:6650'))
    await world.register('2', rowOf('b'))
    assert.deepEqual(turns(), ['a:6650', 'a:6650', 'b:6650', 'b:6650'])
    await world.register('1', rowOf('a', { draining: true }))
    assert.deepEqual(turns(), Array(4).fill('b:6650'))
    assert(directory.isBroker({ host: 'a', port: 6650 }))
    await world.unregister('2')
    // the last one, although it is about to leave
    assert.deepEqual(turns(), Array(4).fill('a:6650'))
    await world.unregister('1')
    assert.deepEqual(turns(), Array(4).fill('none'))
    assert(!directory.isReady)
  })

  test('every listener of a broker is an address of it', async () => {
    await world.register('1', rowOf('a', { listeners: [{ name: 'outside', brokerUrl: 'pulsar://far:7000' }] }))
    await open()
    assert(directory.isBroker({ host: 'far', port: 7000 }))
    assert(directory.isWebOfBroker({ host: 'a', port: 8080 }))
    assert(!directory.isBroker({ host: 'a', port: 8080 }))
    assert.deepEqual(turns(), Array(4).fill('a:6650'))
  })

  test('a row of another format is passed over', async () => {
    const value = Buffer.from([99, 1, 2])
    await world.metadata.transact({ compares: [], changes: [{ kind: 'put', key: 'brokers/x', value }] })
    await world.register('1', rowOf('a'))
    await open()
    assert.deepEqual(turns(), Array(4).fill('a:6650'))
  })

  test('who listens hears of an address that left, and not of one that registered anew in time', async () => {
    await world.register('1', rowOf('a'))
    await world.register('2', rowOf('b'))
    await open()
    const gone: string[] = []
    directory.onGone(name => gone.push(name))
    await world.unregister('1')
    await world.unregister('2')
    clock.advance(GONE_GRACE_MS - 1)
    await world.register('3', rowOf('a'))
    clock.advance(GONE_GRACE_MS)
    assert.deepEqual(gone, ['b:6650'])
  })

  test('addresses in the settings are asked instead, and do not leave', async () => {
    await world.register('1', rowOf('a'))
    await open({ brokerServiceURL: 'pulsar://fixed:6650,fixed2' })
    assert.deepEqual(turns(), ['fixed2:6650', 'fixed2:6650', 'fixed:6650', 'fixed:6650'])
    assert.deepEqual(directory.nextWeb(), { host: 'a', port: 8080 })
    assert(directory.isBroker({ host: 'a', port: 6650 }))
  })
})
