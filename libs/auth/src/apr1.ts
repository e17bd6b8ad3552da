import { createHash } from 'node:crypto'

const PREFIX = '$apr1$'
const ROUNDS = 1000
const SALT_CHARS_MAX = 8
const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Which bytes of the digest make up each group of four characters. */
const GROUPS = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5]
] as const

/** Apache's variant of the MD5 crypt of FreeBSD: `$apr1$salt$hash`. About a thousand digests, half a millisecond. */
export function apr1(password: string, salt: string): string {
  const secret = Buffer.from(password, 'utf8')
  const seasoning = Buffer.from(salt.slice(0, SALT_CHARS_MAX), 'latin1')
  const inner = md5(secret, seasoning, secret)
  const parts: Uint8Array[] = [secret, Buffer.from(PREFIX), seasoning]
  for (let left = secret.length; left > 0; left -= inner.length) parts.push(inner.subarray(0, Math.min(left, 16)))
  for (let bits = secret.length; bits > 0; bits >>= 1)
    parts.push((bits & 1) === 1 ? Buffer.of(0) : secret.subarray(0, 1))
  let digest = md5(...parts)
  for (let round = 0; round < ROUNDS; round++) digest = stretched(round, digest, { secret, seasoning })
  return `${PREFIX}${seasoning.toString('latin1')}$${encoded(digest)}`
}

function stretched(round: number, digest: Buffer, input: { secret: Buffer; seasoning: Buffer }): Buffer {
  const isOdd = (round & 1) === 1
  const parts: Uint8Array[] = [isOdd ? input.secret : digest]
  if (round % 3 !== 0) parts.push(input.seasoning)
  if (round % 7 !== 0) parts.push(input.secret)
  parts.push(isOdd ? digest : input.secret)
  return md5(...parts)
}

function md5(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** Six bits a character, the lowest first. */
function encoded(digest: Buffer): string {
  let text = ''
  for (const [high, middle, low] of GROUPS) {
    text += characters((digest.readUInt8(high) << 16) | (digest.readUInt8(middle) << 8) | digest.readUInt8(low), 4)
  }
  return text + characters(digest.readUInt8(11), 2)
}

function characters(value: number, count: number): string {
  return Array.from({ length: count }, (_, index) => ALPHABET[(value >> (6 * index)) & 63]).join('')
}
