import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { planOf } from './plan.ts'
import { runPlan, type SeedResult } from './run-seed.ts'

const SEEDS = Number(process.env['SIM_SEEDS'] ?? 18)
const FROM = Number(process.env['SIM_FROM'] ?? 1)

function linesOf({ lines = [] }: SeedResult): string {
  return lines.map(({ atMs, who, what }) => `${atMs.toFixed(1).padStart(9)}  ${who.padEnd(12)} ${what}`).join('\n')
}

describe('simulated brokers', () => {
  test(`keep every promise (${SEEDS} seeds from ${FROM}; more by test/sim-ownership/run.mjs)`, async () => {
    const all: Record<string, number> = {}
    for (let seed = FROM; seed < FROM + SEEDS; seed++) {
      const { failure, counts } = await runPlan(planOf(seed))
      for (const [name, count] of Object.entries(counts)) all[name] = (all[name] ?? 0) + count
      if (failure === undefined) continue
      const told = await runPlan(planOf(seed), { isTold: true })
      assert.fail(
        `seed ${seed}: ${failure.message}\n${JSON.stringify(planOf(seed).faults)}\n${linesOf(told).slice(-12_000)}`
      )
    }
    console.log(JSON.stringify(all))
    // the run must have visited what it claims to test
    for (const [name, count] of Object.entries(all)) assert(count > 0, `no ${name} in ${SEEDS} seeds`)
  })

  test('a seed replays exactly', async () => {
    const [first, second] = [await runPlan(planOf(7)), await runPlan(planOf(7), { isTold: true })]
    assert.equal(first.traceHash, second.traceHash)
    assert.deepEqual({ ...first, lines: undefined }, { ...second, lines: undefined })
    assert.notEqual((await runPlan(planOf(8))).traceHash, first.traceHash)
  })
})
