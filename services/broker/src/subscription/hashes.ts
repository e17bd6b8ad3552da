import { murmur3_32 } from '@strata/wire'

/** Key_Shared's hash space. Keys hash to 1..65535. */
export const HASH_RANGE_SIZE = 65_536

/** Non-negative 31-bit hash of a name, for places on a ring. */
export function hashOfText(text: string): number {
  return murmur3_32(Buffer.from(text)) & 0x7fffffff
}
