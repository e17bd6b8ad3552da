import type { BookieId, Clock } from '@strata/base'
import type { BookieDirectories } from '../bookie-types.ts'
import type { Disk } from '../disk/disk.ts'
import { roomiestLogDirectory } from '../disk/free-space.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import type { IndexWriter } from '../index/index-writer.ts'
import type { BookieSettings } from '../settings.ts'
import type { FileTable } from '../storage/file-table.ts'
import { CopyLog } from './copy-log.ts'
import { NodeCopies, type NodeCopiesDoors } from './node-copies.ts'
import { RecordReader } from './record-reader.ts'

interface CopiesParts {
  readonly disk: Disk
  readonly directories: BookieDirectories
  readonly bookieId: BookieId
  readonly settings: BookieSettings
  readonly volume: { readonly volumeId: string }
  readonly files: FileTable
  readonly index: EntryIndex
  readonly writer: IndexWriter
  readonly clock: Clock
}

interface CopiesDoors extends Pick<NodeCopiesDoors, 'findNode' | 'checkTaken' | 'fence'> {
  readonly nextNumber: () => number
  readonly onIndexFailure: (error: unknown) => void
  /** @throws LedgerError UNAVAILABLE: the index cannot be asked */
  readonly withIndex: <Result>(ask: () => Promise<Result>) => Promise<Result>
}

/** What a storage node needs to copy entries from other ones, and to give them its own. */
export function openCopies(parts: CopiesParts, doors: CopiesDoors): { bulk: NodeCopies; log: CopyLog } {
  const { disk, directories, volume, settings, index } = parts
  const log = new CopyLog({
    ...parts,
    chooseDirectory: () => roomiestLogDirectory(disk, directories),
    volumeId: volume.volumeId,
    nextNumber: doors.nextNumber,
    fileBytes: settings.journalFileBytes,
    onIndexFailure: doors.onIndexFailure
  })
  const reader = new RecordReader(parts)
  const bulk = new NodeCopies({
    ...{ bookieId: parts.bookieId, clock: parts.clock, log },
    ...{ findNode: doors.findNode, checkTaken: doors.checkTaken, fence: doors.fence },
    readRecords: request => doors.withIndex(() => reader.read(request)),
    isFenced: ledgerId => index.ledger(ledgerId).isFenceSynced
  })
  return { bulk, log }
}
