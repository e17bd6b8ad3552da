import { strict as assert } from 'node:assert'
import { brokerSettings } from '@strata/broker'
import { test } from 'vitest'
import { filesBelow, textOf } from './repository.ts'

test('every setting that changes while a broker runs is in a test of what it does', () => {
  const tests = ['services', 'test'].flatMap(folder => filesBelow(folder, path => path.endsWith('.test.ts')))
  const words = new Set(tests.flatMap(path => textOf(path).match(/\w+/g) ?? []))
  const keys = Object.entries(brokerSettings).flatMap(([key, { dynamic }]) => (dynamic ? [key] : []))
  assert.deepEqual(
    keys.filter(key => !words.has(key)),
    []
  )
})
