// One mutant by name, seed after seed until one fails by a promise it names (the control: by any). Prints one line of JSON.
import { register } from 'node:module'
import { mutants } from './mutants.mjs'

const [name, from, count] = process.argv.slice(2)
const mutant = mutants.find(candidate => candidate.name === name)
register('../sim/mutant-hook.mjs', import.meta.url, { data: { edits: mutant?.edits ?? [] } })
const { planOf } = await import('../dist/sim-ownership/plan.js')
const { runPlan } = await import('../dist/sim-ownership/run-seed.js')

const { diesBy: expected = [], needs } = mutant ?? {}
const startedAt = performance.now()
const others = {}
let seed = Number(from) - 1
let runs = 0
let death
while (runs < Number(count) && death === undefined) {
  const plan = planOf(++seed)
  if (needs !== undefined && !plan.faults.some(({ kind }) => needs.includes(kind))) continue
  runs++
  const { failure } = await runPlan(plan)
  if (failure === undefined) continue
  if (mutant === undefined || expected.includes(failure.invariant)) death = failure
  else others[failure.invariant] ??= `seed ${seed}: ${failure.message.split('\n')[0]}`
}
const seconds = (performance.now() - startedAt) / 1000
process.stdout.write(`${JSON.stringify({ name, seed, runs, seconds, failure: death, others })}\n`)
