import { cp, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeIndexStore } from '../testing/index-store-conformance.ts'
import type { IndexStore } from './index-store.ts'
import { LevelIndexStore } from './level-index-store.ts'

/** Notes how long LevelDB's log was when it was last synced: a power failure may take anything behind. */
function watched(store: IndexStore, logBytes: () => Promise<number>): { store: IndexStore; syncedBytes: () => number } {
  let syncedBytes = 0
  const watching: IndexStore = {
    get: key => store.get(key),
    getSync: key => store.getSync(key),
    getMany: keys => store.getMany(keys),
    scan: options => store.scan(options),
    close: () => store.close(),
    write: async (changes, options) => {
      await store.write(changes, options)
      if (options.sync) syncedBytes = await logBytes()
    }
  }
  return { store: watching, syncedBytes: () => syncedBytes }
}

async function logOf(directory: string): Promise<{ path: string; bytes: number }> {
  const names = (await readdir(directory)).filter(name => name.endsWith('.log')).sort()
  const path = join(directory, names.at(-1) ?? 'none')
  return { path, bytes: (await stat(path)).size }
}

describeIndexStore('LevelDB', async () => {
  const root = await mkdtemp(join(tmpdir(), 'strata-index-'))
  let count = 0
  const opened: IndexStore[] = []
  const open = async (directory: string): Promise<ReturnType<typeof watched> & { directory: string }> => {
    const store = await LevelIndexStore.open(directory)
    opened.push(store)
    return { ...watched(store, async () => (await logOf(directory)).bytes), directory }
  }
  let current = await open(join(root, '0'))
  return {
    store: current.store,
    crash: async random => {
      const image = join(root, String(++count))
      await cp(current.directory, image, { recursive: true })
      const { path, bytes } = await logOf(image)
      const kept = current.syncedBytes() + Math.floor(random() * (bytes - current.syncedBytes() + 1))
      await truncate(path, kept)
      current = await open(image)
      return current.store
    },
    dispose: async () => {
      for (const store of opened) await store.close()
      await rm(root, { recursive: true, force: true })
    }
  }
})
