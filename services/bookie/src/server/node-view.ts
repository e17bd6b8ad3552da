import { statfs } from 'node:fs/promises'
import type { BookieId } from '@strata/base'
import type { ServedBookieNode } from '@strata/ledger-client/grpc'
import { entryLogDirectories, journalDirectories, type Bookie, type BookieDirectories } from '../bookie-types.ts'
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
  /** Each once. */
  readonly directories: readonly string[]
  readonly storage: BookieDirectories
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

/** Where the node stops first: on the fullest disk of journal and index, or the emptiest that entry logs can go to. */
export async function roomOf({ storage }: NodeView): Promise<{ freeBytes: number; totalBytes: number }> {
  const needed = await diskSpaceOf([...journalDirectories(storage), storage.index])
  const logs = await diskSpaceOf(entryLogDirectories(storage))
  const roomiest = logs.reduce((most, space) => (space.freeBytes > most.freeBytes ? space : most))
  const { freeBytes, totalBytes } = needed.reduce(
    (least, space) => (space.freeBytes < least.freeBytes ? space : least),
    roomiest
  )
  return { freeBytes, totalBytes }
}
