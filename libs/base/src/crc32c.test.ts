import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { appendWordCrc32c, combineCrc32c } from './crc32c.ts'

/** Bit by bit, as the definition has it. */
function plainCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78
  }
  return (crc ^ 0xffffffff) >>> 0
}

test('the published check value, in two pieces', () => {
  const bytes = Buffer.from('123456789')
  for (let cut = 0; cut <= bytes.length; cut++) {
    const [first, second] = [bytes.subarray(0, cut), bytes.subarray(cut)]
    assert.equal(combineCrc32c(plainCrc32c(first), plainCrc32c(second), second.length), 0xe3069283)
  }
})

test('the checksum of two pieces is that of the whole, for any pieces', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.uint8Array({ maxLength: 3000 }), (first, second) => {
      const whole = plainCrc32c(Buffer.concat([first, second]))
      assert.equal(combineCrc32c(plainCrc32c(first), plainCrc32c(second), second.length), whole)
    })
  )
})

test('a word behind other bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), fc.nat(0xffffffff), (first, word) => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE(word)
      assert.equal(appendWordCrc32c(plainCrc32c(first), word), plainCrc32c(Buffer.concat([first, bytes])))
    })
  )
})
