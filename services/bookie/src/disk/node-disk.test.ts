import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { BLOCK_BYTES, ownBlockMemory } from './block-memory.ts'
import { NodeDisk } from './node-disk.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'strata-disk-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

test('a file that ends within a block is read past the page cache up to its end, also what was written to it just now', async () => {
  const path = join(directory, 'file')
  const content = Buffer.alloc(2 * BLOCK_BYTES + 1_000, 'content')
  writeFileSync(path, content)
  const file = await new NodeDisk().open(path, { create: false, direct: true })
  const memory = ownBlockMemory(4 * BLOCK_BYTES)
  assert.equal(await file.read(memory, BLOCK_BYTES), BLOCK_BYTES + 1_000)
  assert(memory.subarray(0, BLOCK_BYTES + 1_000).equals(content.subarray(BLOCK_BYTES)))
  assert.equal(await file.read(memory, 4 * BLOCK_BYTES), 0)
  await file.close()
})
