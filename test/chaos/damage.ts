// What is done to the files of a node that does not run.
import { open, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SeededRandom } from '../support/random.ts'
import type { ChaosNode } from './cluster.ts'

/** These say who the node is; what they hold is not the ledgers' content. */
const SPARED = new Set(['identity', 'lock', 'LOCK'])
/**
 * The last record of a journal, damaged, looks the same as one that a crash tore, and is cut off as such: a node that acknowledged
 * it would say that it never had it. No format can tell the two apart, so the very end is left alone.
 */
const TAIL_BYTES = 256 * 1024
const BALLAST = 'ballast'

interface Stored {
  readonly path: string
  readonly bytes: number
}

/** Turns bits here and there in files below `folder`. Returns how many bytes it changed. */
export async function flipBytes(folder: string, options: { random: SeededRandom; count: number }): Promise<number> {
  const files = await storedBelow(folder)
  const newest = await newestOf(files)
  let changed = 0
  for (let i = 0; i < options.count && files.length > 0; i++) {
    const file = options.random.pick(files)
    const end = file.path === newest ? (await writtenBytes(file)) - TAIL_BYTES : file.bytes
    if (end <= 0) continue
    await flipByte(file.path, options.random.between(0, end - 1))
    changed += 1
  }
  return changed
}

async function flipByte(path: string, position: number): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, position)
    byte[0] = (byte[0] ?? 0) ^ 0x40
    await handle.write(byte, 0, 1, position)
  } finally {
    await handle.close()
  }
}

async function storedBelow(folder: string): Promise<Stored[]> {
  const found: Stored[] = []
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) found.push(...(await storedBelow(path)))
    else if (entry.isFile() && !SPARED.has(entry.name)) {
      const { size } = await stat(path)
      if (size > 0) found.push({ path, bytes: size })
    }
  }
  return found
}

/** The one that was written last. */
async function newestOf(files: readonly Stored[]): Promise<string | undefined> {
  let newest: { path: string; atMs: number } | undefined
  for (const { path } of files) {
    const { mtimeMs } = await stat(path)
    if (newest === undefined || mtimeMs > newest.atMs) newest = { path, atMs: mtimeMs }
  }
  return newest?.path
}

/** Without the zeros at its end: journal files have their full length from the start. */
async function writtenBytes({ path, bytes }: Stored): Promise<number> {
  const handle = await open(path, 'r')
  try {
    const block = Buffer.alloc(64 * 1024)
    for (let start = bytes; start > 0; start -= block.length) {
      const from = Math.max(0, start - block.length)
      const { bytesRead } = await handle.read(block, 0, start - from, from)
      for (let i = bytesRead - 1; i >= 0; i--) if (block[i] !== 0) return from + i + 1
    }
    return 0
  } finally {
    await handle.close()
  }
}

/** Leaves nothing of the volume. */
export async function wipe(node: ChaosNode): Promise<void> {
  for (const name of await readdir(node.data).catch(() => [])) {
    await rm(join(node.data, name), { recursive: true, force: true })
  }
}

/** Takes all the space that is left, until the returned function is called. */
export async function fillDisk(node: ChaosNode): Promise<() => Promise<void>> {
  const path = join(node.data, BALLAST)
  const block = Buffer.alloc(1024 * 1024, 1)
  const handle = await open(path, 'w')
  try {
    for (;;) await handle.write(block)
  } catch {
    await handle.close() // ENOSPC is what was wanted
  }
  return async () => {
    await writeFile(path, '')
    await rm(path)
  }
}
