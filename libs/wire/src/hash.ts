/** MurmurHash3, 32 bits, seed 0, of `buffer[start, end)`: unsigned. */
export function murmur3_32(buffer: Uint8Array, start = 0, end = buffer.length): number {
  const bytes = end - start
  const blocksEnd = start + (bytes & ~3)
  let hash = 0
  for (let at = start; at < blocksEnd; at += 4) {
    const block =
      (buffer[at] as number) |
      ((buffer[at + 1] as number) << 8) |
      ((buffer[at + 2] as number) << 16) |
      ((buffer[at + 3] as number) << 24)
    hash ^= scramble(block)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = end - 1; at >= blocksEnd; at--) tail = (tail << 8) | (buffer[at] as number)
  if (blocksEnd < end) hash ^= scramble(tail)
  hash ^= bytes
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** Java's `String.hashCode` with the sign bit cleared, as clients route keys by default. */
export function javaStringHash(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++) hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  return hash & 0x7fffffff
}
