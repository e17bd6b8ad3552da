import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { judge, longestPauseMs, sentOf, type Delivery, type TopicHistory } from './history.ts'

function history(deliveries: readonly Delivery[], { isOrdered = true } = {}): TopicHistory {
  const receipts = [0, 1, 2].map(number => ({ key: 'k', number, id: `7:${number}`, atMs: number * 10 }))
  return {
    topic: 't',
    receipts,
    failures: [],
    subscriptions: [{ name: 's', isOrdered, deliveries: [...deliveries] }],
    stored: new Map(receipts.map(({ id, key, number }) => [id, { key, number }]))
  }
}

function delivered(numbers: readonly number[], { consumer = 'a', everyMs = 1 } = {}): Delivery[] {
  return numbers.map((number, i) => ({ key: 'k', number, consumer, atMs: i * everyMs }))
}

describe('what the judge says', () => {
  test('nothing, of a run in which all came in order, some twice', () => {
    const { violations, duplicates, acknowledged } = judge([history(delivered([0, 1, 0, 1, 2]))])
    assert.deepEqual({ violations, duplicates, acknowledged }, { violations: [], duplicates: 2, acknowledged: 3 })
  })

  test('a message that never came is lost', () => {
    assert.match(judge([history(delivered([0, 2]))]).violations.join(), /1 acknowledged messages never came: k#1/)
  })

  test('a first delivery behind that of a later message is out of order, but not on Shared', () => {
    assert.match(judge([history(delivered([0, 2, 1]))]).violations.join(), /1 out of order: k#1 by a after k#2 by a/)
    assert.deepEqual(judge([history(delivered([0, 2, 1]), { isOrdered: false })]).violations, [])
  })

  test('between two consumers only what is late for sure is out of order', () => {
    const late = (atMs: number): Delivery[] => [...delivered([0, 2]), { key: 'k', number: 1, consumer: 'b', atMs }]
    assert.deepEqual(judge([history(late(500))]).violations, [])
    assert.match(judge([history(late(5_000))]).violations.join(), /out of order/)
  })

  test('a receipt must name what is in the log', () => {
    const gone = history(delivered([0, 1, 2]))
    gone.stored.delete('7:1')
    assert.match(judge([gone]).violations.join(), /k#1 at 7:1: nothing is there/)
    const other = history(delivered([0, 1, 2]))
    other.stored.set('7:1', sentOf('k#9'))
    assert.match(judge([other]).violations.join(), /k#1 at 7:1: k#9 is there/)
  })

  test('the longest pause is that between two receipts', () => {
    const paused = history([])
    paused.receipts.push({ key: 'k', number: 3, id: '7:3', atMs: 2_020 })
    assert.equal(longestPauseMs(paused), 2_000)
  })
})
