import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { FairTurns } from './fair-turns.ts'

/** What is to run in the next turn. */
function turnsByHand(): { later: (run: () => void) => void; turn: () => Promise<void> } {
  let due: (() => void)[] = []
  return {
    later: run => void due.push(run),
    turn: async () => {
      const now = due
      due = []
      for (const run of now) run()
      await new Promise(setImmediate)
    }
  }
}

test('one begins in each turn, and who asks rarely does not wait for all of who asks often', async () => {
  const { later, turn } = turnsByHand()
  const turns = new FairTurns(later)
  const begun: string[] = []
  const ask = (asker: string): void => void turns.next(asker).then(() => begun.push(asker))
  for (let i = 0; i < 5; i++) ask('often')
  ask('rarely')
  await new Promise(setImmediate)
  assert.deepEqual(begun, ['often'])
  await turn()
  await turn()
  assert.deepEqual(begun, ['often', 'often', 'rarely'])
  for (let i = 0; i < 3; i++) await turn()
  assert.equal(begun.length, 6)
  await turn()
  ask('rarely')
  await new Promise(setImmediate)
  assert.equal(begun.length, 7, 'with nobody before it, it begins at once')
})

test('whoever asks, and whenever: never two in a turn, everybody in the end, each in its own order, none past its share', async () => {
  const step = fc.oneof(fc.constant('turn'), fc.constantFrom('a', 'b', 'c'))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const { later, turn } = turnsByHand()
      const turns = new FairTurns(later)
      const begun: { asker: string; number: number }[] = []
      const asked = new Map<string, number>()
      let total = 0
      for (const at of [...steps, ...Array.from({ length: 61 }, () => 'turn')]) {
        const before = begun.length
        if (at === 'turn') await turn()
        else {
          total++
          const number = asked.get(at) ?? 0
          asked.set(at, number + 1)
          void turns.next(at).then(() => begun.push({ asker: at, number }))
          await Promise.resolve()
        }
        assert.ok(begun.length <= before + 1)
      }
      assert.equal(begun.length, total)
      for (const asker of asked.keys()) {
        const own = begun.filter(one => one.asker === asker)
        own.forEach(({ number }, i) => assert.equal(number, i))
      }
    })
  )
})
