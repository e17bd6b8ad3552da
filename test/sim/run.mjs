// Many seeds: node test/sim/run.mjs --seeds N [--from M] [--threads T] [--state FILE] [--minutes X] [--gate] [--digest]
// T processes share them. Prints progress and throughput. --state: goes on where a run that was stopped had got to. --minutes: as many as fit.
// --digest: one number for all that happened, equal before and after a change that only makes the simulation faster.
// --gate: the run must have visited what it claims to test. --seed N: one seed, made small and told if it fails.
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { planOf } from '../dist/sim/plan.js'
import { describeTally, emptyTally, explain, merge, shortcomings } from '../dist/sim/report.js'
import { runPlan } from '../dist/sim/run-seed.js'
import { RunState } from '../dist/sim/run-state.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    minutes: { type: 'string', default: 'Infinity' },
    gate: { type: 'boolean', default: false },
    digest: { type: 'boolean', default: false },
    state: { type: 'string' },
    seed: { type: 'string' }
  }
})
const BATCH = 20
const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url))
/** Every core has a worker of its own, so that V8's helpers only take turns with them: garbage is collected where it is made, seldom. */
const WORKER_FLAGS = ['--single-threaded-gc', '--max-semi-space-size=64', '--no-flush-bytecode', '--always-sparkplug']
/** Somebody who looks on wants to see it move; a log that is kept wants to be short. */
const PROGRESS_MS = process.stdout.isTTY ? 10_000 : 60_000
const FAILURES_MAX = 20

if (values.seed !== undefined) {
  const plan = planOf(Number(values.seed))
  const result = await runPlan(plan)
  if (result.failure === undefined) process.stdout.write(`seed ${plan.seed} keeps every promise\n`)
  else process.stdout.write(`${await explain(plan, result)}\n`)
  process.exitCode = result.failure === undefined ? 0 : 1
} else await runMany()

async function runMany() {
  const from = Number(values.from)
  const to = from + Number(values.seeds)
  const state = new RunState(values.state, from)
  const all = emptyTally()
  const first = state.next
  let next = first
  if (next > from) process.stdout.write(`goes on at seed ${next}; ${state.found.length} of ${state.count} failed\n`)
  const startedAt = performance.now()
  const endsAt = startedAt + Number(values.minutes) * 60_000
  let told = startedAt
  let isStopped = false
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => (isStopped = true))

  const onBatch = ({ from: begin, to: end, tally }) => {
    merge(all, tally)
    state.note({ from: begin, to: end, found: tally.failures })
    for (const { seed, message } of tally.failures) process.stdout.write(`seed ${seed}: ${message.split('\n')[0]}\n`)
    const now = performance.now()
    if (now - told < PROGRESS_MS) return
    told = now
    state.save()
    const rate = (all.seeds / (now - startedAt)) * 1000
    const left = Math.round((to - first - all.seeds) / rate)
    process.stdout.write(`${all.seeds} of ${to - first} seeds, ${rate.toFixed(1)} a second, ${left} s left\n`)
  }

  let cpuMs = 0
  const thread = () =>
    new Promise((resolve, reject) => {
      const worker = fork(WORKER, { execArgv: WORKER_FLAGS, serialization: 'advanced' })
      let usedMs = 0
      const give = () => {
        const isOver = isStopped || performance.now() >= endsAt || all.failures.length >= FAILURES_MAX
        if (next >= to || isOver) {
          cpuMs += usedMs
          worker.disconnect()
          return
        }
        const batch = { from: next, to: Math.min(next + BATCH, to) }
        next = batch.to
        worker.send(batch)
      }
      worker.on('error', reject)
      worker.on('exit', code => {
        if (code === 0) resolve()
        else reject(new Error(`a worker ended with ${code}`))
      })
      worker.on('message', message => {
        usedMs = message.cpuMs
        onBatch(message)
        give()
      })
      give()
    })
  await Promise.all(Array.from({ length: Number(values.threads) }, thread))

  state.save()
  const seconds = (performance.now() - startedAt) / 1000
  const perSeed = cpuMs / Math.max(all.seeds, 1)
  process.stdout.write(`${describeTally(all)}\n`)
  process.stdout.write(
    `${seconds.toFixed(1)} s, ${(all.seeds / seconds).toFixed(1)} seeds a second, ${perSeed.toFixed(1)} ms of a core each\n`
  )
  if (values.digest) process.stdout.write(`digest ${all.digest.toString(16).padStart(8, '0')}\n`)
  if (values.state !== undefined) process.stdout.write(`in all: ${state.count} seeds, ${state.found.length} failed\n`)
  const missing = values.gate ? shortcomings(all) : []
  for (const line of missing) process.stdout.write(`too little: ${line}\n`)
  const worst = [...all.failures].sort((a, b) => a.seed - b.seed)[0]
  if (worst !== undefined) {
    const plan = planOf(worst.seed)
    process.stdout.write(`${await explain(plan, await runPlan(plan))}\n`)
    process.stdout.write(`${all.failures.length} seeds failed: node test/sim/run.mjs --seed ${worst.seed}\n`)
  } else process.stdout.write('every seed kept every promise\n')
  process.exitCode = worst === undefined && missing.length === 0 ? 0 : 1
}
