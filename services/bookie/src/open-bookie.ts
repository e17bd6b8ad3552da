import { distinctDirectories, type Bookie, type BookieDirectories, type BookieOptions } from './bookie-types.ts'
import { CodedError } from '@strata/base'
import type { Disk } from './disk/disk.ts'
import { freeForWrites } from './disk/free-space.ts'
import { NodeDisk } from './disk/node-disk.ts'
import { bookieErrors, systemCode } from './errors.ts'
import { numberOfName } from './format/file-header.ts'
import { EntryIndex } from './index/entry-index.ts'
import type { IndexStore } from './index/index-store.ts'
import { IndexWriter } from './index/index-writer.ts'
import { LevelIndexStore } from './index/level-index-store.ts'
import { recover, trustedCheckpoint, type RecoveredJournal } from './recovery.ts'
import { defaultBookieSettings, type BookieSettings } from './settings.ts'
import { FileTable } from './storage/file-table.ts'
import { StorageNode } from './storage-node.ts'
import { Volume } from './volume/volume.ts'
import type { JournalExtent } from './volume/watermark.ts'

/**
 * Starts one storage node on its directories: takes them for this process, proves who it is, brings the index up to the
 * journal, and takes adds. Reads little after a crash: the journal from the last checkpoint on.
 *
 * @throws BookieError DIRECTORY_IN_USE, DIRECTORY_UNWRITABLE, DISK_TOO_SMALL, WRONG_CLUSTER, WRONG_VOLUME, JOURNAL_DAMAGED,
 * UNKNOWN_FORMAT, IDENTITY_CONFLICT (retryable); MetadataError; a system error
 */
export async function openBookie(options: BookieOptions): Promise<Bookie> {
  const disk = options.disk ?? new NodeDisk()
  const settings: BookieSettings = { ...defaultBookieSettings, ...options.settings }
  const directories = distinctDirectories(options.directories)
  await prepareDirectories(disk, options.directories, settings)
  const unlocks: (() => Promise<void>)[] = []
  const unlock = async (): Promise<void> => {
    for (const release of unlocks.splice(0)) await release()
  }
  try {
    for (const directory of directories) unlocks.push(await disk.lock(directory))
    return await openLocked({ ...options, disk }, { settings, directories, unlock })
  } catch (error) {
    await unlock()
    throw error
  }
}

async function prepareDirectories(disk: Disk, directories: BookieDirectories, settings: BookieSettings): Promise<void> {
  for (const directory of distinctDirectories(directories)) {
    try {
      await disk.makeDirectory(directory)
    } catch (error) {
      throw bookieErrors.create('DIRECTORY_UNWRITABLE', { directory, reason: systemCode(error) }, error)
    }
  }
  const { directory, freeBytes } = await freeForWrites(disk, directories)
  const { startFreeBytesMin: neededBytes } = settings
  if (freeBytes < neededBytes) {
    throw bookieErrors.create('DISK_TOO_SMALL', { directory, freeBytes, neededBytes })
  }
}

async function openLocked(
  options: BookieOptions & { readonly disk: Disk },
  inner: { settings: BookieSettings; directories: string[]; unlock: () => Promise<void> }
): Promise<Bookie> {
  const { disk, directories, bookieId, clusterId, metadata, logger, clock } = options
  const { settings } = inner
  const names = (await Promise.all(inner.directories.map(directory => disk.list(directory)))).flat()
  const holdsData = names.some(name => numberOfName('journal', name) ?? numberOfName('entry-log', name))
  const identity = {
    disk,
    directories: inner.directories,
    bookieId,
    clusterId,
    metadata,
    clock,
    log: logger,
    holdsData
  }
  const volume = await Volume.open(identity)
  const openStore = options.openIndexStore ?? openLevel
  const { store, checkpoint } = await openTrusted(openStore, options, volume)
  try {
    const files = new FileTable(disk)
    const index = new EntryIndex(store)
    const writer = new IndexWriter(index, files)
    const { volumeId } = volume
    const flushEntries = settings.indexFlushEntries
    const parts = { disk, directories, volumeId, files, index, writer, clock, log: logger }
    const recovered = await recover(
      { ...parts, flushEntries, directoryNumber: directory => volume.directoryNumber(directory) },
      checkpoint
    )
    const extent = extentOf(recovered.journals)
    // Also where the index is lost and all that the journals had was moved, so that nobody can say how far they were.
    const isBehind = volume.isBehind(extent)
    if (isBehind) {
      const behind = { event: 'volume.rolled_back', ...extent, directories: inner.directories }
      logger.error(behind, 'the volume has fewer records than it had: what it lacks is unknown, not absent')
    }
    if (recovered.isSuspect || isBehind) await volume.loseAuthority()
    if (isBehind) await volume.tell(extent)
    const fields = {
      event: 'bookie.recovered',
      records: recovered.journals.reduce((sum, { replay }) => sum + replay.recordCount, 0),
      rebuilt: checkpoint === undefined
    }
    logger.info(fields, 'storage is up to its journal')
    const reopenStore = (): Promise<IndexStore> => openStore(directories.index, { isNew: false })
    return await StorageNode.start({
      ...parts,
      bookieId,
      metadata,
      settings,
      volume,
      recovered,
      reopenStore,
      unlock: inner.unlock
    })
  } catch (error) {
    await store.close()
    throw error
  }
}

function extentOf(journals: readonly RecoveredJournal[]): JournalExtent {
  return {
    sequence: journals.reduce((sum, { replay }) => sum + replay.sequence, 0),
    file: Math.max(...journals.map(({ replay }) => replay.lastFile))
  }
}

/** The index, empty and without a checkpoint where what was there cannot be trusted. */
async function openTrusted(
  openStore: NonNullable<BookieOptions['openIndexStore']>,
  { directories, logger }: BookieOptions,
  volume: Volume
): Promise<{ store: IndexStore; checkpoint: Awaited<ReturnType<typeof trustedCheckpoint>> }> {
  try {
    const store = await openStore(directories.index, { isNew: false })
    const checkpoint = await trustedCheckpoint(store, volume.volumeId)
    if (checkpoint !== undefined) return { store, checkpoint }
    await store.close()
  } catch (error) {
    if (error instanceof CodedError) throw error
    logger.warn({ event: 'index.suspect', err: error }, 'the index cannot be read: it is made anew from the files')
  }
  return { store: await openStore(directories.index, { isNew: true }), checkpoint: undefined }
}

async function openLevel(directory: string, { isNew }: { readonly isNew: boolean }): Promise<IndexStore> {
  const path = `${directory}/level`
  if (isNew) await LevelIndexStore.destroy(path)
  return LevelIndexStore.open(path)
}
