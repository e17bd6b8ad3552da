import { join } from 'node:path'
import type { Disk, DiskFile } from '../disk/disk.ts'
import { bookieErrors } from '../errors.ts'
import { isDigestRight } from '../format/digest.ts'
import { decodeFileHeader, FILE_HEADER_BYTES, numberOfName } from '../format/file-header.ts'
import { RECORD_KIND, type RecordHeader } from '../format/record.ts'
import { RecordScan } from '../storage/record-scan.ts'

export interface ReplayOptions {
  readonly disk: Disk
  readonly directory: string
  readonly volumeId: string
  /** Where the index ends: only what is behind it is read. Sequence 0: everything. */
  readonly from: { readonly generation: number; readonly offset: number; readonly sequence: number }
  /** Records in order, each synced by the time `replayJournal` resolves. */
  readonly onRecord: (header: RecordHeader, offset: number, file: number) => Promise<void> | undefined
}

export interface ReplayedFile {
  readonly number: number
  readonly path: string
  /** Where its valid records end; for a file before the checkpoint, where the file ends. */
  readonly end: number
  readonly sizeBytes: number
  /** It holds no record at all and may be reused. */
  readonly isEmpty: boolean
  /** False for a file that lies before the checkpoint. */
  readonly wasRead: boolean
  /** Its last record was the last thing that a closing node wrote: nothing can be behind it. */
  readonly isSealed: boolean
}

export interface Replay {
  readonly files: readonly ReplayedFile[]
  /** Of the next record. */
  readonly sequence: number
  /** Number of the file that the last record is in; 0: there is none. */
  readonly lastFile: number
  readonly recordCount: number
}

/** A piece of what is written once more. */
const REWRITE_BYTES = 1024 * 1024

/** What one file shows before anything is decided. */
interface Sighting {
  readonly number: number
  readonly path: string
  readonly file: DiskFile
  readonly sizeBytes: number
  /** Of its first record; undefined if no valid record stands there. */
  readonly firstSequence: number | undefined
}

/**
 * Reads the journal from the checkpoint on and gives every record that is certain.
 *
 * A file is read while records follow each other: right generation, next sequence, right digest. Where that ends, either
 * the tail is torn (a crash came before its sync) or something is damaged. Every record names what was synced when it was
 * written; so if any record anywhere, in this file or a later one, proves a sequence that was not reached, it is damage.
 * Records at or past the first sequence of a later file were given up (their sync failed and their sequences were given
 * out again), and are passed over.
 *
 * What was read may still be in the page cache only, and there even after a sync: a write whose sync failed is read back and no
 * later sync covers it (Rebello et al., "Can Applications Recover from fsync Failures?", 2020). So what no record proves
 * is written once more and synced before this resolves.
 *
 * @throws JOURNAL_DAMAGED {file, offset}, WRONG_VOLUME, UNKNOWN_FORMAT, or a system error
 */
export async function replayJournal(options: ReplayOptions): Promise<Replay> {
  const names = await options.disk.list(options.directory)
  const numbers = names.map(name => numberOfName('journal', name)).filter(number => number !== undefined)
  const sightings: Sighting[] = []
  try {
    for (const number of numbers.sort((a, b) => a - b)) sightings.push(await look(options, names, number))
    return await new Replayer(options, sightings).run()
  } finally {
    for (const { file } of sightings) await file.close()
  }
}

async function look({ disk, directory, volumeId }: ReplayOptions, names: string[], number: number): Promise<Sighting> {
  const name = names.find(candidate => numberOfName('journal', candidate) === number) ?? ''
  const path = join(directory, name)
  const file = await disk.open(path, { create: false })
  try {
    const head = Buffer.alloc(FILE_HEADER_BYTES)
    await file.read(head, 0)
    const header = decodeFileHeader(head, path)
    // A file gets this name only after its header is synced.
    if (header?.kind !== 'journal' || header.number !== number) damaged(path, 0)
    if (header.volumeId !== volumeId) throw bookieErrors.create('WRONG_VOLUME', { file: path })
    const scan = new RecordScan((into, offset) => file.read(into, offset), { windowBytes: 64 * 1024 })
    const first = await scan.next()
    const firstSequence = first?.header.generation === number ? first.header.sequence : undefined
    return { number, path, file, sizeBytes: await file.sizeBytes(), firstSequence }
  } catch (error) {
    await file.close()
    throw error
  }
}

function damaged(file: string, offset: number): never {
  throw bookieErrors.create('JOURNAL_DAMAGED', { file, offset })
}

class Replayer {
  readonly #options: ReplayOptions
  readonly #sightings: readonly Sighting[]
  /** Sequence of the next record: all before it were read. */
  #sequence: number
  /** Every record below it was synced, as some record says. */
  #proven = 0
  /** Where reading stopped: if there is damage, it is there. */
  #stop: { readonly path: string; readonly offset: number } | undefined
  #recordCount = 0
  /** A record of the file that is read now, before which every record is proven, and a later one that is to become it. */
  #provenTo = { sequence: 0, offset: 0 }
  #mark = { sequence: 0, offset: 0 }

