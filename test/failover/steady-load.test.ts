import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { faultsOf, type SteadyTopic } from './steady-load.ts'

const POURED = { sent: 10, acknowledged: 10, failed: 0, errors: [], longestPauseMs: 5 }
const DRAINED = { type: 'Failover', received: 10, again: 0, disordered: 0, errors: [] } as const
const topic = (poured: Partial<typeof POURED>, drained: object = {}): SteadyTopic => ({
  name: 't',
  poured: { ...POURED, ...poured },
  drained: [{ ...DRAINED, ...drained }]
})

test.each([
  ['too few', topic({ sent: 5, acknowledged: 5 }), 'only 5 messages'],
  ['a failed one', topic({ acknowledged: 9, failed: 1 }), '1 failed'],
  ['one without an answer', topic({ sent: 11 }), 'of 11 messages 10'],
  ['one that never came', topic({}, { received: 9 }), '9 of 10 came'],
  ['one behind a later one', topic({}, { disordered: 1 }), '1 behind'],
  ['an error of a consumer', topic({}, { errors: ['closed'] }), 'closed']
])('%s is told', (_name, faulty, told) => {
  assert.match(faultsOf(faulty, 10).join('\n'), new RegExp(told))
})

test('Shared has no order, and what comes again is allowed', () => {
  assert.deepEqual(faultsOf(topic({}, { type: 'Shared', disordered: 3, again: 2 }), 10), [])
})
