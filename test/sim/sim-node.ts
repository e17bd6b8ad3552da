import { CodedError, reasonOf, type BookieId, type Logger } from '@strata/base'
import { bookieDirectories, openBookie, type Bookie, type BookieDirectories, type BookieSettings } from '@strata/bookie'
import { readWatermark } from '@strata/bookie/testing'
import {
  RemoteNode,
  SimDisk,
  SimIndexStore,
  SimVolume,
  type Random,
  type SimMetadata,
  type SimNetwork,
  type SimProcess
} from '@strata/sim'
import type { Scheduler } from '@strata/sim'
import type { History } from './history.ts'
import { isOnDisk } from './copies-on-disk.ts'
import { NodeWatch } from './node-watch.ts'
import type { StoragePlan } from './plan.ts'

export const CLUSTER_ID = 'simulated'

const HOUSEKEEPING_MS = 220
const JOURNAL_FILE_BYTES = 8 * 1024
const JOURNAL_FILES = 3

/** Small, so that within a few seconds files fill, roll, move and are compacted. */
export const NODE_SETTINGS: Partial<BookieSettings> = {
  journalAgeMsMax: 5_000,
  writeBufferBytes: 2 * 1024,
  writeBufferBytesMax: 8 * 1024,
  indexFlushBytes: 16 * 1024,
  indexFlushEntries: 64,
  indexFlushMs: 350,
  moveChunkBytes: 8 * 1024,
  moveBytesPerSecond: 1024 * 1024,
  readAheadBytes: 4 * 1024,
  readAheadCacheBytes: 32 * 1024,
  tellSequenceMs: 150,
  scrubIntervalMs: 400,
  readOnlyBelowBytes: 1,
  startFreeBytesMin: 1
}

export interface NodeWorld {
  readonly storage: StoragePlan
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly metadata: SimMetadata
  readonly history: History
  readonly logger: Logger
  /** Nodes whose data may be destroyed: fewer than any ack quorum. */
  readonly mayDestroy: (bookie: BookieId) => boolean
  /** The registry hears of a node. */
  readonly onRegistered: (bookie: BookieId, isThere: boolean) => void
}

const RESTART_MS = 40
/** Of what a node asks another one that it copies from. */
const COPY_TIMEOUT_MS = 150
/** An idle journal proves what is in it within two rounds of housekeeping, and those take their time. */
const UNPROVEN_ROUNDS = 5

/**
 * A block of the journal is written again with each small batch until it is full. A write that goes astray may land across it, and then
 * what it had goes with it: as many answers as there are records of 64 bytes in it, at most.
 */
const ANSWERS_PER_BLOCK = 64

/** A node of the simulated cluster: the real storage engine, again and again, on one simulated disk. */
export class SimNode {
  readonly bookieId: BookieId
  readonly volume: SimVolume
  readonly watch: NodeWatch
  readonly directories: BookieDirectories
  /** Each of its directories once. */
  readonly roots: readonly string[]
  readonly #settings: Partial<BookieSettings>
  readonly #unprovenMs: number
  /** By when it went down last: what it answered from then on may be unproven. */
  #unprovenSinceMs = 0
  readonly #world: NodeWorld
  #process: SimProcess | undefined
  #bookie: Bookie | undefined
  #startCount = 0
  #incarnation = 0
  /** It is to run; false: it was crashed and nobody started it again. */
  #isWanted = false
  /** Its disk was tampered with, so that it may refuse to start. */
  isSuspect = false
  /** So many answers may have gone with that. */
  #places = 0

  constructor(bookieId: BookieId, world: NodeWorld, random: Random) {
    this.bookieId = bookieId
    this.#world = world
    this.volume = new SimVolume(random)
    this.watch = new NodeWatch(bookieId, world.history)
    const { storage } = world
    this.directories = directoriesOf(`/${bookieId}`, storage)
    const { journal, entryLogs, index, moreJournals = [], moreEntryLogs = [] } = this.directories
    this.roots = [...new Set([journal, entryLogs, index, ...moreJournals, ...moreEntryLogs])]
    const { recentBytes, reserveBytes, isScrubbed } = storage
    const { journalFileBytes = JOURNAL_FILE_BYTES, housekeepingMs = HOUSEKEEPING_MS } = storage
    const journalBytesMax = JOURNAL_FILES * journalFileBytes
    const scrubBytesPerSecond = isScrubbed ? 1024 * 1024 : 0
    const sizes = { recentBytes, reserveBytes, journalFileBytes, journalBytesMax }
    this.#settings = { ...NODE_SETTINGS, ...sizes, scrubBytesPerSecond, housekeepingMs }
    this.#unprovenMs = UNPROVEN_ROUNDS * housekeepingMs
  }

  get process(): SimProcess | undefined {
    return this.#process
  }

  get bookie(): Bookie | undefined {
    return this.#bookie
  }

  /** How often it came up. */
  get startCount(): number {
    return this.#startCount
  }

  /** Of the start that it runs from. */
  get incarnation(): number {
    return this.#incarnation
  }

  get isUp(): boolean {
    return this.#bookie !== undefined
  }

