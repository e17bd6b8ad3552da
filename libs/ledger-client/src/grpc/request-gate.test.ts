import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { LedgerError } from '../errors.ts'
import { RequestGate } from './request-gate.ts'

const always = (): boolean => true
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('RequestGate', () => {
  test('lets so many be worked on at once, the others in order', async () => {
    const gate = new RequestGate({ runningMax: 2, waitingMax: 10_000 })
    const started: number[] = []
    const finish: (() => void)[] = []
    const all = Array.from({ length: 3_000 }, (_, i) =>
      gate.run(always, () => {
        started.push(i)
        return new Promise<number>(resolve => finish.push(() => resolve(i)))
      })
    )
    await turn()
    assert.deepEqual([started, gate.runningCount, gate.waitingCount], [[0, 1], 2, 2_998])
    for (let i = 0; i < 3_000; i++) {
      finish[i]?.()
      await turn()
      assert(gate.runningCount <= 2)
    }
    const order = Array.from({ length: 3_000 }, (_, i) => i)
    assert.deepEqual(started, order)
    assert.deepEqual(await Promise.all(all), order)
    assert.deepEqual([gate.runningCount, gate.waitingCount], [0, 0])
  })

  test('what nobody waits for any more is dropped without work, and what fails gives its place back', async () => {
    const gate = new RequestGate({ runningMax: 1, waitingMax: 2 })
    let fail = (): void => undefined
    const first = gate.run(always, () => new Promise((_, reject) => (fail = () => reject(new Error('bad disk')))))
    let isWorked = false
    const late = gate.run(
      () => false,
      async () => {
        isWorked = true
      }
    )
    const next = gate.run(always, () => Promise.resolve('done'))
    const isUnavailable = (error: unknown): boolean => LedgerError.is(error, 'UNAVAILABLE')
    await assert.rejects(
      gate.run(always, () => Promise.resolve()),
      isUnavailable
    ) // too many wait
    fail()
    await assert.rejects(first, /bad disk/)
    await assert.rejects(late, isUnavailable)
    assert.equal(await next, 'done')
    assert.equal(isWorked, false)
  })
})
