import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { planOf } from './plan.ts'
import { describeTally, emptyTally, explain, tally } from './report.ts'
import { runPlan } from './run-seed.ts'

const SEEDS = 12

describe('simulated clusters', () => {
  test(`keep every promise (${SEEDS} seeds; many more by npm run sim)`, async () => {
    const all = emptyTally()
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = await runPlan(planOf(seed))
      tally(all, result)
      if (result.failure !== undefined) assert.fail(await explain(planOf(seed), result))
    }
    console.log(describeTally(all))
  }, 300_000)

  test('a seed replays exactly', async () => {
    for (const seed of [3, 11, 18]) {
      const [first, second] = [await runPlan(planOf(seed)), await runPlan(planOf(seed), { isTold: true })]
      assert.equal(first.traceHash, second.traceHash, `seed ${seed}`)
      assert.deepEqual({ ...first, lines: undefined }, { ...second, lines: undefined })
      const other = await runPlan(planOf(seed + 1))
      assert.notEqual(first.traceHash, other.traceHash)
    }
  }, 120_000)
})
