import { strict as assert } from 'node:assert'
import { beforeEach, describe, test } from 'vitest'
import { StorageReach } from './storage-reach.ts'

const GIVE_UP_MS = 5_000
const LOOK_MS = 500

describe('a broker that stores nothing', () => {
  let reach: StorageReach
  let nowMs: number
  beforeEach(() => {
    reach = new StorageReach({ giveUpMs: GIVE_UP_MS })
    nowMs = 1_000
    reach.onLook({ stored: 7, waiting: 0, failures: 0 }, nowMs)
  })

  function look(counts: { stored?: number; waiting?: number; failures?: number } = {}): string {
    nowMs += LOOK_MS
    return reach.onLook({ stored: 7, waiting: 0, failures: 0, ...counts }, nowMs)
  }

  /** Looks until storage is to be asked, which does not answer. */
  function stall(ms: number): string[] {
    const steps: string[] = []
    for (const untilMs = nowMs + ms; nowMs < untilMs;) {
      if (look({ waiting: 3 }) === 'probe') steps.push(reach.onProbed(false, nowMs))
    }
    return steps
  }

  test('because nothing is published asks nobody', () => {
    for (let i = 0; i < 100; i++) assert.equal(look(), 'none')
  })

  test('while something waits asks storage, and gives up after its time where a peer reaches it', () => {
    assert.equal(stall(GIVE_UP_MS - LOOK_MS).includes('ask-peers'), false)
    assert.equal(stall(LOOK_MS).at(-1), 'ask-peers')
    assert.equal(reach.onPeers(['silent', 'reaches']), 'give-up')
    assert.equal(reach.hasGivenUp, true)
  })

  test('keeps its bundles where no peer reaches storage either, and asks again', () => {
    assert.equal(stall(GIVE_UP_MS).at(-1), 'ask-peers')
    for (const answers of [[], ['lost'], ['silent', 'lost']] as const) {
      assert.equal(reach.onPeers(answers), 'none')
      assert.deepEqual(stall(LOOK_MS), ['ask-peers'])
    }
    assert.equal(reach.hasGivenUp, false)
    assert.equal(reach.onPeers(['reaches']), 'give-up')
  })

  test('and whose storage answers is slow, not cut off', () => {
    stall(GIVE_UP_MS - LOOK_MS)
    assert.equal(look({ waiting: 3 }), 'probe')
    assert.equal(reach.onProbed(true, nowMs), 'none')
    assert.equal(reach.onPeers(['reaches']), 'none') // an answer that comes too late
    assert.equal(stall(GIVE_UP_MS - LOOK_MS).includes('ask-peers'), false)
  })

  test('goes on once anything is stored', () => {
    stall(GIVE_UP_MS - LOOK_MS)
    assert.equal(look({ stored: 8, waiting: 3 }), 'none')
    assert.equal(reach.onLook({ stored: 8, waiting: 3, failures: 0 }, (nowMs += LOOK_MS)), 'none')
    assert.equal(reach.hasGivenUp, false)
  })

  test('is not forgotten when what waited has failed', () => {
    stall(2_000)
    for (const untilMs = nowMs + GIVE_UP_MS; nowMs < untilMs;) {
      assert.equal(look(), 'probe')
      reach.onProbed(false, nowMs)
    }
    assert.equal(reach.onProbed(false, nowMs), 'ask-peers')
  })

  test('and whose logs cannot be taken is one that waits', () => {
    for (let failures = 1; failures < 4; failures++) look({ failures })
    assert.equal(look({ failures: 4 }), 'probe')
  })

  test('is given bundles again once storage answered for a while without a break', () => {
    stall(GIVE_UP_MS)
    reach.onPeers(['reaches'])
    const until = (reaches: boolean, ms: number): string[] => {
      const steps = new Set<string>()
      for (const untilMs = nowMs + ms; nowMs < untilMs;) {
        assert.equal(look(), 'probe')
        steps.add(reach.onProbed(reaches, nowMs))
      }
      return [...steps]
    }
    assert.deepEqual(until(true, 9_500), ['none'])
    assert.deepEqual(until(false, LOOK_MS), ['none'])
    assert.deepEqual(until(true, 10_000), ['none'])
    assert.equal(look(), 'probe')
    assert.equal(reach.onProbed(true, nowMs), 'return')
    assert.equal(reach.hasGivenUp, false)
  })
})
