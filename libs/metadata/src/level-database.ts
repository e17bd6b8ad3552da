import { mkdir } from 'node:fs/promises'
import { ClassicLevel, type Iterator as LevelIterator } from 'classic-level'
import { reasonOf } from '@strata/base'
import { MetadataError } from './errors.ts'

export type LevelWrite =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer }

export interface LevelRange {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt: Buffer
  /** No more are wanted. */
  readonly limit?: number
}

/** So many keys are looked up by the thread that asks: what lies in memory is found sooner than another thread is woken. */
const KEYS_AT_ONCE_MAX = 16
const PIECE_ROWS = 1_000
const PIECE_BYTES = 256 * 1024

/** What the driver needs of LevelDB. A door, so that tests can let writes fail as a full disk does. */
export interface LevelDatabase {
  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]>
  /** Pairs in ascending order, a piece at a time, from one snapshot. Stopping early releases it. */
  iterate(range: LevelRange): AsyncIterable<readonly [Buffer, Buffer][]>
  /** Atomic, and on disk before it resolves. */
  write(writes: LevelWrite[]): Promise<void>
  close(): Promise<void>
}

export type OpenLevel = (directory: string) => Promise<LevelDatabase>

/** @throws MetadataError STORE_LOCKED, STORE_CORRUPT, UNAVAILABLE */
export const openLevel: OpenLevel = async directory => {
  const level = new ClassicLevel<Buffer, Buffer>(directory, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
  try {
    await mkdir(directory, { recursive: true })
    await level.open()
  } catch (error) {
    throw levelError(error, directory)
  }
  return {
    getMany: async keys => (keys.length > KEYS_AT_ONCE_MAX ? level.getMany(keys) : keys.map(key => level.getSync(key))),
    iterate: range => piecesOf(level.iterator({ ...range, highWaterMarkBytes: PIECE_BYTES })),
    write: writes => level.batch(writes, { sync: true }),
    close: () => level.close()
  }
}

async function* piecesOf(
  rows: LevelIterator<ClassicLevel<Buffer, Buffer>, Buffer, Buffer>
): AsyncGenerator<readonly [Buffer, Buffer][]> {
  try {
    for (;;) {
      const piece = await rows.nextv(PIECE_ROWS)
      if (piece.length === 0) return
      yield piece
    }
  } finally {
    await rows.close()
  }
}

/** LevelDB's complaint as an error of this package. */
export function levelError(error: unknown, directory: string): Error {
  if (MetadataError.is(error)) return error
  switch (codeOf(error)) {
    case 'LEVEL_LOCKED':
      return MetadataError.create('STORE_LOCKED', { directory }, error)
    case 'LEVEL_CORRUPTION':
      return MetadataError.create('STORE_CORRUPT', { directory }, error)
    default:
      return MetadataError.create('UNAVAILABLE', { directory, reason: reasonOf(rootError(error)) }, error)
  }
}

function codeOf(error: unknown): unknown {
  const root = rootError(error)
  return root instanceof Error && 'code' in root ? root.code : undefined
}

/** LevelDB wraps the reason why it did not open. */
function rootError(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? rootError(error.cause) : error
}
