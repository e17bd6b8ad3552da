import { strict as assert } from 'node:assert'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'vitest'
import { check, describe as describeResult } from './check.ts'
import { BROKEN, PROMISES, SMALL_WORLDS } from './worlds.ts'

const folder = dirname(fileURLToPath(import.meta.url))
/** Far beyond what a run takes: for machines that do much else. */
const TIMEOUT_MS = 600_000
const tell = (line: string): void => void process.stdout.write(`${line}\n`)

describe('the ledger protocol, as a model', () => {
  test.each(Object.entries(SMALL_WORLDS))(
    'keeps every promise: %s',
    async (name, world) => {
      const result = await check({ folder, world })
      tell(describeResult(name, result))
      assert.equal(result.counterexample, undefined)
      assert(result.statesDistinct > 1_000, 'a model that goes nowhere proves nothing')
    },
    TIMEOUT_MS
  )

  test.each(BROKEN)(
    'breaks a promise with each rule that is broken (%#)',
    async ({ world, rules }) => {
      const result = await check({ folder, world, broken: Object.keys(rules) })
      tell(describeResult(`${Object.keys(rules).length} broken rules`, result))
      const seen = Object.fromEntries(result.broken.map(({ rule, promise }) => [rule, promise]))
      assert.deepEqual(seen, rules, 'each for its own reason')
      assert(result.statesDistinct > 0)
    },
    TIMEOUT_MS
  )

  test(
    'a broken promise comes with the way there',
    async () => {
      const world = BROKEN[0]?.world ?? assert.fail()
      const { counterexample } = await check({ folder, world, broken: ['ackTooFew'], isTraced: true })
      assert.match(
        counterexample ?? '',
        /Invariant AcknowledgedIsKept is violated[^]*State 2: <AppendEntry[^]*<Confirm/
      )
    },
    TIMEOUT_MS
  )

  test('every rule of the model is broken somewhere, and every promise is by some of them', () => {
    const model = readFileSync(join(folder, 'Ledger.tla'), 'utf8')
    const list = /AllBugs == <<([^]*?)>>/.exec(model)?.[1] ?? ''
    const listed = [...list.matchAll(/^ {2}"(\w+)"/gm)].map(([, rule]) => rule)
    assert.deepEqual(BROKEN.flatMap(({ rules }) => Object.keys(rules)).sort(), listed.sort())
    assert.deepEqual([...new Set(BROKEN.flatMap(({ rules }) => Object.values(rules)))].sort(), [...PROMISES].sort())
  })
})
