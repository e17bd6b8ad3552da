import { expect, test } from 'vitest'
import { nodesWithin, type NodeGroups } from './node-groups.ts'

const nodes = [
  { name: 'fast-1', group: 'fast' },
  { name: 'fast-2', group: 'fast' },
  { name: 'slow-1', group: 'slow' },
  { name: 'slow-2', group: 'old' },
  { name: 'free' }
]

function within(needed: number, groups?: NodeGroups): string[] {
  return nodesWithin(nodes, groups, needed).map(({ name }) => name)
}

const fast = (...secondary: string[]): NodeGroups => ({ primary: ['fast'], secondary })

test('without groups all nodes may be used', () => {
  expect(within(2)).toEqual(nodes.map(({ name }) => name))
})

test('the primary groups alone while they have enough, then the secondary ones too, and never others', () => {
  expect(within(2, fast('slow'))).toEqual(['fast-1', 'fast-2'])
  expect(within(3, fast('slow', 'old'))).toEqual(['fast-1', 'fast-2', 'slow-1', 'slow-2'])
  expect(within(3, fast())).toEqual(['fast-1', 'fast-2'])
  expect(within(3, { primary: ['fast', 'slow'], secondary: [] })).toEqual(['fast-1', 'fast-2', 'slow-1'])
  expect(within(3, fast('fast'))).toEqual(['fast-1', 'fast-2'])
  expect(within(1, { primary: ['nobody'], secondary: [] })).toEqual([])
})
