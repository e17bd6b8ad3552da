import { strict as assert } from 'node:assert'
import { beforeEach, describe, test } from 'vitest'
import { SpareMemory } from './spare-memory.ts'

describe('memory of a lane that is given back', () => {
  let made: number
  let released: Buffer[]
  let memory: SpareMemory
  beforeEach(() => {
    made = 0
    released = []
    memory = new SpareMemory({
      allocate: bytes => {
        made += 1
        return Buffer.alloc(bytes)
      },
      release: each => released.push(each)
    })
  })

  test('goes to whoever asks for as much next', () => {
    const [small, large] = [memory.allocate(10), memory.allocate(20)]
    memory.release(small)
    memory.release(large)
    assert.equal(memory.allocate(20), large)
    assert.equal(memory.allocate(10), small)
    assert.notEqual(memory.allocate(10), small, 'given out once')
    assert.equal(made, 3)
  })

  test('goes to the lane when there is more of it than two, the oldest first, and all of it in the end', () => {
    const all = Array.from({ length: 4 }, (_, i) => memory.allocate(i + 1))
    for (const each of all) memory.release(each)
    assert.deepEqual(released, all.slice(0, 2))
    memory.giveUp()
    assert.deepEqual(released, all)
    memory.giveUp()
    assert.deepEqual(released, all)
  })
})
