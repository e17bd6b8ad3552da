// Every mutant must die in what it names for that, by an invariant that it names; the same runs without a patch must live;
// every invariant must be the end of some mutant, and every rule be broken by one.
//   node test/sim/run-mutants.mjs [--only TEXT] [--threads T]
//   --find [--seeds N] [--from M]   looks for the first of these seeds that each mutant dies in, whatever it names
//   --list                          the table of them
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { INVARIANTS } from '../dist/sim/history.js'
import { misfitOf } from './mutant-edits.mjs'
import { mutants, RULES } from './mutants.mjs'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    only: { type: 'string', default: '' },
    find: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false }
  }
})
/** One that never ends holds nobody else up. */
const RUN_MS_MAX = values.find ? 3_600_000 : 600_000
const CONTROLS = 2
const OTHER_CHANCES = 40
const child = fileURLToPath(new URL('./mutant-child.mjs', import.meta.url))

const running = new Set()
process.once('SIGTERM', () => {
  for (const each of running) each.kill()
  process.exit(1)
})

const chosen = mutants.filter(({ name }) => name.includes(values.only))
if (values.list) for (const line of table()) process.stdout.write(`${line}\n`)
else await runAll()

function table() {
  const row = ({ name, rule, diesBy, trials }) => `| ${rule} | ${name} | ${diesBy.join(', ')} | ${trials.join(', ')} |`
  return ['| rule | mutant | may die by | dies in |', '| --- | --- | --- | --- |', ...chosen.map(row)]
}

/** What every mutant dies in, without a patch: in as many parts as there are threads. */
function controls() {
  const all = [...new Set(chosen.flatMap(({ trials }) => trials))]
  const part = index => all.filter((_, i) => i % CONTROLS === index)
  return Array.from({ length: CONTROLS }, (_, i) => ({
    name: `control ${i + 1}`,
    edits: [],
    diesBy: [],
    trials: part(i)
  }))
}

/**
 * First what it names; where that kills it no more, since something changed when things happen, its plans with other chances,
 * and the first seeds there are.
 */
function trialsOf({ edits, trials }) {
  const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => Number(values.from) + i)
  if (values.find) return seeds
  const plans = trials.filter(trial => typeof trial === 'string')
  const others = plans.flatMap(plan => Array.from({ length: OTHER_CHANCES }, (_, i) => `${plan}#${i + 1}`))
  return edits.length === 0 ? trials : [...new Set([...trials, ...others, ...seeds])]
}

function run(mutant) {
  const { edits, diesBy } = mutant
  const order = JSON.stringify({ edits, diesBy, trials: trialsOf(mutant) })
  return new Promise(resolve => {
    const each = execFile(process.execPath, [child, order], { timeout: RUN_MS_MAX }, (error, out, err) => {
      running.delete(each)
      const didNotRun = { runs: 0, seconds: 0, death: { invariant: 'did not run', message: err || String(error) } }
      resolve(error === null ? JSON.parse(out) : didNotRun)
    })
    running.add(each)
  })
}

/** Is all as it should be? */
async function judge(mutant, triggered) {
  const misfit = misfitOf(mutant)
  if (misfit !== undefined) return tell(mutant, false, `cannot be made: ${misfit}`)
  const { runs, seconds, death, others = {} } = await run(mutant)
  const isControl = mutant.edits.length === 0
  const isRight = isControl ? death === undefined : mutant.diesBy.includes(death?.invariant)
  if (isRight && death !== undefined) triggered.add(death.invariant)
  const how = death === undefined ? `lives through ${runs} runs` : `dies by ${death.invariant} (${death.trial})`
  const isStale = isRight && !isControl && !values.find && !mutant.trials.includes(death.trial)
  if (isStale && (await run({ edits: [], diesBy: [], trials: [death.trial] })).death !== undefined) {
    return tell(mutant, false, `${death.trial} fails without it`)
  }
  const why = isStale
    ? [`lives through what it names: ${mutant.trials.join(', ')}`]
    : isRight
      ? []
      : [...(death?.message.split('\n').slice(0, 4) ?? []), ...Object.values(others)]
  return tell(mutant, isRight, [`${how}, ${seconds.toFixed(1)} s`, ...why].join('\n     '))
}

function tell({ name }, isRight, what) {
  process.stdout.write(`${isRight ? 'ok  ' : 'FAIL'} ${name}: ${what}\n`)
  return isRight
}

/** What no mutant shows to be checked. */
function holesBeside(triggered) {
  const rules = new Set(mutants.map(({ rule }) => rule))
  return [
    ...INVARIANTS.filter(invariant => !triggered.has(invariant)).map(invariant => `no mutant dies by ${invariant}`),
    ...RULES.filter(rule => !rules.has(rule)).map(rule => `no mutant breaks the rule: ${rule}`),
    ...[...rules].filter(rule => !RULES.includes(rule)).map(rule => `no such rule: ${rule}`)
  ]
}

async function runAll() {
  const startedAt = performance.now()
  const waiting = values.find ? [...chosen] : [...controls(), ...chosen]
  const triggered = new Set()
  let failed = 0
  const thread = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (!(await judge(next, triggered))) failed++
    }
  }
  await Promise.all(Array.from({ length: Number(values.threads) }, thread))
  const holes = values.only === '' && !values.find ? holesBeside(triggered) : []
  for (const hole of holes) process.stdout.write(`${hole}\n`)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  process.stdout.write(`${chosen.length} mutants, ${failed} not as expected, ${seconds} s\n`)
  process.exitCode = failed === 0 && holes.length === 0 ? 0 : 1
}