  start(): void {
    this.#isWanted = true
    if (this.#process !== undefined) return
    const { scheduler, metadata, history, logger } = this.#world
    const process = scheduler.createProcess(this.bookieId)
    this.#process = process
    history.counts.starts++
    const disk = new SimDisk(this.volume, process)
    process.post(0, () => {
      openBookie({
        directories: this.directories,
        bookieId: this.bookieId,
        clusterId: CLUSTER_ID,
        metadata: metadata.handle(process),
        logger,
        clock: process,
        settings: this.#settings,
        disk,
        openIndexStore: (_, options) => SimIndexStore.open(disk, options)
      }).then(
        bookie => this.#onStarted(process, bookie),
        (error: unknown) => this.#onRefused(process, error)
      )
    })
  }

  /** The process is killed; `powerFails`: and of what was not synced only a part is there. */
  crash({ powerFails }: { powerFails: boolean }): void {
    this.#isWanted = false
    if (this.#process === undefined) return
    this.#stop()
    this.#world.history.tell(this.bookieId, powerFails ? 'loses power' : 'is killed')
    this.#world.history.counts.crashes++
    if (powerFails) this.volume.crash()
    this.#unprovenSinceMs = this.#world.scheduler.nowMs - this.#unprovenMs
    if (this.isSuspect) this.#forgetUnproven()
    else this.watch.checkCopies(entry => isOnDisk(this.volume, entry))
  }

  /** One of its directories is gone, with the index if that is where it was. */
  loseDirectory(which: number): void {
    const root = this.roots[which % this.roots.length]
    this.destroy(volume => {
      volume.wipe(`${root}/`)
      if (root === this.directories.index) volume.index.clear()
    })
  }

  /** What the metadata store was told last of its journals. */
  told(): ReturnType<typeof readWatermark> {
    return readWatermark(this.#world.metadata.store, this.bookieId)
  }

  /** Everything on the disk is gone, or (`directory`) one folder; to be called between a crash and a start. */
  destroy(destruction: (volume: SimVolume) => void): void {
    destruction(this.volume)
    this.isSuspect = true
    this.watch.onDestroyed()
  }

  rot(places: number): void {
    this.#places += places
    this.destroy(volume => {
      for (let i = 0; i < places; i++) volume.rot()
    })
    // what goes down with it is forgiven then
    if (this.#process === undefined) this.#forgetUnproven()
  }

  /** So many of its next writes go to another place of their files. */
  misdirect(writes: number): void {
    this.#places += writes * ANSWERS_PER_BLOCK
    this.destroy(volume => (volume.trouble.misdirectedWrites += writes))
  }

  #forgetUnproven(): void {
    this.watch.forgetUnproven(this.#unprovenSinceMs, Math.max(1, this.#places))
  }

  #stop(): void {
    this.#process?.kill()
    this.#process = undefined
    this.#bookie = undefined
    this.#world.network.unlisten(this.bookieId)
    this.#world.onRegistered(this.bookieId, false)
  }

  #onStarted(process: SimProcess, bookie: Bookie): void {
    const { network, history, onRegistered } = this.#world
    this.#startCount++
    this.#bookie = bookie
    this.#incarnation = bookie.stats().incarnation
    bookie.useNodes(id => {
      const source = new RemoteNode(network, { process, bookieId: id, timeoutMs: COPY_TIMEOUT_MS })
      return { bulk: this.watch.fetching(source.bulk) }
    })
    history.tell(this.bookieId, this.#startCount === 1 ? 'is up' : 'is up again')
    network.listen(this.bookieId, process, this.watch.wrap(bookie))
    onRegistered(this.bookieId, true)
  }

  /** The supervisor starts it again; what no start can mend, an operator mends by an empty disk, where that is allowed. */
  #onRefused(process: SimProcess, error: unknown): void {
    const { history, scheduler, mayDestroy } = this.#world
    if (!(error instanceof CodedError) && !isSystemError(error)) {
      scheduler.fail(error)
      return
    }
    history.tell(this.bookieId, () => `does not start: ${reasonOf(error)}`)
    const isLasting = error instanceof CodedError && !error.retryable && error.code !== 'DISK_TOO_SMALL'
    if (isLasting) {
      if (!this.isSuspect || !mayDestroy(this.bookieId)) {
        history.violate('starts', `${this.bookieId} refuses a disk that kept its promises: ${reasonOf(error)}`)
        return
      }
      this.destroy(volume => volume.wipe())
    }
    process.kill()
    this.#process = undefined
    scheduler.post(undefined, RESTART_MS, () => {
      if (this.#isWanted) this.start()
    })
  }
}

function directoriesOf(root: string, { isApart, journals, entryLogs }: StoragePlan): BookieDirectories {
  const more = (kind: string, count: number): string[] => {
    return Array.from({ length: count - 1 }, (_, i) => `${root}-more/${kind}-${i}`)
  }
  const own = isApart ? bookieDirectories(root) : { journal: root, entryLogs: root, index: root }
  return { ...own, moreJournals: more('journal', journals), moreEntryLogs: more('entry-logs', entryLogs) }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z]+$/.test(error.code)
}
