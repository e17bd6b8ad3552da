import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from '@strata/base/testing'
import { expect, test } from 'vitest'
import { blockMemory } from '../disk/block-memory.ts'
import type { DiskFile, DiskLane } from '../disk/disk.ts'
import { ZeroFill } from './zero-fill.ts'

const MIB = 1024 * 1024
/** What is written without a rest at the beginning. */
const RESTLESS = 4 * MIB

/** A disk that takes so long for each piece, and a journal that writes at a rate of its own all the while. */
function fillOf({ bytes, room, rate, pieceMs = 2 }: { bytes: number; room: number; rate: number; pieceMs?: number }): {
  clock: ManualClock
  pieces: number[]
  done: Promise<void>
  hurry: () => void
} {
  const clock = new ManualClock(0)
  const pieces: number[] = []
  let size = 0
  const file: DiskFile = {
    path: 'next',
    sizeBytes: () => Promise.resolve(size),
    read: () => Promise.resolve(0),
    write: (from, offset) => {
      expect(offset).toBe(size)
      size += from.length
      pieces.push(from.length)
      clock.advance(pieceMs)
      return Promise.resolve()
    },
    sync: () => Promise.resolve(),
    close: () => Promise.resolve()
  }
  const lane: DiskLane = {
    allocate: blockMemory,
    release: () => undefined,
    writeAndSync: () => undefined,
    close: () => Promise.resolve()
  }
  const usage = (): { bytes: number; room: number } => ({ bytes: (clock.nowMs() * rate) / 1000, room })
  const fill = new ZeroFill({ lane, clock, usage })
  return { clock, pieces, done: fill.run(file, bytes), hurry: () => fill.hurry() }
}

/** Lets time pass by milliseconds until the filling is done; returns when that was. */
async function finish({ clock, done }: ReturnType<typeof fillOf>): Promise<number> {
  const ended = done.then(() => 'done')
  for (;;) {
    for (let i = 0; i < 8; i++) await turn()
    if ((await Promise.race([ended, turn('under way')])) === 'done') return clock.nowMs()
    clock.advance(1)
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0)
}

test('a journal that writes a little has the disk to itself for most of the time', async () => {
  const fill = fillOf({ bytes: 32 * MIB, room: 128 * MIB, rate: MIB })
  const tookMs = await finish(fill)
  expect(sum(fill.pieces)).toBe(32 * MIB)
  expect(Math.max(...fill.pieces)).toBeLessThanOrEqual(256 * 1024)
  const paced = (32 * MIB - RESTLESS) / (256 * 1024)
  expect(tookMs).toBeGreaterThanOrEqual(paced * 2 * 7)
})

test('nobody rests beside a journal that is idle, or for a small file', async () => {
  const idle = fillOf({ bytes: 32 * MIB, room: 128 * MIB, rate: 0 })
  expect(await finish(idle)).toBe(idle.pieces.length * 2)
  const small = fillOf({ bytes: RESTLESS, room: 128 * MIB, rate: MIB })
  expect(await finish(small)).toBe(small.pieces.length * 2)
})

test('the file is full before the one in use is', async () => {
  // 32 MB of room at 16 MB/s: two seconds; at the pace of rests it would take nearly four.
  const fill = fillOf({ bytes: 64 * MIB, room: 32 * MIB, rate: 16 * MIB })
  const tookMs = await finish(fill)
  expect(sum(fill.pieces)).toBe(64 * MIB)
  expect(tookMs).toBeLessThan(2_000)
})

test('a busy journal ends it early', async () => {
  const fill = fillOf({ bytes: 128 * MIB, room: 128 * MIB, rate: 100 * MIB })
  await finish(fill)
  expect(sum(fill.pieces)).toBeLessThan(64 * MIB)
})

test('who waits for the file ends a rest', async () => {
  const fill = fillOf({ bytes: 32 * MIB, room: 128 * MIB, rate: MIB })
  for (let i = 0; i < 400; i++) await turn()
  const written = sum(fill.pieces)
  expect(written).toBeLessThan(32 * MIB)
  fill.hurry()
  await fill.done
  expect(sum(fill.pieces)).toBe(written)
})