  constructor(options: ReplayOptions, sightings: readonly Sighting[]) {
    this.#options = options
    this.#sightings = sightings
    this.#sequence = options.from.sequence
  }

  async run(): Promise<Replay> {
    const files: ReplayedFile[] = []
    for (const [i, sighting] of this.#sightings.entries()) {
      if (sighting.number < this.#options.from.generation) files.push(passedOver(sighting))
      else files.push(await this.#readFile(sighting, this.#limitOf(i)))
    }
    if (this.#proven > this.#sequence) {
      const last = this.#sightings.at(-1)
      damaged(this.#stop?.path ?? last?.path ?? this.#options.directory, this.#stop?.offset ?? 0)
    }
    const lastFile = files.findLast(({ isEmpty }) => !isEmpty)?.number ?? 0
    return { files, sequence: this.#sequence, lastFile, recordCount: this.#recordCount }
  }

  /** Sequences from this one on were given out again in a later file. */
  #limitOf(index: number): number {
    let limit = Number.MAX_SAFE_INTEGER
    for (const { firstSequence } of this.#sightings.slice(index + 1)) {
      if (firstSequence !== undefined && firstSequence < limit) limit = firstSequence
    }
    return limit
  }

  async #readFile(sighting: Sighting, limit: number): Promise<ReplayedFile> {
    const { number, path, file, sizeBytes } = sighting
    const from = this.#options.from
    const start = number === from.generation ? Math.max(from.offset, FILE_HEADER_BYTES) : FILE_HEADER_BYTES
    if (number > from.generation) this.#begin(sighting)
    const scan = new RecordScan((into, offset) => file.read(into, offset), {
      offset: start,
      end: sizeBytes,
      readsAhead: true
    })
    let end = start
    let isSealed = false
    this.#provenTo = this.#mark = { sequence: this.#sequence, offset: start }
    for (;;) {
      const record = scan.held() ?? (await scan.next())
      if (record === undefined || !this.#isNext(record.header, number, limit)) break
      if (record.header.kind === RECORD_KIND.entry && !isDigestRight(record.header, record.payload)) break
      const taken = this.#take(record.header, record.offset, number)
      if (taken !== undefined) await taken
      end = scan.offset
      isSealed = record.header.kind === RECORD_KIND.seal
    }
    await this.#lookPast(sighting, end)
    if (end > FILE_HEADER_BYTES) await makeDurable(file, this.#provenTo.offset, end)
    return {
      number,
      path,
      end,
      sizeBytes,
      isEmpty: end === FILE_HEADER_BYTES,
      isSealed,
      wasRead: true
    }
  }

  /** A later file that begins past what was read: records between are missing. */
  #begin({ firstSequence, path }: Sighting): void {
    if (firstSequence === undefined) return
    // Nothing was indexed yet: the oldest file there is begins the journal.
    if (this.#sequence === 0 && this.#recordCount === 0 && this.#stop === undefined) this.#sequence = firstSequence
    else if (firstSequence > this.#sequence) damaged(this.#stop?.path ?? path, this.#stop?.offset ?? FILE_HEADER_BYTES)
  }

  #isNext(header: RecordHeader, generation: number, limit: number): boolean {
    return header.generation === generation && header.sequence === this.#sequence && header.sequence < limit
  }

  #take(header: RecordHeader, offset: number, file: number): Promise<void> | undefined {
    this.#proven = Math.max(this.#proven, header.provenSequence)
    if (this.#proven >= this.#mark.sequence) {
      this.#provenTo = this.#mark
      this.#mark = { sequence: header.sequence, offset }
    }
    this.#sequence++
    this.#recordCount++
    return this.#options.onRecord(header, offset, file)
  }

  /** What stands behind the end: a record that proves more than was read turns a torn tail into damage. */
  async #lookPast({ number, path, file, sizeBytes }: Sighting, end: number): Promise<void> {
    this.#stop = { path, offset: end }
    const scan = new RecordScan((into, offset) => file.read(into, offset), { offset: end, end: sizeBytes })
    for (;;) {
      const header = await scan.seekHeader()
      if (header === undefined) return
      if (header.generation !== number) continue
      this.#proven = Math.max(this.#proven, header.provenSequence)
      if (this.#proven > this.#sequence) damaged(path, end)
    }
  }
}

async function makeDurable(file: DiskFile, from: number, end: number): Promise<void> {
  for (let offset = from; offset < end; offset += REWRITE_BYTES) {
    const piece = Buffer.allocUnsafe(Math.min(REWRITE_BYTES, end - offset))
    await file.read(piece, offset)
    await file.write(piece, offset)
  }
  await file.sync()
}

function passedOver({ number, path, sizeBytes }: Sighting): ReplayedFile {
  return { number, path, end: sizeBytes, sizeBytes, isEmpty: false, isSealed: false, wasRead: false }
}
