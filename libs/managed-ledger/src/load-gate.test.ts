import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LoadGate } from './load-gate.ts'

test('reads go in order, never more than the bound at once but for one alone, and none is forgotten', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.nat(150), { maxLength: 30 }), fc.array(fc.nat(29)), async (sizes, choices) => {
      const gate = new LoadGate(100)
      const started: number[] = []
      const underWay = new Map<number, () => void>()
      const settled = sizes.map((bytes, index) =>
        gate.through(bytes, () => {
          started.push(index)
          return new Promise<void>(resolve => underWay.set(index, resolve))
        })
      )
      for (let step = 0; started.length < sizes.length || underWay.size > 0; step++) {
        const running = [...underWay.keys()]
        const held = running.reduce((sum, index) => sum + (sizes[index] ?? 0), 0)
        assert(held <= 100 || running.filter(index => (sizes[index] ?? 0) > 0).length === 1)
        assert.equal(gate.bytesUnderWay, held)
        const ended = running[(choices[step] ?? 0) % running.length] as number
        underWay.get(ended)?.()
        underWay.delete(ended)
        await settled[ended]
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.deepEqual(
        started,
        sizes.map((_, index) => index)
      )
      assert.equal(gate.bytesUnderWay, 0)
    })
  ))

test('a read that fails gives its room back', async () => {
  const gate = new LoadGate(10)
  const failing = gate.through(10, () => Promise.reject(new Error('no')))
  const next = gate.through(10, () => Promise.resolve('read'))
  await expect(failing).rejects.toThrow('no')
  assert.equal(await next, 'read')
})
