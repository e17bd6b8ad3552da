import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '@strata/base'
import type { ArchivableStore, StoreSnapshot } from '../archivable-store.ts'
import { MetadataError } from '../errors.ts'
import type { MetadataRecord } from '../metadata-store.ts'
import { BackupWriter, readBackup, type BackupCounts, type BackupHead } from './backup-file.ts'
import { revisionPast } from '../store-hold.ts'
import { fillStore } from './fill-store.ts'

export interface Backup {
  readonly head: BackupHead
  readonly counts: BackupCounts
}

/**
 * Writes everything that is in the store, as of one revision, to a new file. Records of running processes are left out: they
 * would outlive them. Where etcd compacted the revision away meanwhile it is begun anew, at most `ATTEMPTS_MAX` times.
 * @throws MetadataError; a system error of the file
 */
export async function writeBackup(
  store: ArchivableStore,
  options: { path: string; clusterId: string; clock: Clock; onRecords?: (records: number) => void }
): Promise<Backup> {
  const { path, clusterId, clock } = options
  const aside = `${path}.part`
  for (let attempt = 1; ; attempt++) {
    await rm(aside, { force: true })
    const snapshot = await store.snapshot()
    const head = { clusterId, revision: snapshot.revision, createdAtMs: clock.wallMs() }
    try {
      const counts = await write(aside, head, { snapshot, onRecords: options.onRecords })
      await rename(aside, path)
      await syncDirectory(dirname(path))
      return { head, counts }
    } catch (error) {
      await rm(aside, { force: true })
      if (!MetadataError.is(error, 'UNAVAILABLE') || attempt === ATTEMPTS_MAX) throw error
    }
  }
}

const ATTEMPTS_MAX = 3

async function write(
  path: string,
  head: BackupHead,
  { snapshot, onRecords }: { snapshot: StoreSnapshot; onRecords: ((records: number) => void) | undefined }
): Promise<BackupCounts> {
  const writer = await BackupWriter.create(path, head)
  let leased = 0
  let written = 0
  try {
    for await (const { isLeased, ...record } of snapshot.records()) {
      if (isLeased) leased += 1
      else {
        await writer.add(record)
        onRecords?.(++written)
      }
    }
    return await writer.finish(leased)
  } catch (error) {
    await writer.abandon()
    throw error
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Reads all of a file. @throws MetadataError BACKUP_UNREADABLE */
export async function verifyBackup(path: string): Promise<Backup> {
  let head: BackupHead | undefined
  for await (const part of readBackup(path)) {
    if (part.kind === 'head') head = part.head
    else if (part.kind === 'tail' && head !== undefined) return { head, counts: part.counts }
  }
  throw MetadataError.create('BACKUP_UNREADABLE', { reason: 'it has no end' })
}

/**
 * Puts a backup into an empty store, which is then held until an operator has compared it with the storage nodes. The file is
 * read to its end before anything is written.
 * @throws MetadataError BACKUP_UNREADABLE, STORE_NOT_EMPTY
 */
export async function restoreBackup(
  store: ArchivableStore,
  options: { path: string; clock: Clock; onRecords?: (records: number) => void }
): Promise<Backup> {
  const { path, clock, onRecords } = options
  const backup = await verifyBackup(path)
  const { revision, createdAtMs } = backup.head
  const of = `a backup of ${new Date(createdAtMs).toISOString()}, revision ${revision}`
  await fillStore(store, {
    records: recordsOf(path),
    floor: revisionPast(revision),
    reason: `${of} is being restored`,
    unchecked: `the metadata was restored from ${of}`,
    clock,
    ...(onRecords === undefined ? {} : { onFilled: onRecords })
  })
  return backup
}

async function* recordsOf(path: string): AsyncGenerator<MetadataRecord> {
  for await (const part of readBackup(path)) if (part.kind === 'records') yield* part.records
}
