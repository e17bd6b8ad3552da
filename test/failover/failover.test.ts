import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { SeededRandom, seedOfRun } from '../support/random.ts'
import { FAULT_KINDS, Tormentor } from './faults.ts'
import { BROKERS, describeReport, runFailover } from './run-failover.ts'
import { rollingRestart } from './rolling.ts'
import { describeSteady, faultsOf, runSteadyLoad } from './steady-load.ts'

// `npm run failover` takes ten minutes; STRATA_TEST_FAILOVER_SECONDS any other time.
const SECONDS = Number(process.env['STRATA_TEST_FAILOVER_SECONDS'] ?? 120)
/** Faults of these kinds come more often: words of their names, with commas between. */
const OFTEN = (process.env['STRATA_TEST_FAILOVER_OFTEN'] ?? '').split(',').filter(word => word !== '')
/** Messages a second of each client while all is restarted. */
const STEADY_RATE = 2_000
const LANGUAGES = (process.env['STRATA_TEST_FAILOVER_LANGUAGES'] ?? 'python,go,java').split(',')
/** Starting, putting right, reading back: on a machine that does much else. */
const MARGIN_SECONDS = 420
/** Far below what an idle machine does, and enough that what is judged means something. */
const ACKNOWLEDGED_A_SECOND_MIN = 20

const HERE = dirname(fileURLToPath(import.meta.url))
const FOLDERS = { scripts: join(HERE, '..', 'peers'), drivers: join(HERE, '..', 'conformance', 'drivers') }

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'strata-failover-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

describe(`${BROKERS} brokers, three storage nodes and three members of etcd under clients of ${LANGUAGES.join(', ')}`, () => {
  test(
    'whatever befalls them, nothing acknowledged is lost, disordered, or in a log that nobody reads',
    async () => {
      const seed = seedOfRun()
      let tormentor: Tormentor | undefined
      const report = await runFailover({
        ...{ languages: LANGUAGES, root, ...FOLDERS },
        trouble: async cluster => {
          const often = FAULT_KINDS.filter(kind => OFTEN.some(word => kind.includes(word)))
          tormentor = new Tormentor({ cluster, random: new SeededRandom(seed), often })
          await tormentor.run(AbortSignal.timeout(SECONDS * 1_000))
        }
      })
      const faults = [...(tormentor?.counts ?? [])]
        .sort()
        .map(([kind, count]) => `  ${String(count).padStart(4)}  ${kind}`)
      process.stdout.write(`seed ${seed}, ${SECONDS} s, faults:\n${faults.join('\n')}\n${describeReport(report)}\n`)
      assert.deepEqual([...report.violations, ...(tormentor?.violations ?? [])], [], `seed ${seed}`)
      assert(report.acknowledged >= SECONDS * ACKNOWLEDGED_A_SECOND_MIN, 'too little was published to prove anything')
      assert.deepEqual(
        FAULT_KINDS.filter(kind => !(tormentor?.counts.has(kind) ?? false)),
        [],
        'each kind of fault must happen'
      )
    },
    (SECONDS + MARGIN_SECONDS) * 1_000
  )

  test(
    'all processes are restarted one after another, and no application hears of it',
    async () => {
      const options = { languages: LANGUAGES, root, ...FOLDERS, trouble: rollingRestart, rate: STEADY_RATE }
      const topics = await runSteadyLoad(options)
      process.stdout.write(
        `rolling restart, ${STEADY_RATE} messages a second from each client\n${describeSteady(topics)}\n`
      )
      assert.deepEqual(
        topics.flatMap(topic => faultsOf(topic, STEADY_RATE)),
        []
      )
    },
    MARGIN_SECONDS * 1_000
  )
})
