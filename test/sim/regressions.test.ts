import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'vitest'
import type { Plan } from './plan.ts'
import { explain } from './report.ts'
import { runPlan } from './run-seed.ts'

/** A plan that once broke a promise, made small: plans outlive the seeds that they came from. */
interface Regression {
  readonly found: string
  readonly plan: Plan
}

const FOLDER = new URL('./regressions/', import.meta.url)

for (const name of readdirSync(FOLDER)) {
  test(`${name}: keeps every promise`, async () => {
    const { found, plan } = JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Regression
    const result = await runPlan(plan)
    if (result.failure !== undefined) assert.fail(`${found}\n${await explain(plan, result)}`)
  })
}
