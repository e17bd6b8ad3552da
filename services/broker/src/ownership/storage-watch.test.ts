import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { afterEach, beforeEach, describe, test } from 'vitest'
import type { BrokerAddress } from './contract.ts'
import type { PeerAnswer } from './events.ts'
import { StorageWatch } from './storage-watch.ts'

function brokerOf(id: string): BrokerAddress {
  const urls = { brokerUrl: undefined, brokerUrlTls: undefined, httpUrl: undefined, httpUrlTls: undefined }
  return { id, instance: `${id}.1`, version: '1', startedAtMs: 0, urls, listeners: new Map(), isDraining: false }
}

describe('a broker and its storage', () => {
  let clock: ManualClock
  let counts: { stored: number; waiting: number; failures: number }
  let reaches: boolean
  let answer: PeerAnswer
  let notes: string[]
  let watch: StorageWatch
  beforeEach(() => {
    clock = new ManualClock()
    counts = { stored: 0, waiting: 0, failures: 0 }
    reaches = true
    answer = 'reaches'
    notes = []
    const note = (text: string): Promise<void> => Promise.resolve(void notes.push(text))
    watch = new StorageWatch({
      ...{ clock, logger: silentLogger, giveUpMs: 5_000, counts: () => counts },
      door: {
        reaches: () => Promise.resolve(reaches),
        ask: ({ id }) => {
          notes.push(`asks ${id}`)
          return Promise.resolve(answer)
        }
      },
      ownership: {
        self: brokerOf('a'),
        brokers: () => [brokerOf('a'), brokerOf('b')],
        giveUp: () => note('gives up'),
        setDraining: isDraining => note(isDraining ? 'takes none' : 'takes some')
      }
    })
    watch.start()
  })
  afterEach(() => watch.close())

  async function pass(ms: number): Promise<void> {
    for (let leftMs = ms; leftMs > 0; leftMs -= 500) {
      clock.advance(500)
      for (let i = 0; i < 5; i++) await new Promise(resolve => setImmediate(resolve))
    }
  }

  test('that is cut off: its bundles go, and it takes some again once that is over', async () => {
    await pass(60_000)
    assert.deepEqual(notes, [])
    counts.waiting = 1
    reaches = false
    await pass(4_500)
    assert.deepEqual(notes, [])
    await pass(1_000)
    assert.deepEqual(notes, ['asks b', 'gives up'])
    assert.equal(watch.hasGivenUp, true)
    counts.waiting = 0
    await pass(60_000)
    reaches = true
    await pass(11_000)
    assert.deepEqual(notes, ['asks b', 'gives up', 'takes some'])
    assert.equal(watch.hasGivenUp, false)
  })

  test('that is cut off as all others are: it goes on trying', async () => {
    counts.waiting = 1
    reaches = false
    answer = 'lost'
    await pass(10_000)
    assert.equal(notes.includes('gives up'), false)
    reaches = true
    counts.stored = 1
    await pass(10_000)
    assert.equal(watch.hasGivenUp, false)
  })
})
