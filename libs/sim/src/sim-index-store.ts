import type { SimDisk } from './sim-disk.ts'
import type { SimIndexChange, SimIndexRow, SimIndexVolume } from './sim-index-volume.ts'

const INDEX_MS = 0.03
const INDEX_SYNC_MS = 0.5
/** How much less often than a write a read of a sick store fails. */
const READ_ERRORS = 0.3

/** The store as one process has it open: the shape of the bookie's `IndexStore`. */
export class SimIndexStore {
  readonly #disk: SimDisk
  readonly #content: SimIndexVolume
  /** After a failed write all others fail too, until it is opened again. */
  #isBroken = false

  private constructor(disk: SimDisk) {
    this.#disk = disk
    this.#content = disk.volume.index
  }

  /** Rejects where there is none, or it was damaged, unless a new one is asked for. */
  static open(disk: SimDisk, { isNew }: { readonly isNew: boolean }): Promise<SimIndexStore> {
    return disk.later(INDEX_SYNC_MS, () => {
      const { index } = disk.volume
      if (isNew) {
        index.clear()
        index.isThere = true
      }
      if (!index.isThere) throw new Error('there is no index, or it is damaged')
      return new SimIndexStore(disk)
    })
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#disk.step(INDEX_MS, () => this.getSync(key))
  }

  getSync(key: Buffer): Buffer | undefined {
    this.#check()
    this.#checkRead()
    return this.#content.get(key)
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#disk.step(INDEX_MS, () => keys.map(key => this.getSync(key)))
  }

  async write(changes: readonly SimIndexChange[], { sync }: { readonly sync: boolean }): Promise<void> {
    const put = (): void => {
      const { trouble, random } = this.#disk.volume
      if (random.chance(trouble.indexErrors)) this.#isBroken = true
      this.#check()
      this.#content.write(changes, sync)
    }
    await (sync ? this.#disk.later(INDEX_SYNC_MS, put) : this.#disk.step(INDEX_MS, put))
  }

  scan(options: { readonly from: Buffer; readonly to: Buffer; readonly limit: number }): Promise<SimIndexRow[]> {
    return this.#disk.step(INDEX_MS, () => {
      this.#check()
      this.#checkRead()
      return this.#content.scan(options)
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #checkRead(): void {
    const { trouble, random } = this.#disk.volume
    if (trouble.indexErrors > 0 && random.chance(trouble.indexErrors * READ_ERRORS)) {
      throw indexError('the index cannot be read there')
    }
  }

  #check(): void {
    if (this.#isBroken) throw indexError('an earlier write to the index failed')
  }
}

/** As from a disk. */
function indexError(reason: string): Error {
  return Object.assign(new Error(reason), { code: 'EIO' })
}
