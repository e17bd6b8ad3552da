import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { BaseCommand_Type, encodeCommand } from '@strata/wire'
import { Peer } from '../bench/load/peer.ts'
import { SeededRandom, seedOfRun } from '../support/random.ts'
import { residentBytes } from '../support/resident.ts'
import { startStrata, type StrataProcess } from '../support/strata-process.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publishSome } from './bounds-support.ts'
import { anyFrame, CONNECT, damage } from './hostile-frames.ts'

const FRAMES = Number(process.env['STRATA_TEST_HOSTILE_FRAMES'] ?? 100_000)
const FRAMES_PER_CONNECTION = 50
const LANES = 16
const RESIDENT_GROWTH_BYTES_MAX = 400 * 1024 * 1024

let data: string
let strata: StrataProcess

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'strata-hostile-'))
  strata = await startStrata({ data, set: { keepAliveIntervalSeconds: 2, strataLogLevel: 'error' } })
})

afterAll(async () => {
  await strata.stop()
  rmSync(data, { recursive: true, force: true })
})

async function open(): Promise<Socket> {
  const socket = connect(strata.brokerPort, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  await once(socket, 'connect')
  return socket
}

/** Writes, and waits until the bytes are out or the broker has closed. */
async function write(socket: Socket, bytes: Buffer): Promise<boolean> {
  if (socket.destroyed) return false
  return new Promise(resolve => {
    const onClose = (): void => resolve(false)
    socket.once('close', onClose)
    socket.write(bytes, error => {
      socket.off('close', onClose)
      resolve(error == null && !socket.destroyed)
    })
  })
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.destroyed) await once(socket, 'close')
}

/** A well-behaved client publishes and is answered while all of this goes on. */
async function undisturbed(topic: string): Promise<void> {
  await publishSome(strata, topic, { messages: 200, deadlineSeconds: 30 })
}

describe('hostile input', () => {
  test(`${FRAMES} damaged frames: errors or closed connections, bounded memory, others undisturbed`, async () => {
    const seed = seedOfRun()
    const before = residentBytes(strata.pid)
    let sent = 0
    const lane = async (random: SeededRandom): Promise<void> => {
      while (sent < FRAMES) {
        const socket = await open()
        if (random.next() < 0.9) await write(socket, CONNECT)
        for (let i = 0; i < FRAMES_PER_CONNECTION; i++) {
          sent += 1
          if (!(await write(socket, damage(anyFrame(random), random)))) break
        }
        socket.destroy()
      }
    }
    const lanes = Array.from({ length: LANES }, (_, i) => lane(new SeededRandom(seed + i)))
    await Promise.all([...lanes, undisturbed('good-neighbour')])
    await undisturbed('good-neighbour-after')
    const growth = residentBytes(strata.pid) - before
    assert(growth < RESIDENT_GROWTH_BYTES_MAX, `grew by ${growth} bytes; STRATA_TEST_SEED=${seed}`)
  }, 300_000)

  test('a frame one byte at a time is read like a whole one', async () => {
    const peer = await Peer.open(strata.brokerPort)
    const answered = new Promise<void>(resolve => {
      peer.onFrame = () => resolve()
    })
    for (const byte of encodeCommand('lookupTopic', { topic: 'persistent://public/default/slow', requestId: 9n })) {
      await write(peer.socket, Buffer.from([byte]))
    }
    await answered
    peer.close()
  })

  test('a length over the limit closes the connection before anything is buffered', async () => {
    const socket = await open()
    await write(socket, CONNECT)
    const head = Buffer.alloc(8)
    head.writeUInt32BE(0x7fff_ffff, 0)
    await write(socket, head)
    await closed(socket)
  })

  test('two megabytes of topic name are an error, not a crash', async () => {
    const peer = await Peer.open(strata.brokerPort)
    const topic = `persistent://public/default/${'n'.repeat(2 * 1024 * 1024)}`
    await assert.rejects(
      peer.ask(
        'producer',
        { topic, producerId: 0n, requestId: 1n, producerName: 'p' },
        BaseCommand_Type.PRODUCER_SUCCESS
      )
    )
    peer.close()
    await undisturbed('after-long-name')
  })

  test('a half-open socket is closed when it never says hello, and when it falls silent', async () => {
    const silent = await open()
    const gone = await open()
    await write(gone, CONNECT)
    await Promise.all([closed(silent), closed(gone)])
  })
})
