import { mkdir } from 'node:fs/promises'
import { ClassicLevel } from 'classic-level'
import { reasonOf } from '@strata/base'
import { MetadataError } from './errors.ts'

export type LevelWrite =
  | { readonly type: 'put'; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: 'del'; readonly key: Buffer }

export interface LevelRange {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt: Buffer
}

/** What the driver needs of LevelDB. A door, so that tests can let writes fail as a full disk does. */
export interface LevelDatabase {
  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]>
  /** Pairs in ascending order, in pieces, from one snapshot. Stopping early releases it. */
  iterate(range: LevelRange): AsyncIterable<[Buffer, Buffer]>
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
    getMany: keys => level.getMany(keys),
    iterate: range => level.iterator(range),
    write: writes => level.batch(writes, { sync: true }),
    close: () => level.close()
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
