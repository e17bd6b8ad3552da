import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import type { EntryId, LedgerId } from '@strata/base'
import { AddStretch, ENTRY_ALIGNMENT, ENTRY_GAP_BYTES, STRETCH_STRIDE, type AddRequest } from '@strata/ledger-client'
import { crc32c } from '@node-rs/crc32'
import { addOf } from '../testing/fixtures.ts'
import { headerCrc } from './crc32c.ts'
import { decodeFileHeader, encodeFileHeader, fileName, numberOfName } from './file-header.ts'
import { IndexPage, PAGE_BYTES_MAX, PAGE_SLOTS } from './page.ts'
import {
  decodeRecordHeader,
  encodeRecord,
  encodeRecords,
  HEADER_BYTES,
  RECORD_ALIGNMENT,
  RECORD_KIND,
  recordBytes,
  recordMemory
} from './record.ts'

const safe = fc.nat().chain(high => fc.nat().map(low => (high % 2 ** 21) * 2 ** 32 + low))
const bodies = fc.record({
  ledgerId: safe.map(id => id as LedgerId),
  entryId: safe.map(id => id as EntryId),
  lac: fc.oneof(fc.constant(-1), safe).map(id => id as EntryId),
  lengthBytes: safe,
  crc32c: fc.nat(),
  payload: fc.uint8Array({ maxLength: 100 }).map(bytes => Buffer.from(bytes))
})
const stamps = fc.record({
  kind: fc.constantFrom(...Object.values(RECORD_KIND)),
  generation: fc.nat(),
  sequence: safe,
  unsynced: fc.constant(0)
})

test('the CRC of a header is CRC-32C', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 60, maxLength: 60 }), bytes => {
      assert.equal(headerCrc(bytes, 0, 60), crc32c(bytes))
    })
  )
})

test('a record is read as it was written, wherever it stands', () => {
  fc.assert(
    fc.property(bodies, stamps, fc.nat(7), (body, stamp, place) => {
      const memory = recordMemory(Buffer.alloc(1_000, 0xb7))
      const at = place * 8
      assert.equal(encodeRecord(memory, at, body, stamp), recordBytes(body.payload.length))
      const { payload, ...fields } = body
      const { unsynced, ...stamped } = stamp
      const expected = {
        ...fields,
        ...stamped,
        provenSequence: stamp.sequence - unsynced,
        payloadBytes: payload.length
      }
      assert.deepEqual(decodeRecordHeader(memory.bytes, at), expected)
      const start = at + HEADER_BYTES
      assert.ok(memory.bytes.subarray(start, start + payload.length).equals(payload))
    })
  )
})

test('records that are written together are those written one by one, wherever their payloads stand', () => {
  const entries = fc.array(fc.record({ gap: fc.nat(3), payload: fc.uint8Array({ maxLength: 1_200 }) }), {
    minLength: 1
  })
  fc.assert(
    fc.property(entries, fc.nat(7), fc.boolean(), (given, place, isRegular) => {
      const adds = given.map(({ payload }, i) => addOf(7, i * 3, Buffer.from(payload)))
      const stretch = isRegular ? AddStretch.of(adds) : scattered(adds, given)
      const bytes = adds.reduce((sum, { payload }) => sum + recordBytes(payload.length), 0)
      const [one, together] = [0, 1].map(() => recordMemory(Buffer.alloc(place * 8 + bytes, 0xb7)))
      assert(one !== undefined && together !== undefined)
      const stamp = { kind: RECORD_KIND.entry, generation: 3, sequence: 2 ** 33, unsynced: 5 }
      let at = place * 8
      for (const [i, add] of adds.entries()) {
        at += encodeRecord(one, at, add, { ...stamp, sequence: stamp.sequence + i, unsynced: 5 + i })
      }
      const middle = Math.floor(adds.length / 2)
      const first = encodeRecords(together, place * 8, stretch, { from: 0, to: middle, stamp })
      const rest = encodeRecords(together, place * 8 + first, stretch, { from: middle, to: adds.length, stamp })
      assert.equal(first + rest, bytes)
      assert.equal(stamp.sequence, 2 ** 33 + adds.length)
      assert.ok(one.bytes.equals(together.bytes))
    })
  )
})

test('entries come over the wire as far apart as they are written', () => {
  assert.equal(ENTRY_GAP_BYTES, HEADER_BYTES)
  assert.equal(ENTRY_ALIGNMENT, RECORD_ALIGNMENT)
})

