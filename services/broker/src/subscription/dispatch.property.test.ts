import fc from 'fast-check'
import { describe, test } from 'vitest'
import { play, steps, type RunOptions } from './testing/dispatch-run.ts'

const kinds: Record<string, RunOptions> = {
  Exclusive: { type: 'Exclusive' },
  Failover: { type: 'Failover' },
  Shared: { type: 'Shared' },
  'Shared with little memory': { type: 'Shared', poolBytes: 300 },
  'Key_Shared, consistent hashing': { type: 'Key_Shared' },
  'Key_Shared, halved ranges': { type: 'Key_Shared', consistentHashing: false },
  'Key_Shared with little memory': { type: 'Key_Shared', poolBytes: 300 }
}

describe('whatever happens, what can be delivered is, and nothing else', () => {
  for (const [name, options] of Object.entries(kinds)) {
    test(name, async () => {
      await fc.assert(
        fc.asyncProperty(steps, async list => {
          await play(list, options)
        }),
        { numRuns: Number(process.env['DISPATCH_RUNS'] ?? 150) }
      )
    })
  }
})
