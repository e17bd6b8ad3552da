// One mutant by name, seed after seed until one fails: node mutant-child.mjs NAME FROM TO. Prints one line of JSON.
import { register } from 'node:module'
import { mutants } from './mutants.mjs'

const [name, from, to] = process.argv.slice(2)
const mutant = mutants.find(candidate => candidate.name === name)
register('./mutant-hook.mjs', import.meta.url, { data: { edits: mutant?.edits ?? [] } })
const { planOf } = await import('../dist/sim/plan.js')
const { runPlan } = await import('../dist/sim/run-seed.js')

const startedAt = performance.now()
let seed = Number(from)
let failure
for (; seed < Number(to) && failure === undefined; seed++) failure = (await runPlan(planOf(seed))).failure
const seconds = (performance.now() - startedAt) / 1000
process.stdout.write(`${JSON.stringify({ name, seeds: seed - Number(from), seconds, failure })}\n`)
