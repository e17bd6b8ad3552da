import { strict as assert } from 'node:assert'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { isBrokerError } from '../errors.ts'
import { keys } from '../namespace/rows.ts'
import type { BundleName } from './contract.ts'
import { BrokerSet, NAMESPACE, type TestBroker } from './testing/broker-set.ts'

let set: BrokerSet
beforeEach(() => {
  set = new BrokerSet()
})
afterEach(() => set.close())

async function firstBundle({ ownership }: TestBroker): Promise<BundleName> {
  const [bundle] = await ownership.bundlesOf(NAMESPACE)
  assert(bundle !== undefined)
  return bundle
}

/** `taker` has the first bundle, and everybody knows. */
async function held(taker: TestBroker): Promise<BundleName> {
  const bundle = await firstBundle(taker)
  const placement = await taker.ownership.locate(bundle, { take: true })
  assert.equal(placement.kind, 'here')
  await set.settle()
  return bundle
}

const isMetadataError = (error: unknown): boolean => isBrokerError(error, 'MetadataError')

describe('who serves a bundle', () => {
  test('is decided by whoever is asked first, and the same to everyone', async () => {
    const brokers = await set.open(['a', 'b', 'c'])
    for (const bundle of await brokers[0]!.ownership.bundlesOf(NAMESPACE)) {
      const placements = await Promise.all(brokers.map(({ ownership }) => ownership.locate(bundle)))
      const owners = placements.map((placement, i) =>
        placement.kind === 'here' ? brokers[i]?.id : placement.broker.id
      )
      assert.equal(new Set(owners).size, 1, owners.join())
      assert.equal(placements.filter(({ kind }) => kind === 'here').length, 1)
    }
    const counts = brokers.map(({ ownership }) => ownership.held().length)
    assert.equal(
      counts.reduce((sum, count) => sum + count),
      4
    )
    assert.equal(brokers[1]?.ownership.owners().size, 4)
  })

  test('is the one that was asked, where it is told to take it', async () => {
    const [, b] = (await set.open(['a', 'b', 'c'])) as [TestBroker, TestBroker]
    const bundle = await held(b)
    const hold = b.ownership.holdOf(bundle)
    assert(hold?.guard !== undefined)
    const record = await set.store.get(hold.guard.key)
    assert.deepEqual([record?.version, hold.epoch], [hold.guard.version, hold.guard.version])
    assert.equal((await b.ownership.explain(bundle)).state, 'owned')
  })

  test('is nobody, for a bundle that the namespace does not have', async () => {
    const [a] = (await set.open(['a'])) as [TestBroker]
    const bundle = await firstBundle(a)
    await set.store.transact({ compares: [], changes: [{ kind: 'delete', key: keys.namespace(NAMESPACE) }] })
    await assert.rejects(a.ownership.locate(bundle))
    assert.deepEqual(a.ownership.held(), [])
  })

  test('is asked in vain at most for a while, and by so many', async () => {
    const [a] = (await set.open(['a'], { waitersMax: 2 })) as [TestBroker]
    const bundle = await firstBundle(a)
    a.answers.set('b', 'reaches')
    a.isCut = true
    a.loseLease()
    await set.settle()
    const waiting = [0, 1].map(() => assert.rejects(a.ownership.locate(bundle), isMetadataError))
    await set.settle()
    assert.equal(a.ownership.waiterCount, 2)
    await assert.rejects(a.ownership.locate(bundle), error => isBrokerError(error, 'TooManyRequests'))
    await set.pass(19_900)
    assert.equal(a.ownership.waiterCount, 2)
    await set.pass(200)
    await Promise.all(waiting)
    assert.equal(a.ownership.waiterCount, 0)
  })
})

