import { strict as assert } from 'node:assert'
import { bookieId } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { ReadPlan, type ReadMiss } from './read-plan.ts'

const names = ['a', 'b', 'c', 'd'].map(bookieId)
const missArb = fc.constantFrom<ReadMiss>('absent', 'unknown', 'corrupt', 'unreachable')

describe('ReadPlan', () => {
  test('asks each once, and concludes from what all of them said, in whatever order they say it', () => {
    fc.assert(
      fc.property(fc.array(missArb, { minLength: 1, maxLength: 4 }), fc.nat(), (answers, shuffle) => {
        const writeQuorum = answers.length
        const order = names.slice(0, writeQuorum)
        const plan = new ReadPlan(order)
        const outstanding: number[] = []
        const said: ReadMiss[] = []
        for (let i = 0; plan.hasMore || outstanding.length > 0; i++) {
          const isAsking = plan.hasMore && (outstanding.length === 0 || (shuffle >> i) % 2 === 0)
          if (isAsking) {
            const next = plan.next()
            assert.equal(next, order[said.length + outstanding.length])
            outstanding.push(names.indexOf(next ?? assert.fail()))
            continue
          }
          const [who = 0] = outstanding.splice((shuffle + i) % outstanding.length, 1)
          const miss = answers[who] ?? assert.fail()
          said.push(miss)
          plan.onMiss(names[who] ?? assert.fail(), miss)
          const isOver = said.length === writeQuorum
          if (!isOver) assert.equal(plan.verdict, undefined)
          else if (said.every(each => each === 'absent')) assert.equal(plan.verdict, 'NO_SUCH_ENTRY')
          else assert.equal(plan.verdict, said.includes('corrupt') ? 'CORRUPT' : 'UNAVAILABLE')
        }
        assert.equal(plan.next(), undefined)
      })
    )
  })
})
