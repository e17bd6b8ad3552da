// One thread of a run: takes ranges of seeds, and answers with what they came to. With a mutant it loads patched code.
import { parentPort, workerData } from 'node:worker_threads'

if (workerData.mutant !== undefined) {
  const { installMutant } = await import('../dist/sim/mutate.js')
  installMutant(workerData.mutant)
}
const { planOf } = await import('../dist/sim/plan.js')
const { emptyTally, explain, tally } = await import('../dist/sim/report.js')
const { runPlan } = await import('../dist/sim/run-seed.js')

parentPort.on('message', async ({ from, to, untilFailure }) => {
  const all = emptyTally()
  for (let seed = from; seed < to; seed++) {
    const result = await runPlan(planOf(seed))
    tally(all, result)
    if (result.failure !== undefined && untilFailure === true) break
  }
  parentPort.postMessage({ from, to, tally: all })
})

export { explain }
