import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { asError, CodedError, defineErrors, reasonOf } from './errors.ts'

const animalErrors = defineErrors({
  LOST: { retryable: true, summary: 'the animal is not where it was' },
  EATEN: { retryable: false, summary: 'the animal is no more' }
})

test('an error has its code, its details in the message, and its cause', () => {
  const cause = new Error('the gate was open')
  const error = animalErrors.create('LOST', { animal: 'goat' }, cause)
  assert(error instanceof CodedError)
  assert.equal(error.message, 'LOST: the animal is not where it was {"animal":"goat"}')
  assert.deepEqual([error.code, error.retryable, error.cause], ['LOST', true, cause])
  assert.equal(animalErrors.create('EATEN').message, 'EATEN: the animal is no more')
})

test('a family knows its own, by code if asked', () => {
  const error = animalErrors.create('LOST')
  assert(animalErrors.is(error))
  assert(animalErrors.is(error, 'LOST'))
  assert(!animalErrors.is(error, 'EATEN'))
  assert(!animalErrors.is(new Error('LOST')))
  assert(!defineErrors({ OTHER: { retryable: false, summary: '' } }).is(error))
})

test('whatever was caught has a reason and becomes an Error', () => {
  const error = new Error('why')
  assert.equal(reasonOf(error), 'why')
  assert.equal(reasonOf('text'), 'text')
  assert.equal(reasonOf(undefined), 'undefined')
  assert.equal(asError(error), error)
  assert.equal(asError('text').message, 'text')
})
