import { strict as assert } from 'node:assert'
import { beforeEach, describe, test } from 'vitest'
import { bundleName } from './bundle-name.ts'
import type { BrokerAddress } from './contract.ts'
import type { OwnerRow, OwnershipEffect, OwnershipEvent, Outcome } from './events.ts'
import { OwnershipMachine } from './machine.ts'
import { OwnerTable } from './owner-table.ts'

const BUNDLE = bundleName('a/b', 0, 0x4000_0000)
const KEY = BUNDLE.toString()

function brokerOf(name: string): BrokerAddress {
  const urls = { brokerUrl: `pulsar://${name}`, brokerUrlTls: undefined, httpUrl: undefined, httpUrlTls: undefined }
  const described = { id: name, instance: `${name}.1`, version: '1', startedAtMs: 0, urls, isDraining: false }
  return { ...described, listeners: new Map() }
}

function rowOf(owner: string, next = '', movingMs = 2_000): OwnerRow {
  return { owner, next, movingMs, sinceMs: 0, reason: 'test', loadedTopics: [] }
}

describe('the rows as they are known', () => {
  test('are not brought back by an answer that is older than what the watch told', () => {
    const table = new OwnerTable()
    const bundle = KEY
    table.apply({ bundle, row: rowOf('a.1'), version: 5, source: 'watch', nowMs: 0 })
    table.apply({ bundle, row: undefined, version: 9, source: 'watch', nowMs: 0 })
    assert.equal(table.apply({ bundle, row: rowOf('a.1'), version: 5, source: 'answer', nowMs: 0 }), false)
    assert.equal(table.get(bundle), undefined)
    assert.notEqual(table.apply({ bundle, row: rowOf('b.1'), version: 10, source: 'answer', nowMs: 0 }), false)
    // what the watch tells late of the time before changes nothing
    assert.equal(table.apply({ bundle, row: undefined, version: 9, source: 'watch', nowMs: 0 }), false)
    assert.equal(table.get(bundle)?.row.owner, 'b.1')
  })

  test('stand by who lives, and by time as it is counted here', () => {
    const table = new OwnerTable()
    const alive = new Set(['a.1', 'b.1'])
    const standing = (row: OwnerRow, nowMs: number, version: number): string => {
      table.apply({ bundle: KEY, row, version, source: 'watch', nowMs: 100 })
      return table.standing(KEY, instance => alive.has(instance), nowMs).kind
    }
    assert.equal(standing(rowOf('a.1'), 100, 1), 'owned')
    assert.equal(standing(rowOf('x.1'), 100, 2), 'none')
    assert.equal(standing(rowOf('a.1', 'b.1'), 99_999, 3), 'moving')
    assert.equal(standing(rowOf('x.1', 'b.1'), 2_099, 4), 'given')
    assert.equal(standing(rowOf('', 'b.1'), 2_100, 5), 'none')
    assert.equal(standing(rowOf('', 'x.1'), 100, 6), 'none')
    assert.equal(table.standing('other', () => true, 0).kind, 'none')
  })
})

