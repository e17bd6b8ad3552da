import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { RunState } from './run-state.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'strata-sim-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const found = (seed: number) => ({ seed, invariant: 'liveness', message: `seed ${seed}` })

test('a run that was stopped goes on at the first seed that may not have run, and keeps what it found', () => {
  const path = join(directory, 'state.json')
  const first = new RunState(path, 1)
  first.note({ from: 21, to: 41, found: [found(30)] })
  first.note({ from: 1, to: 21, found: [found(7)] })
  first.note({ from: 61, to: 81, found: [found(70)] })
  first.save()
  const second = new RunState(path, 1)
  assert.deepEqual([second.next, second.count], [41, 40])
  assert.deepEqual(
    second.found.map(({ seed }) => seed),
    [7, 30],
    'the third range runs again'
  )
  second.note({ from: 41, to: 81, found: [] })
  second.save()
  assert.equal(new RunState(path, 1).next, 81)
  assert.equal(new RunState(path, 500).next, 500, 'another range')
})

test('without a file nothing is kept', () => {
  const state = new RunState(undefined, 5)
  state.note({ from: 5, to: 6, found: [] })
  state.save()
  assert.equal(state.next, 6)
})
