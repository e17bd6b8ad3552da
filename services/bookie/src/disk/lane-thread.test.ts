import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { BUFFER, BYTES, DESCRIPTOR, OFFSET, STOP, SYNC, WAKE, WORD_COUNT } from './lane-words.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

describe("the journal's thread", () => {
  let directory: string
  let descriptor: number
  let words: Int32Array
  let port: MessagePort
  let worker: Worker
  let answers: unknown[]
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'strata-lane-'))
    descriptor = openSync(join(directory, 'journal'), 'w+')
    words = new Int32Array(new SharedArrayBuffer(WORD_COUNT * 4))
    const { port1, port2 } = new MessageChannel()
    port = port1
    answers = []
    port.on('message', answer => answers.push(answer))
    worker = new Worker(new URL('./lane-thread.js', import.meta.url), {
      workerData: { words: words.buffer, port: port2 },
      transferList: [port2]
    })
  })
  afterEach(async () => {
    await worker.terminate()
    port.close()
    closeSync(descriptor)
    rmSync(directory, { recursive: true, force: true })
  })

  /** Resolves when the thread was asleep and has been notified, the word being as it was. */
  async function notifyAsleep(): Promise<void> {
    while (Atomics.notify(words, WAKE) === 0) await turn()
  }

  async function write(bytes: number, offset: number, number = 1): Promise<void> {
    words[DESCRIPTOR] = descriptor
    words[BUFFER] = number
    words[BYTES] = bytes
    words[OFFSET] = offset
    words[SYNC] = 1
    const answered = once(port, 'message')
    Atomics.add(words, WAKE, 1)
    Atomics.notify(words, WAKE)
    await answered
  }

  test('does each job once, also when a notification comes after the job was done', async () => {
    const memory = new Uint8Array(new SharedArrayBuffer(8)).fill(7)
    port.postMessage({ number: 1, memory: memory.buffer })
    await notifyAsleep()
    await write(4, 0)
    memory.fill(8)
    await notifyAsleep()
    await notifyAsleep() // asleep once more: whatever the one before set off is over
    await write(4, 4)
    Atomics.store(words, STOP, 1)
    const ended = once(worker, 'exit')
    Atomics.add(words, WAKE, 1)
    Atomics.notify(words, WAKE)
    await ended
    assert.deepEqual(answers, [null, null])
    assert.deepEqual([...readFileSync(join(directory, 'journal'))], [7, 7, 7, 7, 8, 8, 8, 8])
  })

  test('holds no memory that was given up', async () => {
    const [rounds, bytes] = [30, 8 * 1024 * 1024]
    collect()
    const before = process.memoryUsage().rss
    for (let number = 1; number <= rounds; number++) {
      port.postMessage({ number, memory: new Uint8Array(new SharedArrayBuffer(bytes)).fill(1).buffer })
      await write(4, 0, number)
      port.postMessage({ number })
      collect()
    }
    port.postMessage({ number: rounds + 1, memory: new SharedArrayBuffer(8) })
    await write(4, 0, rounds + 1)
    await notifyAsleep() // and has collected
    collect()
    const grown = process.memoryUsage().rss - before
    assert.ok(grown < (rounds * bytes) / 2, `${grown} bytes more are resident`)
  })
})
