import { crc32c } from '@node-rs/crc32'
import { combineCrc32c, crc32cTables, type EntryId, type LedgerId } from '@strata/base'

export interface DigestFields {
  readonly ledgerId: LedgerId
  readonly entryId: EntryId
  readonly lac: EntryId
  readonly lengthBytes: number
  readonly payload: Buffer
}

/*
  What an entry's digest covers: CRC-32C (Castagnoli) of

    offset  size  field, little-endian
         0     8  ledgerId
         8     8  entryId
        16     8  lac + 1        0: nothing is confirmed yet
        24     8  lengthBytes    of the ledger, this entry included
        32     n  payload
*/
/** Up to so many bytes, the call into native code costs more than the work: for 16, 76 ns where the table takes 24. */
const CHEAPER_HERE_BYTES = 32

/**
 * The digest that travels with an entry from its writer to every reader. The header part is computed here, eight bytes
 * at a time by table, and goes into the native code as its initial state, unless the payload is short: nothing is copied and
 * nothing allocated.
 */
export function entryDigest(fields: DigestFields): number {
  const { payload } = fields
  const header = headerCrc(fields)
  return payload.length <= CHEAPER_HERE_BYTES ? addBytes(header, payload) : crc32c(payload, header)
}

/** `crc` of what stands before the bytes, and of them. */
function addBytes(crc: number, bytes: Uint8Array): number {
  let state = ~crc
  for (let i = 0; i < bytes.length; i++) state = at(T0, state ^ (bytes[i] as number)) ^ (state >>> 8)
  return ~state >>> 0
}

/** The same from the payload's own CRC-32C, where somebody has computed it already: no pass over the bytes. */
export function entryDigestOf(fields: DigestFields, payloadCrc: number): number {
  return combineCrc32c(headerCrc(fields), payloadCrc, fields.payload.length)
}

function headerCrc(fields: DigestFields): number {
  let state = 0xffffffff
  state = addWord(state, fields.ledgerId)
  state = addWord(state, fields.entryId)
  state = addWord(state, fields.lac + 1)
  state = addWord(state, fields.lengthBytes)
  return ~state >>> 0
}

/** Does the entry carry the digest of what it holds? Allocates nothing. */
export function hasValidDigest(fields: DigestFields & { readonly crc32c: number }): boolean {
  return entryDigest(fields) === fields.crc32c
}

type EightTables = [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]

const HIGH = 1 / 0x1_0000_0000
const [T0, T1, T2, T3, T4, T5, T6, T7] = crc32cTables(8) as EightTables

/** A safe integer as eight bytes, little-endian. */
function addWord(state: number, value: number): number {
  const low = state ^ value // ToInt32 takes the low 32 bits of any safe integer
  const high = Math.floor(value * HIGH)
  return (
    at(T7, low) ^
    at(T6, low >>> 8) ^
    at(T5, low >>> 16) ^
    at(T4, low >>> 24) ^
    at(T3, high) ^
    at(T2, high >>> 8) ^
    at(T1, high >>> 16) ^
    at(T0, high >>> 24)
  )
}

function at(table: Int32Array, word: number): number {
  return table[word & 0xff] as number // an Int32Array of 256 has every byte
}
