// One mutant by name, seed after seed until one fails by a promise it names (the control: by any):
// node mutant-child.mjs NAME SEED,SEED,... FROM TO. First the seeds that are named. Prints one line of JSON.
import { register } from 'node:module'
import { mutants } from './mutants.mjs'

const [name, named, from, to] = process.argv.slice(2)
const mutant = mutants.find(candidate => candidate.name === name)
register('./mutant-hook.mjs', import.meta.url, { data: { edits: mutant?.edits ?? [] } })
const { planOf } = await import('../dist/sim/plan.js')
const { runPlan } = await import('../dist/sim/run-seed.js')

const expected = mutant?.diesBy ?? []
const startedAt = performance.now()
const others = {}
let seeds = 0
let death

function* seedsToTry() {
  for (const seed of named.split(',')) if (seed !== '') yield Number(seed)
  for (let seed = Number(from); seed < Number(to); seed++) yield seed
}

for (const seed of seedsToTry()) {
  seeds++
  const { failure } = await runPlan(planOf(seed))
  if (failure === undefined) continue
  if (mutant === undefined || expected.includes(failure.invariant)) {
    death = { seed, ...failure }
    break
  }
  others[failure.invariant] ??= `seed ${seed}: ${failure.message.split('\n')[0]}`
}
const seconds = (performance.now() - startedAt) / 1000
process.stdout.write(`${JSON.stringify({ name, seeds, seconds, failure: death, others })}\n`)
