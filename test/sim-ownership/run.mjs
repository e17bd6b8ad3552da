// Many seeds: node test/sim-ownership/run.mjs --seeds N [--from M]; one, told line by line: --seed S.
import { parseArgs } from 'node:util'
import { planOf } from '../dist/sim-ownership/plan.js'
import { runPlan } from '../dist/sim-ownership/run-seed.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' }
  }
})

async function tell(seed) {
  const plan = planOf(seed)
  const { failure, lines } = await runPlan(plan, { isTold: true })
  for (const { atMs, who, what } of lines) {
    process.stdout.write(`${atMs.toFixed(1).padStart(9)}  ${who.padEnd(12)} ${what}\n`)
  }
  process.stdout.write(`${JSON.stringify({ ...plan, faults: undefined })}\n`)
  for (const fault of plan.faults) process.stdout.write(`${JSON.stringify(fault)}\n`)
  process.stdout.write(failure === undefined ? `seed ${seed} keeps every promise\n` : `${failure.message}\n`)
  return failure === undefined
}

async function runMany(from, to) {
  const startedAt = performance.now()
  const totals = {}
  let events = 0
  let failed = 0
  for (let seed = from; seed < to; seed++) {
    const { failure, counts, eventCount } = await runPlan(planOf(seed))
    events += eventCount
    for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count
    if (failure === undefined) continue
    failed++
    process.stdout.write(`seed ${seed}: ${failure.message.split('\n')[0]}\n`)
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const work = Object.entries(totals).map(([name, count]) => `${name} ${count}`)
  process.stdout.write(`${to - from} seeds, ${events} events, ${seconds} s: ${work.join(', ')}\n`)
  process.stdout.write(failed === 0 ? 'every seed kept every promise\n' : `${failed} seeds failed\n`)
  return failed === 0
}

const from = Number(values.from)
const isGood =
  values.seed === undefined ? await runMany(from, from + Number(values.seeds)) : await tell(Number(values.seed))
process.exitCode = isGood ? 0 : 1
