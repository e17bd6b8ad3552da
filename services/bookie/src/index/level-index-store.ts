import { ClassicLevel } from 'classic-level'
import { setImmediate as breath } from 'node:timers/promises'
import type { IndexChange, IndexRow, IndexStore } from './index-store.ts'

const MIB = 1024 * 1024
/** Each is copied into native memory at once; so many take a fraction of a millisecond. */
const CHANGES_PER_SLICE = 128

export class LevelIndexStore implements IndexStore {
  readonly #level: ClassicLevel<Buffer, Buffer>

  private constructor(level: ClassicLevel<Buffer, Buffer>) {
    this.#level = level
  }

  /** @throws what LevelDB says: a lock held elsewhere, damage, no space. */
  static async open(directory: string): Promise<LevelIndexStore> {
    const level = new ClassicLevel<Buffer, Buffer>(directory, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      writeBufferSize: 4 * MIB,
      cacheSize: 8 * MIB,
      compression: false
    })
    await level.open()
    return new LevelIndexStore(level)
  }

  static destroy(directory: string): Promise<void> {
    return ClassicLevel.destroy(directory)
  }

  get(key: Buffer): Promise<Buffer | undefined> {
    return this.#level.get(key)
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#level.getSync(key)
  }

  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#level.getMany([...keys])
  }

  async write(changes: readonly IndexChange[], options: { readonly sync: boolean }): Promise<void> {
    const batch = this.#level.batch()
    let count = 0
    for (const { key, value } of changes) {
      if (value === undefined) batch.del(key)
      else batch.put(key, value)
      if (++count % CHANGES_PER_SLICE === 0) await breath()
    }
    await batch.write(options)
  }

  async scan(options: { readonly from: Buffer; readonly to: Buffer; readonly limit: number }): Promise<IndexRow[]> {
    const iterator = this.#level.iterator({ gte: options.from, lt: options.to, limit: options.limit })
    const rows = await iterator.all()
    return rows.map(([key, value]) => ({ key, value }))
  }

  close(): Promise<void> {
    return this.#level.close()
  }
}
