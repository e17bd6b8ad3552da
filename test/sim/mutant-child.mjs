// One mutant in a process of its own: node mutant-child.mjs '{"edits":[...],"diesBy":[...],"trials":[...]}'. Trials are seeds,
// and names of plans in regressions/, as they are or with another seed (NAME#SEED). Runs one after the other until one fails by a promise that is named (no promise
// is: by any), and prints one line of JSON.
import { readFileSync } from 'node:fs'
import { register } from 'node:module'

const { edits, diesBy, trials } = JSON.parse(process.argv[2])
register('./mutant-hook.mjs', import.meta.url, { data: { edits } })
const { planOf } = await import('../dist/sim/plan.js')
const { runPlan } = await import('../dist/sim/run-seed.js')

const startedAt = performance.now()
const others = {}
let runs = 0
let death

function planOfTrial(trial) {
  if (typeof trial === 'number') return planOf(trial)
  const [name, seed] = trial.split('#')
  const { plan } = JSON.parse(readFileSync(new URL(`./regressions/${name}.json`, import.meta.url), 'utf8'))
  return seed === undefined ? plan : { ...plan, seed: Number(seed) }
}

for (const trial of trials) {
  runs++
  const { failure } = await runPlan(planOfTrial(trial))
  if (failure === undefined) continue
  if (diesBy.length === 0 || diesBy.includes(failure.invariant)) {
    death = { trial, ...failure }
    break
  }
  others[failure.invariant] ??= `${trial}: ${failure.message.split('\n')[0]}`
}
const seconds = (performance.now() - startedAt) / 1000
process.stdout.write(`${JSON.stringify({ runs, seconds, death, others })}\n`)
