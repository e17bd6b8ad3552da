// One process of a run: takes ranges of seeds, and answers with what they came to.
import { planOf } from '../dist/sim/plan.js'
import { emptyTally, tally } from '../dist/sim/report.js'
import { runPlan } from '../dist/sim/run-seed.js'

// Nobody reads them here: a seed that fails is run again by itself, to be told.
Error.stackTraceLimit = 0

// Whoever started it ends the run.
process.on('SIGINT', () => undefined)

process.on('message', async ({ from, to }) => {
  const all = emptyTally()
  for (let seed = from; seed < to; seed++) {
    tally(all, await runPlan(planOf(seed)))
  }
  const { user, system } = process.cpuUsage()
  process.send({ from, to, tally: all, cpuMs: (user + system) / 1000 })
})
