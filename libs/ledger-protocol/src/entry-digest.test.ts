import { strict as assert } from 'node:assert'
import { entryId, ledgerId } from '@strata/base'
import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { test } from 'vitest'
import { entryDigest, entryDigestOf, hasValidDigest, type DigestFields } from './entry-digest.ts'

const idArb = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 2))
const fieldsArb = fc
  .record({
    ledger: idArb,
    entry: idArb,
    lac: fc.oneof(fc.constant(-1), idArb),
    lengthBytes: idArb,
    payload: fc.uint8Array({ maxLength: 300 })
  })
  .map(({ ledger, entry, lac, lengthBytes, payload }): DigestFields => ({
    ledgerId: ledgerId(ledger),
    entryId: entryId(entry),
    lac: entryId(Math.min(lac, Number.MAX_SAFE_INTEGER - 1)),
    lengthBytes,
    payload: Buffer.from(payload)
  }))

function plainDigest(fields: DigestFields): number {
  const bytes = Buffer.alloc(32 + fields.payload.length)
  const words = [fields.ledgerId, fields.entryId, fields.lac + 1, fields.lengthBytes]
  words.forEach((word, i) => bytes.writeBigUInt64LE(BigInt(word), i * 8))
  fields.payload.copy(bytes, 32)
  return crc32c(bytes)
}

test('the digest is the CRC-32C of the header and the payload', () => {
  fc.assert(fc.property(fieldsArb, fields => assert.equal(entryDigest(fields), plainDigest(fields))))
})

test('CRC-32C is the Castagnoli one', () => assert.equal(crc32c('123456789'), 0xe3069283))

test('any changed field is noticed', () => {
  const fields = {
    ledgerId: ledgerId(7),
    entryId: entryId(3),
    lac: entryId(1),
    lengthBytes: 40,
    payload: Buffer.from('payload')
  }
  const stored = { ...fields, crc32c: entryDigest(fields) }
  assert(hasValidDigest(stored))
  assert(!hasValidDigest({ ...stored, ledgerId: ledgerId(8) }))
  assert(!hasValidDigest({ ...stored, entryId: entryId(4) }))
  assert(!hasValidDigest({ ...stored, lac: entryId(2) }))
  assert(!hasValidDigest({ ...stored, lengthBytes: 41 }))
  assert(!hasValidDigest({ ...stored, payload: Buffer.from('Payload') }))
  assert(!hasValidDigest({ ...stored, payload: Buffer.from('payload\0') }))
})

test('the digest from the payload’s own checksum is the same', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.maxSafeNat(), fc.nat(1000), (bytes, ledger, entry) => {
      const payload = Buffer.from(bytes)
      const fields = {
        ledgerId: ledgerId(ledger),
        entryId: entryId(entry),
        lac: entryId(entry - 1),
        lengthBytes: 77,
        payload
      }
      assert.equal(entryDigestOf(fields, crc32c(payload)), entryDigest(fields))
    })
  )
})
