import { silentLogger, systemClock, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import type { AddFailure, AddRequest, AddSink } from '@strata/ledger-client'
import { entryDigest } from '@strata/ledger-protocol'
import { MemoryMetadataStore } from '@strata/metadata'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bookieDirectories, type Bookie, type BookieOptions } from '../bookie-types.ts'
import { openBookie } from '../open-bookie.ts'
import type { RecordingDisk } from './recording-disk.ts'

export const CLUSTER = 'test-cluster'
export const BOOKIE = 'bookie-1' as BookieId

export function addOf(
  ledgerId: number,
  entryId: number,
  payload: Buffer,
  { recovery = false, lac = entryId - 1 }: { recovery?: boolean; lac?: number } = {}
): AddRequest {
  const fields = {
    ledgerId: ledgerId as LedgerId,
    entryId: entryId as EntryId,
    lac: lac as EntryId,
    lengthBytes: (entryId + 1) * payload.length,
    payload
  }
  return { ...fields, crc32c: entryDigest(fields), recovery }
}

/** Collects answers and lets a test wait for them. */
export class WaitingSink implements AddSink {
  readonly acknowledged = new Map<number, number>()
  readonly failures: { ledgerId: number; entryId: number; failure: AddFailure }[] = []
  #waiting: { isDone: () => boolean; resolve: () => void }[] = []

  onAdded(ledgerId: LedgerId, entryId: EntryId): void {
    this.acknowledged.set(ledgerId, entryId)
    this.#wake()
  }

  onAddFailed(ledgerId: LedgerId, entryId: EntryId, failure: AddFailure): void {
    this.failures.push({ ledgerId, entryId, failure })
    this.#wake()
  }

  acknowledgedUpTo(ledgerId: number, entryId: number): Promise<void> {
    return this.#until(() => (this.acknowledged.get(ledgerId) ?? -1) >= entryId)
  }

  failed(count: number): Promise<void> {
    return this.#until(() => this.failures.length >= count)
  }

  #until(isDone: () => boolean): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push({ isDone, resolve })
      this.#wake()
    })
  }

  #wake(): void {
    const due = this.#waiting.filter(({ isDone }) => isDone())
    this.#waiting = this.#waiting.filter(waiter => !due.includes(waiter))
    for (const { resolve } of due) resolve()
  }
}

/** A node on real files that can be closed and opened again on the same data and metadata. */
export class TestNode {
  readonly root: string
  readonly metadata = new MemoryMetadataStore()
  readonly #options: Partial<BookieOptions>
  #bookie: Bookie | undefined

  private constructor(root: string, options: Partial<BookieOptions>) {
    this.root = root
    this.#options = options
  }

  static async create(options: Partial<BookieOptions> = {}): Promise<TestNode> {
    return new TestNode(await mkdtemp(join(tmpdir(), 'strata-bookie-')), options)
  }

  async open(options: Partial<BookieOptions> = {}): Promise<Bookie> {
    this.#bookie = await openBookie({
      directories: bookieDirectories(this.root),
      bookieId: BOOKIE,
      clusterId: CLUSTER,
      metadata: this.metadata,
      logger: silentLogger,
      clock: systemClock,
      ...this.#options,
      ...options,
      settings: { ...SMALL, ...this.#options.settings, ...options.settings }
    })
    return this.#bookie
  }

  async destroy(): Promise<void> {
    await this.#bookie?.close()
    await this.metadata.close()
    await rm(this.root, { recursive: true, force: true })
  }
}

/** A node on a disk in memory, or on what is left of one. */
export function openOn(
  disk: RecordingDisk,
  metadata: MemoryMetadataStore,
  settings: BookieOptions['settings'] = SMALL,
  directories = bookieDirectories('/data')
): Promise<Bookie> {
  return openBookie({
    directories,
    bookieId: BOOKIE,
    clusterId: CLUSTER,
    metadata,
    logger: silentLogger,
    clock: systemClock,
    settings,
    disk,
    openIndexStore: disk.openIndexStore
  })
}

const KIB = 1024
/** Small enough that files roll and move within a test; background work runs when a test asks for it. */
export const SMALL = {
  tellSequenceMs: 0,
  journalFileBytes: 256 * KIB,
  journalBytesMax: 1024 * KIB,
  writeBufferBytes: 64 * KIB,
  writeBufferBytesMax: 256 * KIB,
  moveBytesPerSecond: 1024 * KIB * KIB,
  housekeepingMs: 3_600_000,
  readOnlyBelowBytes: 1,
  startFreeBytesMin: 1
}

export async function readAll(
  bookie: Bookie,
  ledgerId: number,
  last: number
): Promise<{ payloads: Buffer[]; end: string }> {
  const payloads: Buffer[] = []
  for (;;) {
    const answer = await bookie.read({
      ledgerId: ledgerId as LedgerId,
      first: payloads.length as EntryId,
      last: last as EntryId,
      bytesMax: 64 * KIB,
      entriesMax: 100,
      fence: false
    })
    payloads.push(...answer.entries.map(entry => entry.payload))
    if (answer.end !== 'limit' || payloads.length > last) return { payloads, end: answer.end }
  }
}

/** Another store with the same records and revisions, as of now. */
export async function copyMetadata(from: MemoryMetadataStore): Promise<MemoryMetadataStore> {
  const copy = new MemoryMetadataStore()
  const { records } = await from.scan({ prefix: '' })
  const newest = Math.max(0, ...records.map(({ version }) => version))
  for (const { key, value } of records) await copy.transact({ compares: [], changes: [{ kind: 'put', key, value }] })
  for (let revision = records.length; revision < newest;) {
    const result = await copy.transact({ compares: [], changes: [{ kind: 'delete', key: 'nothing' }] })
    revision = result.committed ? result.revision : 0
  }
  return copy
}

/** A small generator of numbers in [0, 1): the same ones for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
