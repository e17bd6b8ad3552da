// Every mutant must die within the seeds, by a promise that it names; the control (no patch) must live.
// node test/sim-ownership/run-mutants.mjs [--seeds N] [--from M] [--threads T] [--only TEXT]
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mutants } from './mutants.mjs'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '60' },
    from: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string', default: '' }
  }
})
const CONTROL_SEEDS = 20
const child = fileURLToPath(new URL('./mutant-child.mjs', import.meta.url))
const from = Number(values.from)
const waiting = mutants.filter(({ name }) => name.includes(values.only))
const control = { name: 'control', edits: [], diesBy: [] }
if (values.only === '') waiting.unshift(control)
let failed = 0

function run(mutant) {
  const count = mutant === control ? CONTROL_SEEDS : Number(values.seeds)
  const didNotRun = message => ({
    seed: 0,
    runs: 0,
    seconds: 0,
    failure: { invariant: 'did not run', message },
    others: {}
  })
  return new Promise(resolve => {
    execFile(process.execPath, [child, mutant.name, String(from), String(count)], (error, out, err) => {
      resolve(error === null ? JSON.parse(out) : didNotRun(err))
    })
  })
}

async function thread() {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const { seed, runs, seconds, failure, others } = await run(mutant)
    const isExpected = mutant === control ? failure === undefined : mutant.diesBy.includes(failure?.invariant)
    if (!isExpected) failed++
    const how = failure === undefined ? `lives through ${runs} runs` : `dies in seed ${seed} by ${failure.invariant}`
    process.stdout.write(`${isExpected ? 'ok  ' : 'FAIL'} ${mutant.name}: ${how} (${seconds.toFixed(1)} s)\n`)
    if (!isExpected && failure !== undefined) process.stdout.write(`     ${failure.message.split('\n')[0]}\n`)
    for (const other of Object.values(others)) process.stdout.write(`     also ${other}\n`)
  }
}

await Promise.all(Array.from({ length: Number(values.threads) }, thread))
process.stdout.write(`${mutants.length} mutants, ${failed} not as expected\n`)
process.exitCode = failed === 0 ? 0 : 1
