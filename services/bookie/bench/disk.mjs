// What the disk does without a node, in the ways in which a node uses it; prints one line of JSON. After a build:
//   node services/bookie/bench/disk.mjs write DIRECTORY SECONDS BLOCK_BYTES   direct writes of so much, each durable by itself (O_DSYNC), into files that are there: bytes a second
//   node services/bookie/bench/disk.mjs sync DIRECTORY SECONDS RATE           direct writes of 4 KB, each synced, so many a second: milliseconds each
//   node services/bookie/bench/disk.mjs copy DIRECTORY BYTES BLOCK_BYTES      from one file to another, each block made durable while the next is read: bytes a second
import { closeSync, constants, fdatasyncSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { blockMemory, toBlocks } from '../dist/disk/block-memory.js'

const FILE_BYTES = 128 * 1024 * 1024
const RING_FILES = 4
const FILL_BYTES = 8 * 1024 * 1024
const DIRECT = constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT
/** As the journal writes. */
const DURABLE = DIRECT | constants.O_DSYNC

const [what, under, ...numbers] = process.argv.slice(2)
const directory = mkdtempSync(join(under, 'disk-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))

/** A file whose blocks are all written, opened anew. */
function filled(name, bytes, flags = DIRECT) {
  const path = join(directory, name)
  const file = openSync(path, DIRECT)
  const memory = blockMemory(FILL_BYTES)
  memory.fill(1)
  for (let at = 0; at < bytes; at += memory.length) writeSync(file, memory, 0, Math.min(memory.length, bytes - at), at)
  fsyncSync(file)
  closeSync(file)
  return openSync(path, flags)
}

function write([seconds, blockBytes]) {
  const files = Array.from({ length: RING_FILES }, (_, i) => filled(`journal-${i}`, FILE_BYTES, DURABLE))
  const memory = blockMemory(toBlocks(blockBytes))
  const startMs = performance.now()
  let bytes = 0
  for (let at = 0, ring = 0; performance.now() - startMs < seconds * 1000; at += memory.length) {
    if (at + memory.length > FILE_BYTES) {
      at = 0
      ring = (ring + 1) % RING_FILES
    }
    writeSync(files[ring], memory, 0, memory.length, at)
    bytes += memory.length
  }
  const rate = (bytes * 1000) / (performance.now() - startMs)
  for (const file of files) closeSync(file)
  return { bytesPerSecond: rate }
}

/** Each at its time, or at once when that is past. What is told is the time of the two calls. */
function sync([seconds, rate]) {
  const file = filled('sync', FILE_BYTES)
  const memory = blockMemory(4096)
  const nobody = new Int32Array(new SharedArrayBuffer(4))
  const takenMs = []
  const startMs = performance.now()
  for (let i = 0; i < seconds * rate; i++) {
    const waitMs = startMs + (i * 1000) / rate - performance.now()
    if (waitMs > 0) Atomics.wait(nobody, 0, 0, waitMs)
    const fromMs = performance.now()
    writeSync(file, memory, 0, memory.length, (i * memory.length) % FILE_BYTES)
    fdatasyncSync(file)
    takenMs.push(performance.now() - fromMs)
  }
  closeSync(file)
  return { takenMs }
}

async function copy([wanted, blockBytes]) {
  const bytes = Math.ceil(wanted / blockBytes) * blockBytes
  closeSync(filled('source', bytes))
  closeSync(filled('target', Math.min(bytes, FILE_BYTES)))
  const source = await open(join(directory, 'source'), 'r')
  const target = await open(join(directory, 'target'), DURABLE)
  const memories = [blockMemory(blockBytes), blockMemory(blockBytes)]
  const startMs = performance.now()
  let writing = Promise.resolve()
  for (let at = 0, turn = 0; at < bytes; at += blockBytes, turn ^= 1) {
    await source.read(memories[turn], 0, blockBytes, at)
    await writing
    writing = target.write(memories[turn], 0, blockBytes, at % FILE_BYTES)
  }
  await writing
  const bytesPerSecond = (bytes * 1000) / (performance.now() - startMs)
  await source.close()
  await target.close()
  return { bytesPerSecond }
}

const figures = await { write, sync, copy }[what](numbers.map(Number))
process.stdout.write(`${JSON.stringify(figures)}\n`)
