import { strict as assert } from 'node:assert'
import { Random } from '@strata/sim'
import { test } from 'vitest'

const SEEDS = 10_000

test('seeds of a range are runs of their own, however many digits they have', () => {
  for (const from of [1, 30_000, 500_000, 3_000_000, 4_000_000_000]) {
    const begins = new Set<number>()
    for (let seed = from; seed < from + SEEDS; seed++) begins.add(Random.ofSeed(seed).next())
    // one number of 32 bits each: a few may be equal by chance
    assert.ok(begins.size >= SEEDS - 10, `from ${from}: ${SEEDS - begins.size} are another one again`)
  }
})
