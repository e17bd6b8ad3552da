import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { seedOfRun } from '../support/random.ts'
import { FAULT_KINDS } from './faults.ts'
import { describeReport, runChaos } from './run-chaos.ts'

// `npm run chaos` takes ten minutes; STRATA_TEST_CHAOS_SECONDS any other time.
const SECONDS = Number(process.env['STRATA_TEST_CHAOS_SECONDS'] ?? 90)
/** Starting, putting right, reading back: on a machine that does much else. */
const MARGIN_SECONDS = 600
/** Far below what an idle machine does, and enough that what is read back means something. */
const ACKNOWLEDGED_A_SECOND_MIN = 20

const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'peers')

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'strata-chaos-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

describe('five storage nodes and a metadata store, in processes of their own', () => {
  test(
    'whatever befalls them, what was acknowledged is there, byte for byte',
    async () => {
      const seed = seedOfRun()
      const report = await runChaos({ seconds: SECONDS, seed, root, scripts: SCRIPTS })
      process.stdout.write(`seed ${seed}, ${SECONDS} s\n${describeReport(report)}\n`)
      assert.deepEqual(report.violations, [], `seed ${seed}`)
      assert.equal(report.lost, 0)
      assert(report.verified >= report.acknowledged)
      assert(report.acknowledged >= SECONDS * ACKNOWLEDGED_A_SECOND_MIN, 'too little was written to prove anything')
      assert(report.taken > 0 && report.recovered > 0)
      const expected = FAULT_KINDS.filter(kind => !report.impossible.includes(kind))
      assert.deepEqual(
        expected.filter(kind => !report.faults.has(kind)),
        [],
        'each kind of fault must happen'
      )
    },
    (SECONDS + MARGIN_SECONDS) * 1_000
  )
})
