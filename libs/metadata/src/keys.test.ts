import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { compareKeys, decodeSegment, encodeSegment } from './keys.ts'

const textArb = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\0', '\x01', '\x02', '.', '/', '0', '1', 'a', '\uffff', '\u{10000}') })
)
const byBytes = (a: string, b: string): number => Math.sign(Buffer.from(a).compare(Buffer.from(b)))

test('keys are ordered by their bytes', () => {
  fc.assert(fc.property(textArb, textArb, (a, b) => assert.equal(Math.sign(compareKeys(a, b)), byBytes(a, b))))
})

test('a segment stands for one text, holds no slash, and keeps the order of texts', () => {
  fc.assert(
    fc.property(textArb, textArb, (a, b) => {
      const [one, other] = [encodeSegment(a), encodeSegment(b)]
      assert(one.length > 0 && !one.includes('/') && !one.includes('\0'))
      assert.equal(decodeSegment(one), a)
      assert.equal(byBytes(one, other), byBytes(a, b))
    }),
    { numRuns: 2_000 }
  )
})

test('what no text encodes to is no segment', () => {
  for (const wrong of ['', '/', 'a.', 'a.2', '\x01\x03', 'a\x01']) assert.equal(decodeSegment(wrong), undefined)
})
