import type { Clock, Logger } from '@strata/base'
import { distinctDirectories, type BookieDirectories } from '../bookie-types.ts'
import type { Disk } from '../disk/disk.ts'
import { freeForWrites } from '../disk/free-space.ts'
import type { BookieSettings } from '../settings.ts'
import { ReserveFile } from './reserve-file.ts'

export interface SpaceKeeperOptions {
  readonly disk: Disk
  readonly directories: BookieDirectories
  readonly settings: BookieSettings
  readonly clock: Clock
  readonly log: Logger
}

/** In directories other than the index's: for the identity, which a delete writes before anything else. */
const OTHER_RESERVE_BYTES = 1024 * 1024
/** The reserve is not made again sooner: what the disk says of its room may not be what it takes. */
const REMAKE_MS = 60_000
/** So much of the limit may be written between two looks, but no less than a megabyte: disks fill up faster than rounds come. */
const UNSEEN_SHARE = 1 / 8
const UNSEEN_BYTES_MIN = 1024 * 1024
/** Read-only ends at this many times the room at which it began. */
const HYSTERESIS = 1.5

/** Watches the room on the node's disks: whether adds can be taken, and whether the reserve must go, or can come back. */
export class SpaceKeeper {
  readonly #options: SpaceKeeperOptions
  readonly #reserves: readonly ReserveFile[]
  #isLow = false
  #releasedMs: number
  #unseenBytes = 0
  #checking: Promise<void> | undefined

  constructor(options: SpaceKeeperOptions) {
    this.#options = options
    const { disk, directories, settings, clock } = options
    const bytesIn = (directory: string): number =>
      directory === directories.index ? settings.reserveBytes : Math.min(settings.reserveBytes, OTHER_RESERVE_BYTES)
    const wanted = settings.reserveBytes > 0 ? distinctDirectories(directories) : []
    this.#reserves = wanted.map(directory => new ReserveFile({ disk, directory, bytes: bytesIn(directory) }))
    this.#releasedMs = clock.nowMs() - REMAKE_MS
  }

  /** Adds are refused. */
  get isLow(): boolean {
    return this.#isLow
  }

  get reserveBytes(): number {
    return this.#reserves.reduce((sum, { heldBytes }) => sum + heldBytes, 0)
  }

  /** True: enough came since the last look that the room is to be looked at now. */
  noteWritten(bytes: number): boolean {
    this.#unseenBytes += bytes
    const { readOnlyBelowBytes } = this.#options.settings
    return this.#unseenBytes >= Math.max(UNSEEN_BYTES_MIN, readOnlyBelowBytes * UNSEEN_SHARE)
  }

  /** `isIndexFull`: the index could not be written for want of room. One look at a time. @throws a system error */
  check(state: { readonly isIndexFull: boolean }): Promise<void> {
    this.#checking ??= this.#check(state).finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  async #check({ isIndexFull }: { readonly isIndexFull: boolean }): Promise<void> {
    this.#unseenBytes = 0
    const { disk, directories, settings, log } = this.#options
    const { directory, freeBytes } = await freeForWrites(disk, directories)
    const limit = settings.readOnlyBelowBytes * (this.#isLow ? HYSTERESIS : 1)
    const isLow = freeBytes < limit
    if (isLow !== this.#isLow) {
      this.#isLow = isLow
      if (isLow)
        log.warn({ event: 'bookie.read_only', directory, freeBytes }, 'the disk is nearly full: adds are refused')
      else log.info({ event: 'bookie.writable', freeBytes }, 'the disk has room again: adds are taken')
    }
    for (const reserve of this.#reserves) await this.#careForReserve(reserve, isIndexFull)
  }

  async #careForReserve(reserve: ReserveFile, isIndexFull: boolean): Promise<void> {
    const { disk, settings, clock, log } = this.#options
    const { directory, bytes } = reserve
    await reserve.look()
    const freeBytes = await disk.freeBytes(directory)
    if (isIndexFull || freeBytes < bytes / 2) {
      if (reserve.heldBytes === 0) return
      await reserve.release()
      this.#releasedMs = clock.nowMs()
      const fields = { event: 'bookie.reserve_released', directory, freeBytes }
      log.warn(fields, 'the disk is full: the reserve is given up for deletes')
      return
    }
    const isRoom = freeBytes >= settings.readOnlyBelowBytes * HYSTERESIS + bytes
    const isTime = clock.nowMs() - this.#releasedMs >= REMAKE_MS
    if (!reserve.isWhole && isRoom && isTime) await reserve.grow()
  }
}
