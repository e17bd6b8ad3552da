import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { afterEach, describe, test } from 'vitest'
import { BrokerWorld } from './testing/broker-world.ts'
import { entryOf, sendFrame, type RawClient } from './testing/raw-client.ts'

const TOPIC = 'persistent://public/default/flood'
const MIB = 1024 * 1024
const CHUNK_SLACK_BYTES = 256 * 1024

let world: BrokerWorld

afterEach(async () => {
  world.node.releaseSyncs()
  await world.close()
})

/** More than the broker takes and the kernel holds. Returns how many. */
function flood(client: RawClient, megabytes: number): number {
  const headers = entryOf('x'.repeat(16 * 1024))
  const count = Math.ceil((megabytes * MIB) / headers.length)
  for (let index = 0; index < count; index++) {
    client.socket.write(sendFrame({ producerId: 0n, sequenceId: BigInt(index) }, headers))
  }
  return count
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(resolve => setImmediate(resolve))
}

describe('a producer that floods while storage does not answer', () => {
  test('is held to a part of the pool, answered when storage goes on, and its neighbour is not stalled', async () => {
    world = await BrokerWorld.start({ strataMemoryBudgetMB: 16 })
    const { ingestPool } = world.broker
    const flooder = await world.connect()
    await flooder.producer(TOPIC)
    const neighbour = await world.connect()
    await neighbour.producer(`${TOPIC}-2`)
    world.node.holdSyncs()
    const count = flood(flooder, 20)
    await until(() => ingestPool.bytesHeld >= ingestPool.bytesMax / 4)
    neighbour.publish({ text: 'small' })
    await neighbour.settle()
    assert.ok(ingestPool.bytesHeld < ingestPool.bytesMax / 4 + CHUNK_SLACK_BYTES, `held ${ingestPool.bytesHeld}`)
    world.node.releaseSyncs()
    await neighbour.next('sendReceipt')
    for (let index = 0; index < count; index++) {
      assert.equal((await flooder.next('sendReceipt')).sequenceId, BigInt(index))
    }
    assert.equal(ingestPool.bytesHeld, 0)
  })

  test('has no more than its share on its way while another tenant publishes, and its acknowledged order stays', async () => {
    // whose time stands still: however slow the machine is, both tenants publish now
    world = await BrokerWorld.start({ strataContendedPublishBufferKB: 512 }, { clock: new ManualClock() })
    const { ingestPool, namespaces } = world.broker
    await namespaces.tenancy.createTenant('quiet', { adminRoles: [], allowedClusters: [world.settings.clusterName] })
    await namespaces.tenancy.createNamespace('quiet/ns', {})
    const [flooder, second] = [await world.connect(), await world.connect()]
    for (const [i, client] of [flooder, second].entries()) await client.producer(`${TOPIC}-${i}`)
    const neighbour = await world.connect()
    await neighbour.producer('persistent://quiet/ns/topic')
    world.node.holdSyncs()
    neighbour.publish({ text: 'small' })
    await until(() => ingestPool.bytesHeld > 0)
    const count = flood(flooder, 20)
    flood(second, 20)
    await neighbour.settle()
    await until(() => ingestPool.bytesHeld >= 512 * 1024)
    await neighbour.settle()
    // a publication more for each connection
    assert.ok(ingestPool.bytesHeld < 600 * 1024, `held ${ingestPool.bytesHeld}`)
    world.node.releaseSyncs()
    await neighbour.next('sendReceipt')
    for (let index = 0; index < count; index++) {
      assert.equal((await flooder.next('sendReceipt')).sequenceId, BigInt(index))
      assert.equal((await second.next('sendReceipt')).sequenceId, BigInt(index))
    }
    assert.equal(ingestPool.bytesHeld, 0)
  })

  test('is told that the broker lives, and is not timed out', async () => {
    const clock = new ManualClock()
    world = await BrokerWorld.start({ strataMemoryBudgetMB: 16 }, { clock })
    const { ingestPool } = world.broker
    const flooder = await world.connect()
    await flooder.producer(TOPIC)
    world.node.holdSyncs()
    const count = flood(flooder, 20)
    await until(() => ingestPool.bytesHeld >= ingestPool.bytesMax / 4)
    flooder.send('ping', {})
    for (let half = 0; half < 6; half++) {
      clock.advance(15_000)
      await flooder.next('pong')
    }
    assert.ok(ingestPool.bytesHeld < ingestPool.bytesMax / 4 + 8 * CHUNK_SLACK_BYTES)
    world.node.releaseSyncs()
    for (let index = 0; index < count; index++) await flooder.next('sendReceipt')
  })

  test('what it held is given back when it goes', async () => {
    world = await BrokerWorld.start({ strataMemoryBudgetMB: 16 })
    const { ingestPool } = world.broker
    const flooder = await world.connect()
    await flooder.producer(TOPIC)
    world.node.holdSyncs()
    flood(flooder, 20)
    await until(() => ingestPool.bytesHeld > 0)
    flooder.destroy()
    world.node.releaseSyncs()
    await until(() => world.broker.connectionCount === 0 && ingestPool.bytesHeld === 0)
  })
})

describe('a consumer that does not read', () => {
  test('loses its turn with bounded output, and the others go on', async () => {
    world = await BrokerWorld.start({ strataMemoryBudgetMB: 16 })
    const { dispatchPool } = world.broker
    const client = await world.connect()
    await client.producer(TOPIC)
    const deaf = await world.connect()
    await deaf.subscribe(TOPIC, { subscription: 'deaf' })
    deaf.flow(100_000)
    await deaf.settle()
    deaf.socket.pause()
    const reader = await world.connect()
    await reader.subscribe(TOPIC, { subscription: 'reader' })
    reader.flow(100_000)
    const count = flood(client, 24)
    for (let index = 0; index < count; index++) {
      await reader.nextMessage()
      assert.ok(dispatchPool.bytesHeld <= dispatchPool.bytesMax + 2 * MIB, `held ${dispatchPool.bytesHeld}`)
    }
    deaf.socket.resume()
    for (let index = 0; index < count; index++) await deaf.nextMessage()
    await until(() => dispatchPool.bytesHeld === 0)
  })
})

describe('clients that announce large frames and take their time', () => {
  test('hold no more than the pool has room for; who stalls the others is closed', async () => {
    const clock = new ManualClock()
    world = await BrokerWorld.start({ strataMemoryBudgetMB: 16, maxMessageSize: 3 * MIB }, { clock })
    const slow = await world.connect()
    await slow.producer(TOPIC)
    const frame = sendFrame({ producerId: 0n, sequenceId: 1n }, entryOf('x'.repeat(MIB)))
    slow.socket.write(frame.subarray(0, MIB / 2))
    await until(() => world.broker.assembly.holderCount === 1)
    const next = await world.connect()
    await next.producer(`${TOPIC}-2`)
    next.socket.write(frame)
    await until(() => world.broker.assembly.waitingCount === 1)
    clock.advance(29_000)
    assert.equal(world.broker.connectionCount, 2)
    clock.advance(2000)
    await slow.closed()
    await next.next('sendReceipt')
    assert.equal(world.broker.assembly.waitingCount, 0)
  })
})
