/** Orders keys by their UTF-8 bytes, which JavaScript's own comparison (by UTF-16 unit) does not. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i)
    const unitB = b.charCodeAt(i)
    if (unitA !== unitB) return utf8Rank(unitA) - utf8Rank(unitB)
  }
  return a.length - b.length
}

/** Surrogates stand for code points past U+FFFF, so they go behind the units from U+E000 on. */
function utf8Rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/**
 * Any well-formed string as one segment of a key path: without `/`, never empty, unique, and in the order of the strings
 * by their UTF-8 bytes (where it is the last segment). Each character has a code that begins no other character's code
 * and stands where the character stands, so order survives: `.` is `.0`, `/` is `.1`, U+0000 and U+0001 are U+0001 with
 * U+0001 or U+0002 behind it; all others are themselves. The empty string is U+0001.
 */
export function encodeSegment(text: string): string {
  if (text === '') return '\x01'
  return text.replace(/[\0\x01./]/g, unit => CODE_OF.get(unit) ?? unit)
}

/** Inverse of `encodeSegment`; undefined for what it never gives. */
export function decodeSegment(segment: string): string | undefined {
  if (segment === '\x01') return ''
  const text = segment.replace(/[.\x01][^]/g, code => UNIT_OF.get(code) ?? code)
  return encodeSegment(text) === segment ? text : undefined
}

const CODE_OF: ReadonlyMap<string, string> = new Map([
  ['\0', '\x01\x01'],
  ['\x01', '\x01\x02'],
  ['.', '.0'],
  ['/', '.1']
])
const UNIT_OF: ReadonlyMap<string, string> = new Map([...CODE_OF].map(([unit, code]) => [code, unit]))

/** The least byte string behind everything that starts with `prefix` (UTF-8 has no 0xff, so adding one never carries). */
export function endOfPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  const last = end.length - 1
  end[last] = (end[last] ?? 0) + 1
  return end
}
