/*
  CRC-32C without its data: the checksum of two pieces put together follows from the checksums of the pieces and the
  length of the second one. So a checksum that was verified when a message arrived needs no second pass over its bytes.

  In the field of polynomials modulo P (0x82f63b78, bits reflected), appending n bytes multiplies the checksum of what
  stands before them by x^(8n).
*/
const POLYNOMIAL = 0x82f63b78
const ONE = 0x8000_0000

/** The checksum of A followed by B, given both checksums and the bytes of B. All as unsigned 32-bit numbers. */
export function combineCrc32c(first: number, second: number, secondBytes: number): number {
  return (multiply(shiftOf(secondBytes), first) ^ second) >>> 0
}

function multiply(a: number, b: number): number {
  let product = 0
  let factor = b
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor
    factor = (factor & 1) === 0 ? factor >>> 1 : (factor >>> 1) ^ POLYNOMIAL
  }
  return product
}

/** x^(8 * 2^k) for each k. */
const POWERS = powers()

function powers(): Int32Array {
  const table = new Int32Array(48)
  let power = ONE >>> 8 // x^8
  for (let k = 0; k < table.length; k++) {
    table[k] = power
    power = multiply(power, power)
  }
  return table
}

// Messages of a producer tend to have the same length: the last shift of each length is remembered, at one place for all
// lengths that agree in their low bits. A cache, so it may forget.
const REMEMBERED = 1024
const rememberedBytes = new Float64Array(REMEMBERED).fill(-1)
const rememberedShift = new Int32Array(REMEMBERED)

/** x^(8 * bytes). */
function shiftOf(bytes: number): number {
  const slot = bytes & (REMEMBERED - 1)
  if (rememberedBytes[slot] === bytes) return rememberedShift[slot] as number
  let shift = ONE
  let rest = bytes
  for (let k = 0; rest > 0; k++) {
    if (rest % 2 === 1) shift = multiply(POWERS[k] as number, shift)
    rest = Math.floor(rest / 2)
  }
  rememberedBytes[slot] = bytes
  rememberedShift[slot] = shift
  return shift
}

const BYTE_TABLE = byteTable()

function byteTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL
    return crc
  })
}

/** For code that computes several bytes at a time: table k gives the effect of a byte that has k more bytes behind it. */
export function crc32cTables(count: number): readonly Int32Array[] {
  const tables = [byteTable()]
  while (tables.length < count) {
    const before = tables.at(-1) as Int32Array
    tables.push(before.map(crc => (BYTE_TABLE[crc & 0xff] as number) ^ (crc >>> 8)))
  }
  return tables
}

/** The checksum of what `crc` covers followed by a 32-bit word, big-endian. For heads of a few bytes. */
export function appendWordCrc32c(crc: number, word: number): number {
  let state = ~crc
  for (let shift = 24; shift >= 0; shift -= 8) {
    state = (BYTE_TABLE[(state ^ (word >>> shift)) & 0xff] as number) ^ (state >>> 8)
  }
  return ~state >>> 0
}