describe('a planned move', () => {
  test('closes the topics, then the next one has it and loads what was loaded', async () => {
    const [a, b, c] = (await set.open(['a', 'b', 'c'])) as [TestBroker, TestBroker, TestBroker]
    const bundle = await held(a)
    let close = (): void => undefined
    a.closing = new Promise(resolve => (close = resolve))
    a.names = ['persistent://public/default/x']
    const unloading = a.ownership.unload(bundle, { to: 'c' })
    await set.settle()
    assert.deepEqual(a.notes, [`release ${bundle.range} c`])
    assert.equal(a.ownership.holdOf(bundle), undefined)
    assert.equal((await a.ownership.explain(bundle)).state, 'handing over')
    const asked = [a, b, c].map(({ ownership }) => ownership.locate(bundle))
    await set.settle()
    assert.equal(c.ownership.holdOf(bundle), undefined)
    close()
    await unloading
    assert.deepEqual(
      (await Promise.all(asked)).map(placement => (placement.kind === 'here' ? 'here' : placement.broker.id)),
      ['c', 'c', 'here']
    )
    assert.deepEqual(c.notes, [`preload ${bundle.range} persistent://public/default/x`])
  })

  test('to a broker that is not there is refused; to itself is nothing', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundle = await held(a)
    await assert.rejects(a.ownership.unload(bundle, { to: 'x' }), error => isBrokerError(error, 'NotAllowedError'))
    await a.ownership.unload(bundle, { to: 'a' })
    await assert.rejects(b.ownership.unload(bundle), isMetadataError)
    assert.deepEqual(a.notes, [])
  })

  test('with nobody else there closes the topics, and their clients come back here', async () => {
    const [a] = (await set.open(['a'])) as [TestBroker]
    const bundle = await held(a)
    await a.ownership.unload(bundle)
    assert.deepEqual(a.notes, [`release ${bundle.range} a`])
    assert.equal((await a.ownership.locate(bundle)).kind, 'here')
  })

  test('that takes too long does not happen', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundle = await held(a)
    let close = (): void => undefined
    a.closing = new Promise(resolve => (close = resolve))
    const unloading = assert.rejects(a.ownership.unload(bundle), isMetadataError)
    await set.pass(10_100)
    await unloading
    const asked = b.ownership.locate(bundle)
    assert.equal(a.ownership.holdOf(bundle), undefined)
    close()
    await set.settle()
    assert.notEqual(a.ownership.holdOf(bundle), undefined)
    const placement = await asked
    assert.equal(placement.kind === 'there' && placement.broker.id, 'a')
  })

  test('of everything comes before a broker leaves, and nothing comes to one that drains', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundles = await a.ownership.bundlesOf(NAMESPACE)
    for (const bundle of bundles) await a.ownership.locate(bundle, { take: true })
    await a.ownership.drain()
    assert.deepEqual(a.ownership.held(), [])
    assert.equal(b.ownership.held().length, bundles.length)
    assert.equal(b.ownership.brokers().find(({ id }) => id === 'a')?.isDraining, true)
    await a.ownership.close()
    await set.settle()
    assert.deepEqual(
      b.ownership.brokers().map(({ id }) => id),
      ['b']
    )
  })

  test('of everything goes at the pace that was asked for, unless somebody asks again without one', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundles = await a.ownership.bundlesOf(NAMESPACE)
    assert(bundles.length >= 4)
    for (const bundle of bundles) await a.ownership.locate(bundle, { take: true })
    const paced = a.ownership.drain({ unloadsPerSecond: 2 })
    await set.settle()
    assert.equal(a.ownership.held().length, bundles.length - 1)
    await set.pass(400)
    assert.equal(a.ownership.held().length, bundles.length - 1)
    await set.pass(200)
    assert.equal(a.ownership.held().length, bundles.length - 2)
    await a.ownership.drain()
    assert.deepEqual(a.ownership.held(), [])
    assert.equal(b.ownership.held().length, bundles.length)
    await set.pass(10_000)
    await paced
  })

  test('a split leaves both halves where they were, topics open', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundle = await held(a)
    await a.ownership.split(bundle, [0x2000_0000])
    await set.settle()
    const [low, high] = await b.ownership.bundlesOf(NAMESPACE)
    assert(low !== undefined && high !== undefined)
    assert.deepEqual([low.range, high.range], ['0x00000000_0x20000000', '0x20000000_0x40000000'])
    for (const half of [low, high]) {
      assert.notEqual(a.ownership.holdOf(half), undefined)
      assert.equal((await b.ownership.locate(half)).kind, 'there')
    }
    assert.deepEqual(a.notes, [])
    await assert.rejects(b.ownership.locate(bundle), isMetadataError)
  })

  test('a merge makes one of two, topics open, its epoch above both', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const [left, right, third] = await a.ownership.bundlesOf(NAMESPACE)
    assert(left !== undefined && right !== undefined && third !== undefined)
    for (const half of [right, left]) await a.ownership.locate(half, { take: true })
    const epochs = [left, right].map(half => a.ownership.holdOf(half)?.epoch ?? Infinity)
    await a.ownership.merge(left, right)
    await set.settle()
    const [merged, next] = await b.ownership.bundlesOf(NAMESPACE)
    assert(merged !== undefined)
    assert.deepEqual([merged.range, next?.range], ['0x00000000_0x80000000', third.range])
    const hold = a.ownership.holdOf(merged)
    assert((hold?.epoch ?? 0) > Math.max(...epochs))
    assert.equal((await b.ownership.locate(merged)).kind, 'there')
    assert.deepEqual(a.notes, [])
    for (const half of [left, right]) {
      assert.equal(a.ownership.holdOf(half), undefined)
      await assert.rejects(b.ownership.locate(half), isMetadataError)
    }
    assert.equal([...(await set.store.scan({ prefix: 'bundle-owners/' })).records].length, 1)
    await a.ownership.unload(merged, { to: 'b' })
    assert.deepEqual(a.notes, [`release ${merged.range} b`])
  })

  test('a merge needs both, side by side, and leaves all as it was otherwise', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const [left, right, third, last] = await a.ownership.bundlesOf(NAMESPACE)
    assert(left !== undefined && right !== undefined && third !== undefined && last !== undefined)
    for (const one of [left, third, last]) await a.ownership.locate(one, { take: true })
    await b.ownership.locate(right, { take: true })
    const isRefused = (error: unknown): boolean => isBrokerError(error, 'NotAllowedError')
    await assert.rejects(a.ownership.merge(left, third), isRefused)
    await assert.rejects(a.ownership.merge(last, third), isRefused)
    await assert.rejects(a.ownership.merge(left, right), isMetadataError)
    await set.settle()
    assert.equal((await a.ownership.bundlesOf(NAMESPACE)).length, 4)
    assert.notEqual(a.ownership.holdOf(left), undefined)
    assert.notEqual(b.ownership.holdOf(right), undefined)
    await a.ownership.merge(third, last)
    assert.equal((await a.ownership.bundlesOf(NAMESPACE)).at(-1)?.range, '0x80000000_0xffffffff')
  })
})

