import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { strictExposition } from './exposition.ts'

test('what was not measured yet is written as readers of the format take it', () => {
  const printed = 'lag_seconds{of="Nan "} Nan\nheap_bytes 12\nage_seconds Nan\n'
  assert.equal(strictExposition(printed), 'lag_seconds{of="Nan "} NaN\nheap_bytes 12\nage_seconds NaN\n')
})
