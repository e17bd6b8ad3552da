import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConsistentRing, HalvedRanges, type HashSelector } from './hash-selectors.ts'
import type { Member } from './member.ts'

/** All that a selector looks at. */
function member(serial: number, consumerName: string, priorityLevel = 0): Member {
  return { serial, options: { consumerName, priorityLevel } } as unknown as Member
}

const HASHES = Array.from({ length: 65_535 }, (_, index) => index + 1)

function ownersOf(selector: HashSelector): (Member | undefined)[] {
  return HASHES.map(hash => selector.ownerOf(hash))
}

const selectors: Record<string, () => HashSelector> = {
  ConsistentRing: () => new ConsistentRing(100),
  HalvedRanges: () => new HalvedRanges()
}

for (const [name, create] of Object.entries(selectors)) {
  describe(name, () => {
    test('the ranges shown are those served, and every hash has an owner', () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(5)), { minLength: 1, maxLength: 12 }), changes => {
          const selector = create()
          const members: Member[] = []
          for (const [isJoin, n] of changes) {
            const gone = isJoin ? undefined : members.splice(n % Math.max(members.length, 1), 1)[0]
            if (gone !== undefined) selector.remove(gone)
            if (!isJoin) continue
            const joined = member(members.length + 100 * n, `c${n}`)
            members.push(joined)
            selector.add(joined)
          }
          const shown = new Array<Member | undefined>(65_536)
          for (const one of members) {
            for (const range of selector.rangesOf(one)) {
              const [start = 0, end = 0] = range.slice(1, -1).split(', ').map(Number)
              shown.fill(one, start, end + 1)
            }
          }
          expect(ownersOf(selector).every((owner, index) => owner === shown[index + 1])).toBe(true)
          if (members.length > 0) expect(shown.slice(1).every(owner => owner !== undefined)).toBe(true)
        }),
        { numRuns: 30 }
      )
    })

    test('a leave gives away only the hashes of who left', () => {
      const selector = create()
      const members = Array.from({ length: 10 }, (_, index) => member(index, `c${index}`))
      for (const one of members) selector.add(one)
      const before = ownersOf(selector)
      const gone = members[3] as Member
      selector.remove(gone)
      const after = ownersOf(selector)
      const moved = before.filter((owner, index) => owner !== gone && owner !== after[index])
      expect(moved).toHaveLength(0)
      expect(after).not.toContain(gone)
    })
  })
}

test('consumers of one name share the points of the name', () => {
  const selector = new ConsistentRing(100)
  const twins = [member(1, 'same'), member(2, 'same')]
  for (const twin of twins) selector.add(twin)
  for (const twin of twins) expect(selector.rangesOf(twin).length).toBeGreaterThan(20)
})

test('a newcomer takes the lower half of the largest range', () => {
  const selector = new HalvedRanges()
  const [a, b, c] = [member(1, 'a'), member(2, 'b'), member(3, 'c')]
  for (const one of [a, b, c]) selector.add(one)
  expect([a, b, c].map(one => selector.rangesOf(one))).toEqual([['[32768, 65535]'], ['[16384, 32767]'], ['[0, 16383]']])
  selector.remove(a)
  expect(selector.rangesOf(b)).toEqual(['[16384, 65535]'])
})
