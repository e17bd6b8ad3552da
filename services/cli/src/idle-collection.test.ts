import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { beforeEach, test } from 'vitest'
import { collectWhenIdle } from './idle-collection.ts'

const MIB = 1024 * 1024
const LIVE_BYTES = 40 * MIB

let clock: ManualClock
let cpuMs: number
let heldBytes: number
let collections: number
beforeEach(() => {
  clock = new ManualClock()
  cpuMs = 0
  heldBytes = LIVE_BYTES
  collections = 0
  collectWhenIdle(clock, {
    cpuMs: () => cpuMs,
    heldBytes: () => heldBytes,
    collect: () => {
      collections++
      cpuMs += 60
      heldBytes = LIVE_BYTES
    }
  })
})

/** Five seconds in which it used so much of a core. */
function goOn(share: number): void {
  cpuMs += share * 5_000
  clock.advance(5_000)
}

function rest(): void {
  for (let look = 0; look < 10; look++) goOn(0.01)
}

test('what a load left is collected once the process has nothing to do, and no more than it takes', () => {
  rest()
  assert.equal(collections, 3, 'what the start left')
  heldBytes = 300 * MIB
  for (let look = 0; look < 10; look++) goOn(0.3)
  assert.equal(collections, 3, 'whoever has work is not made to wait')
  rest()
  assert.equal(collections, 6, 'there is no more to be had')
})

test('work that comes between two collections is not made to wait', () => {
  goOn(0.01)
  goOn(0.3)
  assert.equal(collections, 1)
  rest()
  assert.equal(collections, 3)
})

test('little garbage is not worth it, and a large heap is left to V8', () => {
  rest()
  heldBytes = LIVE_BYTES + 15 * MIB
  rest()
  heldBytes = 1100 * MIB
  rest()
  assert.equal(collections, 3)
})

test('this process can be made to collect', async () => {
  const own = new ManualClock()
  const stop = collectWhenIdle(own)
  const garbage = new WeakRef({ bytes: Buffer.alloc(20 * MIB) })
  await new Promise(setImmediate) // a reference that is weak holds until the end of its turn
  own.advance(3_600_000) // the CPU time of the test is nothing beside it
  stop()
  assert.ok(garbage.deref() === undefined)
})
