/**
 * The journal's thread: sleeps on a shared word, writes and syncs with blocking calls, answers with one message (null,
 * or the system error's code). So a journal sync never queues behind LevelDB or reads in libuv's pool.
 */
import { fdatasyncSync, writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { BUFFER, BYTES, DESCRIPTOR, OFFSET, STOP, SYNC, WAKE } from './lane-words.js'

/** @type {{ words: SharedArrayBuffer, port: import('node:worker_threads').MessagePort }} */
const { words: shared, port } = workerData
const words = new Int32Array(shared)
/** @type {Map<number, Uint8Array>} */
const buffers = new Map()

/** Collecting takes a millisecond of this thread, which the next write may wait for. */
const COLLECTED_BYTES_MIN = 4 * 1024 * 1024
setFlagsFromString('--expose-gc')
/** @type {() => void} */
const collect = runInNewContext('gc')
let forgottenBytes = 0

/** Announcements of buffers are taken from the port by hand: this thread has no event loop while it sleeps. */
function takeAnnouncements() {
  for (;;) {
    /** @type {{ message: { number: number, memory?: SharedArrayBuffer } } | undefined} */
    const received = receiveMessageOnPort(port)
    if (received === undefined) return
    const { number, memory } = received.message
    if (memory !== undefined) {
      buffers.set(number, new Uint8Array(memory))
      continue
    }
    forgottenBytes += buffers.get(number)?.length ?? 0
    buffers.delete(number)
  }
}

/** A thread that makes next to no objects never collects by itself: what others have given up long since would be held here for ever. */
function collectForgotten() {
  if (forgottenBytes < COLLECTED_BYTES_MIN) return
  forgottenBytes = 0
  collect()
}

function runJob() {
  const descriptor = /** @type {number} */ (words[DESCRIPTOR])
  const buffer = buffers.get(/** @type {number} */ (words[BUFFER]))
  if (buffer === undefined) throw new Error('the lane named a buffer it did not announce')
  const bytes = /** @type {number} */ (words[BYTES])
  const offset = /** @type {number} */ (words[OFFSET]) >>> 0
  let done = 0
  while (done < bytes) done += writeSync(descriptor, buffer, done, bytes - done, offset + done)
  if (words[SYNC] === 1) fdatasyncSync(descriptor)
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof Error && 'code' in error ? String(error.code) : `UNKNOWN ${String(error)}`
}

for (let seen = 0; ;) {
  // A notification may come late: the lane stood still after it raised the word, and its job was seen and done before. Taken
  // for a job, it would write the words once more, also while the lane is changing them.
  while (Atomics.load(words, WAKE) === seen) Atomics.wait(words, WAKE, seen)
  seen = Atomics.load(words, WAKE)
  if (Atomics.load(words, STOP) === 1) break
  takeAnnouncements()
  /** @type {string | null} */
  let failure = null
  try {
    runJob()
  } catch (error) {
    failure = codeOf(error)
  }
  port.postMessage(failure)
  collectForgotten()
}
port.close()
