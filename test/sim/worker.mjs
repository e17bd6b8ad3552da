// One thread of a run: takes ranges of seeds, and answers with what they came to.
import { parentPort } from 'node:worker_threads'

import { planOf } from '../dist/sim/plan.js'
import { emptyTally, tally } from '../dist/sim/report.js'
import { runPlan } from '../dist/sim/run-seed.js'

// Nobody reads them here: a seed that fails is run again by itself, to be told.
Error.stackTraceLimit = 0

parentPort.on('message', async ({ from, to }) => {
  const all = emptyTally()
  for (let seed = from; seed < to; seed++) {
    tally(all, await runPlan(planOf(seed)))
  }
  parentPort.postMessage({ from, to, tally: all })
})