/** Payloads with other bytes between them than records have. */
function scattered(adds: readonly AddRequest[], gaps: readonly { readonly gap: number }[]): AddStretch {
  const { numbers, count, ledgerId } = AddStretch.of(adds)
  const parts: Buffer[] = []
  let at = 0
  for (const [i, { payload }] of adds.entries()) {
    const gap = Buffer.alloc(60 + (gaps[i]?.gap ?? 0), 0xff)
    parts.push(gap, payload)
    numbers[i * STRETCH_STRIDE + 4] = at + gap.length
    at += gap.length + payload.length
  }
  return new AddStretch(ledgerId, { bytes: Buffer.concat(parts), numbers, count })
}

test('no header with a bit changed is a header, and neither is anything random', () => {
  const memory = recordMemory(Buffer.alloc(200))
  const body = {
    ledgerId: 5 as LedgerId,
    entryId: 6 as EntryId,
    lac: 5 as EntryId,
    lengthBytes: 9,
    crc32c: 7,
    payload: Buffer.from('abc')
  }
  encodeRecord(memory, 0, body, { kind: RECORD_KIND.entry, generation: 1, sequence: 2, unsynced: 1 })
  for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
    const changed = Buffer.from(memory.bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(decodeRecordHeader(changed, 0), undefined, `bit ${bit}`)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      assert.equal(decodeRecordHeader(Buffer.from(bytes), 0), undefined)
    })
  )
})

test('an index page is a map from slots to places', () => {
  const slots = fc.array(
    fc.record({
      slot: fc.nat(PAGE_SLOTS - 1),
      file: fc.integer({ min: 1, max: 4 }),
      offset: fc.nat(2 ** 28).map(n => n * 8),
      payloadBytes: fc.nat(2 ** 26),
      isCleared: fc.boolean()
    }),
    { maxLength: 400 }
  )
  const used = Buffer.alloc(PAGE_BYTES_MAX, 0xff)
  fc.assert(
    fc.property(slots, changes => {
      const page = new IndexPage()
      const model = new Map<number, unknown>()
      for (const { slot, file, offset, payloadBytes, isCleared } of changes) {
        if (isCleared) {
          page.clear(slot)
          model.delete(slot)
        } else {
          page.set(slot, file, offset, payloadBytes)
          model.set(slot, { file, offset, payloadBytes })
        }
      }
      const decoded = IndexPage.decode(page.encode(used))
      assert.equal(page.isEmpty, model.size === 0)
      for (let slot = 0; slot < PAGE_SLOTS; slot++) {
        assert.deepEqual(page.at(slot), model.get(slot))
        assert.deepEqual(decoded?.at(slot), model.get(slot))
      }
    })
  )
})

test('a page of entries appended one after another costs a few bytes each', () => {
  const page = new IndexPage()
  for (let slot = 0; slot < PAGE_SLOTS; slot++) page.set(slot, 3, 4096 + slot * 1_088 * 10, 1_024)
  assert.ok(page.encode().length < PAGE_SLOTS * 5)
})

test('a page of entries whose records touch costs three bytes each, and is read as it was', () => {
  const page = new IndexPage()
  for (let slot = 0; slot < PAGE_SLOTS; slot++) page.set(slot, 3, 4096 + slot * recordBytes(1_024), 1_024)
  assert.ok(page.encode().length < PAGE_SLOTS * 3 + 16)
  page.clear(9)
  page.set(20, 3, 4096 + 20 * recordBytes(1_024), 1_023)
  const decoded = IndexPage.decode(page.encode())
  for (let slot = 0; slot < PAGE_SLOTS; slot++) assert.deepEqual(decoded?.at(slot), page.at(slot))
})

test('what is no page is not read as one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      IndexPage.decode(Buffer.from(bytes))
      IndexPage.decode(Buffer.from([1, ...bytes]))
    })
  )
})

test('a file header is read as it was written; a newer version is refused by name', () => {
  const header = { kind: 'journal', number: 77, volumeId: '00112233445566778899aabbccddeeff' } as const
  const bytes = encodeFileHeader(header)
  assert.deepEqual(decodeFileHeader(bytes, 'x'), header)
  for (let bit = 0; bit < 512; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(decodeFileHeader(changed, 'x'), undefined)
  }
  bytes[7] = 9
  bytes.writeUInt32LE(headerCrc(bytes, 0, 60), 60)
  assert.throws(() => decodeFileHeader(bytes, 'some-file'), {
    code: 'UNKNOWN_FORMAT',
    details: { file: 'some-file', version: 9 }
  })
  assert.equal(numberOfName('journal', fileName('journal', 12)), 12)
  assert.equal(numberOfName('entry-log', fileName('journal', 12)), undefined)
})
