// Many seeds: node test/sim/run.mjs --seeds N [--from M] [--threads T] [--explain] [--state FILE]
// Prints progress and throughput; with --state it goes on where a run that was stopped had got to.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { planOf } from '../dist/sim/plan.js'
import { describeTally, emptyTally, explain, merge } from '../dist/sim/report.js'
import { runPlan } from '../dist/sim/run-seed.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    state: { type: 'string' },
    seed: { type: 'string' }
  }
})
const BATCH = 20
const PROGRESS_MS = 10_000

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
  const all = emptyTally()
  let next = resumeAt(from)
  if (next > from) process.stdout.write(`goes on at seed ${next}\n`)
  const startedAt = performance.now()
  const first = next
  const done = new Set()
  let told = startedAt

  const onBatch = message => {
    merge(all, message.tally)
    done.add(message.from)
    for (const { seed, invariant, message: text } of message.tally.failures) {
      process.stdout.write(`seed ${seed}: ${text.split('\n')[0]}${invariant === 'no-bug' ? ` (${invariant})` : ''}\n`)
    }
    const now = performance.now()
    if (now - told < PROGRESS_MS) return
    told = now
    saveState(first, done)
    const rate = (all.seeds / (now - startedAt)) * 1000
    const left = Math.round((to - first - all.seeds) / rate)
    process.stdout.write(`${all.seeds} of ${to - first} seeds, ${rate.toFixed(1)} a second, ${left} s left\n`)
  }

  const thread = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
        workerData: {},
        resourceLimits: { maxYoungGenerationSizeMb: 128 }
      })
      const give = () => {
        if (next >= to) {
          void worker.terminate().then(resolve)
          return
        }
        const batch = { from: next, to: Math.min(next + BATCH, to) }
        next = batch.to
        worker.postMessage(batch)
      }
      worker.on('error', reject)
      worker.on('message', message => {
        onBatch(message)
        give()
      })
      give()
    })
  await Promise.all(Array.from({ length: Number(values.threads) }, thread))

  const seconds = (performance.now() - startedAt) / 1000
  process.stdout.write(`${describeTally(all)}\n`)
  process.stdout.write(`${seconds.toFixed(1)} s, ${(all.seeds / seconds).toFixed(1)} seeds a second\n`)
  const worst = [...all.failures].sort((a, b) => a.seed - b.seed)[0]
  if (worst !== undefined) {
    const plan = planOf(worst.seed)
    process.stdout.write(`${await explain(plan, await runPlan(plan))}\n`)
    process.stdout.write(`${all.failures.length} seeds failed: node test/sim/run.mjs --seed ${worst.seed}\n`)
    process.exitCode = 1
  } else process.stdout.write('every seed kept every promise\n')
}

/** The first seed of which it is not certain that it ran. */
function resumeAt(from) {
  if (values.state === undefined || !existsSync(values.state)) return from
  const state = JSON.parse(readFileSync(values.state, 'utf8'))
  return Math.max(from, state.next)
}

function saveState(first, done) {
  if (values.state === undefined) return
  let at = first
  while (done.has(at)) at += BATCH
  writeFileSync(values.state, JSON.stringify({ next: at }))
}
