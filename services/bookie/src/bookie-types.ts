import type { BookieId, Clock, Logger } from '@strata/base'
import type { AddSink, AddStretch, BookieNode } from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import { join } from 'node:path'
import type { FindNode } from './copies/node-copies.ts'
import type { Disk } from './disk/disk.ts'
import type { IndexStore } from './index/index-store.ts'
import type { BookieSettings } from './settings.ts'
import type { DamagedRange } from './storage/damage.ts'
import type { StoreStanding } from './volume/store-signature.ts'

export interface BookieDirectories {
  /** Give it its own disk if there is one. */
  readonly journal: string
  readonly entryLogs: string
  readonly index: string
  /** Further disks of the journal: each takes the adds of some ledgers, whatever the others do. */
  readonly moreJournals?: readonly string[]
  /** Further disks of entry logs: the one with most room takes the next. */
  readonly moreEntryLogs?: readonly string[]
}

export function bookieDirectories(root: string): BookieDirectories {
  return { journal: join(root, 'journal'), entryLogs: join(root, 'entry-logs'), index: join(root, 'index') }
}

export function journalDirectories({ journal, moreJournals = [] }: BookieDirectories): string[] {
  return [...new Set([journal, ...moreJournals])]
}

export function entryLogDirectories({ entryLogs, moreEntryLogs = [] }: BookieDirectories): string[] {
  return [...new Set([entryLogs, ...moreEntryLogs])]
}

export function distinctDirectories(directories: BookieDirectories): string[] {
  const { journal, entryLogs, index } = directories
  return [
    ...new Set([journal, entryLogs, index, ...journalDirectories(directories), ...entryLogDirectories(directories)])
  ]
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
  /** Of the last writes, kept for readers at the tail; and how many reads found them. */
  readonly recentBytes: number
  readonly recentReads: number
  /** Since the start. What came, as payloads; what was written for it: to the journal, by moves, to the index. */
  readonly addedBytes: number
  readonly journalWrittenBytes: number
  readonly journalSyncs: number
  readonly movedBytes: number
  /** Of copies that came from other nodes, and passed the journal by. */
  readonly copiedBytes: number
  readonly indexWrittenBytes: number
  /** Room kept back for deletes on a full disk, in all directories. */
  readonly reserveBytes: number
  /** Entries known to be damaged and not repaired. */
  readonly damagedEntries: number
  /** Since the start: compared with digests, and how often all of it was. */
  readonly scrubbedBytes: number
  readonly scrubRounds: number
  readonly quarantinedLedgers: number
  readonly incarnation: number
}

export interface Bookie extends BookieNode {
  addStretch(stretch: AddStretch, sink: AddSink): void
  health(): BookieHealth
  /** Where the node finds those that it copies from; until it is told, it copies from nobody. */
  useNodes(find: FindNode): void
  /** Refuses adds until it is said otherwise or the process ends; reads and deletes go on. */
  setReadOnly(isReadOnly: boolean): void
  stats(): BookieStats
  /** What cannot be read here, to be added again with `recovery` from other nodes: then it is no longer in the list. */
  damaged(): Promise<DamagedRange[]>
  /** Is the metadata store the one that this node left? Signs it anew if so. @throws MetadataError */
  signMetadata(): Promise<StoreStanding>
  /** One round of comparing everything with its digest, from now on if none is under way; resolves at its end. */
  scrub(): Promise<void>
  /** One round of background work now (index, moves, deletions, compaction, disk space); resolves when it is done. */
  housekeep(): Promise<void>
  /** Refuses new adds, syncs what is pending, brings the index up to date. Idempotent. */
  close(): Promise<void>
}
