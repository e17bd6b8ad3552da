import { strict as assert } from 'node:assert'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { EntryId, LedgerId } from '@strata/base'
import { AddStretch, STRETCH_STRIDE, type AddSink } from '@strata/ledger-client'
import { test } from 'vitest'
import { TestNode } from '../testing/fixtures.ts'

const LEDGER = 1 as LedgerId
const KIB = 1024
const PAYLOAD_BYTES = 4 * KIB
const COUNT = 4
const STRETCH_BYTES = COUNT * PAYLOAD_BYTES
/** Four times what both buffers hold: something waits for them all the time. */
const WINDOW_BYTES = 512 * KIB
const BUFFERS = { writeBufferBytes: 64 * KIB, writeBufferBytesMax: 64 * KIB, journalFileBytes: 8 * KIB * KIB }
const TOTAL_BYTES = 20 * WINDOW_BYTES

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function stretchAt(first: number): AddStretch {
  const bytes = Buffer.alloc(STRETCH_BYTES, 5)
  const numbers = new Float64Array(COUNT * STRETCH_STRIDE)
  for (let i = 0; i < COUNT; i++) {
    const lengthBytes = (first + i + 1) * PAYLOAD_BYTES
    numbers.set([first + i, first + i - 1, lengthBytes, 0, i * PAYLOAD_BYTES, PAYLOAD_BYTES], i * STRETCH_STRIDE)
  }
  return new AddStretch(LEDGER, { bytes, numbers, count: COUNT })
}

test('adds that waited and are in a buffer keep no memory, however long others wait behind them', async () => {
  const node = await TestNode.create({ settings: BUFFERS })
  const bookie = await node.open()
  const messages: WeakRef<AddStretch>[] = []
  let next = 0
  try {
    await new Promise<void>((resolve, reject) => {
      const sink: AddSink = {
        onAdded: (_, entryId: EntryId) => {
          while (next * PAYLOAD_BYTES < Math.min(TOTAL_BYTES, (entryId + 1) * PAYLOAD_BYTES + WINDOW_BYTES)) add()
          if (next * PAYLOAD_BYTES >= TOTAL_BYTES) resolve()
        },
        onAddFailed: (_, entryId, failure) => {
          reject(new Error(`${entryId}: ${failure}`))
        }
      }
      const add = (): void => {
        const stretch = stretchAt(next)
        messages.push(new WeakRef(stretch))
        next += COUNT
        bookie.addStretch(stretch, sink)
      }
      while (next * PAYLOAD_BYTES < WINDOW_BYTES) add()
    })
    collect()
    const kept = messages.filter(message => message.deref() !== undefined).length
    assert.ok(kept * STRETCH_BYTES <= 2 * WINDOW_BYTES, `${kept} of ${messages.length} messages are in memory`)
  } finally {
    await node.destroy()
  }
})