describe('the machine', () => {
  let machine: OwnershipMachine
  let nowMs: number
  let version: number
  let places: string[]
  beforeEach(() => {
    nowMs = 0
    version = 100
    places = []
    machine = new OwnershipMachine({
      place: ({ brokers }) => {
        places.push(brokers.map(({ id }) => id).join())
        const broker = brokers.find(({ id }) => id === 'b') ?? brokers[0]
        return broker === undefined ? undefined : { broker, reason: 'test' }
      }
    })
    step({ kind: 'registered', self: brokerOf('a'), version: ++version })
    for (const name of ['b', 'c']) tell(name)
  })

  const step = (event: OwnershipEvent): OwnershipEffect[] => machine.step(event, { nowMs, wallMs: nowMs })
  const tell = (name: string): OwnershipEffect[] => {
    const broker = brokerOf(name)
    return step({ kind: 'broker', instance: broker.instance, broker, version: ++version, source: 'watch' })
  }
  const row = (next: OwnerRow | undefined): OwnershipEffect[] =>
    step({ kind: 'row', bundle: KEY, row: next, version: ++version, source: 'watch' })
  const locate = (id: number): OwnershipEffect[] => step({ kind: 'locate', id, bundle: BUNDLE, take: false })
  const transactIn = (effects: OwnershipEffect[]): Extract<OwnershipEffect, { kind: 'transact' }> => {
    const found = effects.find(effect => effect.kind === 'transact')
    assert(found !== undefined, 'nothing is written')
    return found
  }
  const answer = (effects: OwnershipEffect[], outcome: Outcome): OwnershipEffect[] =>
    step({ kind: 'transacted', id: transactIn(effects).id, outcome })
  const rowIn = (effects: OwnershipEffect[]): string => {
    const [change] = transactIn(effects).changes
    assert(change?.kind === 'own')
    return `${change.row.owner}>${change.row.next}`
  }

  test('gives a bundle elsewhere when who was to take it does not, and avoids that one', () => {
    const giving = locate(1)
    assert.equal(rowIn(giving), '>b.1')
    answer(giving, { kind: 'committed', revision: ++version })
    assert.equal(machine.wakeMs, 2_000)
    nowMs = 2_000
    const again = step({ kind: 'tick' })
    assert.equal(rowIn(again), 'a.1>')
    assert.deepEqual(places, ['a,b,c', 'a,c'])
    const located = answer(again, { kind: 'committed', revision: ++version }).find(({ kind }) => kind === 'located')
    assert.deepEqual(located, { kind: 'located', id: 1, answer: { kind: 'here' } })
  })

  test('compares the row, its own registration and that the owner is gone', () => {
    step({ kind: 'row', bundle: KEY, row: rowOf('x.1'), version: 200, source: 'watch' })
    const compares = transactIn(locate(1)).compares
    assert.deepEqual(compares, [
      { key: `bundle-owners/${KEY}`, version: 200 },
      { key: 'brokers/a.1', version: 101 },
      { key: 'brokers/x.1', version: 0 }
    ])
  })

  test('waits before it takes again what its namespace is said not to have: the division may be older than the row', () => {
    const taking = row(rowOf('', 'a.1'))
    assert.equal(rowIn(taking), 'a.1>')
    const refused = answer(taking, { kind: 'obsolete' })
    assert.equal(
      refused.some(({ kind }) => kind === 'transact'),
      false
    )
    assert.equal(machine.wakeMs, 50)
    nowMs = 50
    const again = step({ kind: 'tick' })
    answer(again, { kind: 'committed', revision: ++version })
    const located = locate(1).find(({ kind }) => kind === 'located')
    assert.deepEqual(located, { kind: 'located', id: 1, answer: { kind: 'here' } })
  })

  test('answers questions in time, whatever happens', () => {
    answer(locate(1), { kind: 'failed' })
    locate(2)
    nowMs = 19_999
    assert.equal(step({ kind: 'tick' }).filter(({ kind }) => kind === 'located').length, 0)
    nowMs = 20_000
    const refused = step({ kind: 'tick' }).filter(effect => effect.kind === 'located')
    assert.deepEqual(
      refused.map(({ id, answer: { kind } }) => [id, kind]),
      [
        [1, 'refused'],
        [2, 'refused']
      ]
    )
    assert.equal(machine.waiterCount, 0)
  })

  test('has one transaction a bundle under way, and waits after a conflict that tells nothing', () => {
    const first = locate(1)
    assert.equal(locate(2).length, 0)
    assert.equal(answer(first, { kind: 'conflict' }).length, 0)
    assert.equal(machine.wakeMs, 50)
    nowMs = 50
    assert.equal(rowIn(step({ kind: 'tick' })), '>b.1')
  })

  test('uses nothing whose topics are closing, and takes nothing back before they are closed', () => {
    row(rowOf('a.1'))
    assert.notEqual(machine.holdVersion(KEY), undefined)
    const dropped = row(rowOf('b.1'))
    assert(dropped.some(({ kind }) => kind === 'drop'))
    assert.equal(machine.holdVersion(KEY), undefined)
    assert.equal(row(rowOf('', 'a.1')).length, 0)
    assert.equal(rowIn(step({ kind: 'closed', bundle: KEY })), 'a.1>')
  })

  test('merges what it holds in one transaction', () => {
    const right = bundleName('a/b', 0x4000_0000, 0x8000_0000)
    const merged = bundleName('a/b', 0, 0x8000_0000)
    const change = { kind: 'put', key: 'bundles/a/b', value: new Uint8Array() } as const
    const merge = (id: number): OwnershipEffect[] => {
      const division = { parts: [merged], compares: [{ key: 'bundles/a/b', version: 7 }], change }
      return step({ kind: 'redivide', id, bundles: [BUNDLE, right], ...division })
    }
    row(rowOf('a.1'))
    assert.deepEqual(merge(1), [
      { kind: 'done', id: 1, refusal: { code: 'MetadataError', reason: 'the bundle is not held here, or is moving' } }
    ])
    const taking = step({ kind: 'locate', id: 1, bundle: right, take: true })
    const taken = ++version
    answer(taking, { kind: 'committed', revision: taken })
    const merging = merge(2)
    assert.deepEqual(transactIn(merging).compares, [
      { key: `bundle-owners/${KEY}`, version: taken - 1 },
      { key: `bundle-owners/${right.toString()}`, version: taken },
      { key: `bundle-owners/${merged.toString()}`, version: 0 },
      { key: 'brokers/a.1', version: 101 },
      { key: 'bundles/a/b', version: 7 }
    ])
    const done = answer(merging, { kind: 'committed', revision: ++version })
    assert.deepEqual(
      done.filter(({ kind }) => kind !== 'decided'),
      [{ kind: 'done', id: 2, refusal: undefined }]
    )
    assert.equal(machine.holdVersion(merged.toString()), version)
    assert.equal(machine.holdVersion(KEY), undefined)
    assert.deepEqual(machine.held().map(String), [merged.toString()])
  })

  test('keeps both halves where a merge came to nothing', () => {
    const right = bundleName('a/b', 0x4000_0000, 0x8000_0000)
    const merged = bundleName('a/b', 0, 0x8000_0000)
    row(rowOf('a.1'))
    step({ kind: 'row', bundle: right.toString(), row: rowOf('a.1'), version: ++version, source: 'watch' })
    const change = { kind: 'put', key: 'bundles/a/b', value: new Uint8Array() } as const
    const merging = step({
      ...{ kind: 'redivide', id: 1, bundles: [BUNDLE, right], parts: [merged], compares: [], change }
    })
    const [refused] = answer(merging, { kind: 'conflict' })
    assert(refused?.kind === 'done' && refused.refusal?.code === 'MetadataError')
    for (const half of [BUNDLE, right]) assert.notEqual(machine.holdVersion(half.toString()), undefined)
    assert.equal(machine.holdVersion(merged.toString()), undefined)
  })

  test('keeps topics of a lost lease open, and takes back what nobody took before anything else', () => {
    row(rowOf('a.1'))
    const lost = step({ kind: 'lease-lost' })
    assert.deepEqual(
      lost.map(({ kind }) => kind),
      ['decided', 'ask-peers']
    )
    assert.notEqual(machine.holdVersion(KEY), undefined)
    const answered = step({ kind: 'peers-answered', round: 1, answers: ['lost', 'reaches'] })
    assert.deepEqual(answered[0], { kind: 'suspend', isSuspended: true })
    assert.equal(machine.holdVersion(KEY), undefined)
    // whoever asks is to ask another broker, and at once
    const asked = step({ kind: 'locate', id: 8, bundle: BUNDLE, take: false }).find(({ kind }) => kind === 'located')
    assert(asked?.kind === 'located' && asked.answer.kind === 'refused')
    row(undefined)
    const self = { ...brokerOf('a'), instance: 'a.2' }
    const back = step({ kind: 'registered', self, version: ++version })
    assert.equal(rowIn(back), 'a.2>')
    assert(!back.some(({ kind }) => kind === 'suspend'))
    const taken = answer(back, { kind: 'committed', revision: ++version })
    assert.deepEqual(
      taken.filter(({ kind }) => kind === 'suspend'),
      [{ kind: 'suspend', isSuspended: false }]
    )
    assert.notEqual(machine.holdVersion(KEY), undefined)
    // of others' it takes nothing for a while: they may be on their way back, too
    const other = bundleName('a/b', 0x4000_0000, 0x8000_0000)
    assert.equal(step({ kind: 'locate', id: 9, bundle: other, take: true }).length, 0)
    nowMs = 2_000
    assert.equal(rowIn(step({ kind: 'tick' })), 'a.2>')
  })
})