describe('a broker that died', () => {
  test('is declared dead by two of three, and its bundles fall to the others', async () => {
    const [a, b, c] = (await set.open(['a', 'b', 'c'])) as [TestBroker, TestBroker, TestBroker]
    const bundle = await held(a)
    b.believe(a, true)
    await set.settle()
    assert.equal(b.ownership.brokers().length, 3)
    b.believe(a, false)
    await set.pass(300)
    c.believe(a, true)
    await set.pass(300)
    assert.deepEqual(a.notes, [])
    const { instance } = a.ownership.self
    b.believe(a, true)
    await set.pass(300)
    assert.deepEqual(a.notes, [`drop ${bundle.range} -`])
    assert.notEqual(a.ownership.self.instance, instance)
    assert.equal(b.ownership.brokers().length, 3)
    assert.equal([...(await set.store.scan({ prefix: 'broker-suspicions/' })).records].length, 0)
  })

  test('is declared dead by the only other one', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    await held(a)
    b.believe(a, true)
    await set.settle()
    assert.equal(a.notes.length, 1)
  })

  test('and starts again takes the place of what it was', async () => {
    const [a] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundle = await held(a)
    a.isCut = true // it is gone without a word
    const [, , again] = (await set.open(['a'])) as [TestBroker, TestBroker, TestBroker]
    await set.settle()
    assert.deepEqual(
      again.ownership.brokers().map(({ id }) => id),
      ['a', 'b']
    )
    const placement = await again.ownership.locate(bundle)
    assert(placement.kind === 'here' || placement.broker.id === 'b')
  })
})

describe('a broker without a lease', () => {
  test('goes on where its peers have lost the store too, and takes everything back', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    await held(a)
    a.answers.set('b', 'lost')
    b.isCut = true
    b.loseLease()
    a.isCut = true
    a.loseLease()
    await set.pass(1_000)
    assert.deepEqual(a.notes, [])
    a.isCut = false
    a.loseLease()
    await set.pass(100)
    assert.deepEqual(a.notes, [])
  })

  test('suspends while a peer reaches the store, and drops what that one took', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundle = await held(a)
    a.answers.set('b', 'reaches')
    a.isCut = true
    a.loseLease()
    await set.pass(100)
    assert.deepEqual(a.notes, ['suspend', `drop ${bundle.range} b`])
    assert.equal(a.ownership.holdOf(bundle), undefined)
    assert.equal((await b.ownership.locate(bundle)).kind, 'here')
    assert.equal(a.ownership.isServing, false)
    a.isCut = false
    await set.pass(300)
  })
})

test('there is one leader, and another one when it leaves', async () => {
  const brokers = await set.open(['a', 'b'])
  await set.settle()
  const [a, b] = brokers as [TestBroker, TestBroker]
  const first = a.ownership.leader()
  assert.equal(first?.instance, b.ownership.leader()?.instance)
  const [leader, other] = first?.id === 'a' ? [a, b] : [b, a]
  await leader.ownership.close()
  await set.pass(1_000)
  assert.equal(other.ownership.leader()?.id, other.id)
})

describe('a broker that does not reach storage', () => {
  test('gives its bundles up with nothing closed, and gets none until it says so', async () => {
    const [a, b] = (await set.open(['a', 'b'])) as [TestBroker, TestBroker]
    const bundle = await held(a)
    a.names = ['persistent://public/default/t']
    a.closing = new Promise(() => undefined) // storage does not let a topic be closed
    await a.ownership.giveUp()
    await set.settle()
    assert.deepEqual(a.notes, [`drop ${bundle.range} b`])
    assert.deepEqual(b.notes, [`preload ${bundle.range} persistent://public/default/t`])
    assert.equal(b.ownership.brokers().find(({ id }) => id === 'a')?.isDraining, true)
    for (const each of await a.ownership.bundlesOf(NAMESPACE)) {
      const placement = await a.ownership.locate(each, { take: true })
      assert.equal(placement.kind === 'there' ? placement.broker.id : 'here', 'b')
    }
    await a.ownership.setDraining(false)
    await set.settle()
    await b.ownership.unload(bundle)
    assert.equal(a.ownership.ownerOf(bundle)?.id, 'a')
  })
})
