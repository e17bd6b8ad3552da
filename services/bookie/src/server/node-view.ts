import { statfs } from 'node:fs/promises'
import type { BookieId } from '@strata/base'
import type { ServedBookieNode } from '@strata/ledger-client/grpc'
import type { Bookie } from '../bookie-types.ts'
import type { NodeAuditor } from './node-auditor.ts'

/** What the admin door and the metrics show of a running node. */
export interface NodeView {
  readonly bookie: Bookie
  readonly served: ServedBookieNode
  readonly bookieId: BookieId
  readonly clusterId: string
  /** host:port, as others are told. */
  readonly address: string
  readonly softwareVersion: string
  readonly startedAtMs: number
  readonly directories: readonly string[]
  /** Undefined: the node does not stand for election, or not yet. */
  readonly care: { auditor: NodeAuditor | undefined }
}

export interface DiskSpace {
  readonly directory: string
  readonly freeBytes: number
  readonly totalBytes: number
}

/** Of the file systems that directories are on. A directory that cannot be asked has none. */
export async function diskSpaceOf(directories: readonly string[]): Promise<DiskSpace[]> {
  return Promise.all(
    directories.map(async directory => {
      try {
        const { bavail, blocks, bsize } = await statfs(directory)
        return { directory, freeBytes: bavail * bsize, totalBytes: blocks * bsize }
      } catch {
        return { directory, freeBytes: 0, totalBytes: 0 }
      }
    })
  )
}

/** Of the fullest one: where the node stops first. */
export function fullestOf(spaces: readonly DiskSpace[]): { freeBytes: number; totalBytes: number } {
  return spaces.reduce((least, space) => (space.freeBytes < least.freeBytes ? space : least), {
    freeBytes: Infinity,
    totalBytes: 0
  })
}
