import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import type { BookieDirectory, BookieNode } from '@strata/ledger-client'
import { describe, test } from 'vitest'
import { StorageProbe } from './storage-probe.ts'

type Answering = 'answers' | 'refuses' | 'is silent'

function directoryOf(nodes: readonly Answering[]): BookieDirectory & { asked: number } {
  const directory = {
    asked: 0,
    writable: () => nodes.map((_, i) => ({ bookieId: `node-${i}` })),
    node: (id: string): BookieNode => {
      const how = nodes[Number(id.slice('node-'.length))]
      const readLac = (): Promise<unknown> => {
        directory.asked++
        if (how === 'answers') return Promise.resolve({ lac: -1, authority: false })
        return how === 'refuses' ? Promise.reject(new Error('no')) : new Promise(() => undefined)
      }
      return { readLac } as unknown as BookieNode
    },
    onChange: () => () => undefined
  }
  return directory as unknown as BookieDirectory & { asked: number }
}

const clock = new ManualClock()

describe('storage', () => {
  test('is reached if as many nodes answer as must have an entry', async () => {
    const reaches = (...nodes: Answering[]): Promise<boolean> =>
      new StorageProbe({ directory: directoryOf(nodes), ackQuorum: 2, clock }).reaches()
    assert.equal(await reaches('answers', 'is silent', 'answers'), true)
    assert.equal(await reaches('answers', 'refuses', 'refuses'), false)
    assert.equal(await reaches(), false)
  })

  test('is not if its nodes say nothing for a while, which all who ask wait for together', async () => {
    const directory = directoryOf(['answers', 'is silent', 'is silent'])
    const probe = new StorageProbe({ directory, ackQuorum: 2, clock })
    const answers = Promise.all([probe.reaches(), probe.reaches()])
    clock.advance(700)
    assert.deepEqual(await answers, [false, false])
    assert.equal(directory.asked, 3)
  })
})
