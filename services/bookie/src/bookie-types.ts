import type { BookieId, Clock, Logger } from '@strata/base'
import type { BookieNode } from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import { join } from 'node:path'
import type { Disk } from './disk/disk.ts'
import type { IndexStore } from './index/index-store.ts'
import type { BookieSettings } from './settings.ts'

export interface BookieDirectories {
  /** Give it its own disk if there is one. */
  readonly journal: string
  readonly entryLogs: string
  readonly index: string
}

export function bookieDirectories(root: string): BookieDirectories {
  return { journal: join(root, 'journal'), entryLogs: join(root, 'entry-logs'), index: join(root, 'index') }
}

export function distinctDirectories({ journal, entryLogs, index }: BookieDirectories): string[] {
  return [...new Set([journal, entryLogs, index])]
}

export interface BookieOptions {
  readonly directories: BookieDirectories
  readonly bookieId: BookieId
  readonly clusterId: string
  readonly metadata: MetadataStore
  readonly logger: Logger
  readonly clock: Clock
  readonly settings?: Partial<BookieSettings>
  /** Default: real files. */
  readonly disk?: Disk
  /** Default: LevelDB. Rejects where what is there cannot be trusted; `isNew` says that it must be empty. */
  readonly openIndexStore?: (directory: string, options: { readonly isNew: boolean }) => Promise<IndexStore>
}

/** Why adds are refused, or what a person should look at. */
export interface BookieHealth {
  /** read-only: adds are refused for now; reads and deletes go on. failed: the same after a failed write or sync, until the disk takes one again. */
  readonly state: 'writable' | 'read-only' | 'failed' | 'closed'
  /** One line each, naming files and codes; empty when all is well. */
  readonly reasons: readonly string[]
}

export interface BookieStats {
  readonly journalFiles: number
  readonly journalBytes: number
  readonly entryLogs: number
  readonly entryLogBytes: number
  /** Bytes of records that the index points at. */
  readonly liveBytes: number
  /** Records in the journal so far, over all runs. */
  readonly sequence: number
  readonly unindexedBytes: number
  readonly writeBufferBytes: number
  readonly quarantinedLedgers: number
  readonly incarnation: number
}

export interface Bookie extends BookieNode {
  health(): BookieHealth
  /** Refuses adds until it is said otherwise or the process ends; reads and deletes go on. */
  setReadOnly(isReadOnly: boolean): void
  stats(): BookieStats
  /** One round of background work now (index, moves, deletions, compaction, disk space); resolves when it is done. */
  housekeep(): Promise<void>
  /** Refuses new adds, syncs what is pending, brings the index up to date. Idempotent. */
  close(): Promise<void>
}
