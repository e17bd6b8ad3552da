/** Murmur3, 32 bits, seed 0, over bytes [from, to); without the sign bit, as Pulsar's clients and brokers use it. */
export function murmur3(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0
  let at = from
  for (; at + 4 <= to; at += 4) {
    const word =
      (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
    hash ^= scramble(word)
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let byte = to - 1; byte >= at; byte--) tail = (tail << 8) | (bytes[byte] ?? 0)
  if (at < to) hash ^= scramble(tail)
  hash ^= to - from
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) & 0x7fffffff
}

/** Key_Shared's hash space. */
export const HASH_RANGE_SIZE = 65_536

/** Place of a key in the hash space; 0 stands for 'not set' and is never a key's. */
export function stickyHash(bytes: Uint8Array, from: number, to: number): number {
  return murmur3(bytes, from, to) % HASH_RANGE_SIZE || 1
}

function scramble(word: number): number {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}
