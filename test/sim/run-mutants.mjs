// Every mutant must die within the seeds, by an invariant that it names; the control (no patch) must live; and every
// invariant must be the end of some mutant. A mutant is tried on the seeds that it names, then from the first one on.
// node test/sim/run-mutants.mjs [--seeds N] [--from M] [--threads T] [--only TEXT] [--find] (not the seeds that are named)
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { INVARIANTS } from '../dist/sim/history.js'
import { mutants } from './mutants.mjs'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '400' },
    from: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string', default: '' },
    find: { type: 'boolean', default: false }
  }
})
/** All of them are what run.mjs is for. */
const CONTROL_SEEDS = 20
const child = fileURLToPath(new URL('./mutant-child.mjs', import.meta.url))
const from = Number(values.from)
/** Those that must be searched for first. */
const waiting = mutants
  .filter(({ name }) => name.includes(values.only))
  .sort((a, b) => (a.seeds?.length ?? 0) - (b.seeds?.length ?? 0))
const control = { name: 'control', edits: [], diesBy: [], seeds: mutants.flatMap(({ seeds = [] }) => seeds) }
if (values.only === '') waiting.unshift(control)
const triggered = new Set()
let failed = 0

function run(mutant) {
  const to = from + (mutant === control ? CONTROL_SEEDS : Number(values.seeds))
  const named = values.find ? [] : (mutant.seeds ?? [])
  return new Promise(resolve => {
    execFile(
      process.execPath,
      [child, mutant.name, [...new Set(named)].join(','), String(from), String(to)],
      { encoding: 'utf8' },
      (error, out, err) => {
        resolve(
          error === null
            ? JSON.parse(out)
            : { name: mutant.name, seeds: 0, seconds: 0, failure: { invariant: 'did not run', message: err } }
        )
      }
    )
  })
}

async function thread() {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const { seeds, seconds, failure, others } = await run(mutant)
    const isExpected = mutant === control ? failure === undefined : mutant.diesBy.includes(failure?.invariant)
    if (isExpected && failure !== undefined) triggered.add(failure.invariant)
    if (!isExpected) failed++
    const how =
      failure === undefined ? `lives through ${seeds} seeds` : `dies in seed ${failure.seed} by ${failure.invariant}`
    process.stdout.write(`${isExpected ? 'ok  ' : 'FAIL'} ${mutant.name}: ${how} (${seconds.toFixed(1)} s)\n`)
    if (!isExpected && failure !== undefined)
      process.stdout.write(`     ${failure.message.split('\n').slice(0, 4).join('\n     ')}\n`)
    for (const other of Object.values(others ?? {})) process.stdout.write(`     also ${other}\n`)
  }
}

await Promise.all(Array.from({ length: Number(values.threads) }, thread))
process.stdout.write(`${mutants.length} mutants, ${failed} not as expected\n`)
const untriggered = values.only === '' ? INVARIANTS.filter(invariant => !triggered.has(invariant)) : []
for (const invariant of untriggered) process.stdout.write(`no mutant dies by ${invariant}\n`)
process.exitCode = failed === 0 && untriggered.length === 0 ? 0 : 1
