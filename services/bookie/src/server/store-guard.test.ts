import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MetadataError } from '@strata/metadata'
import { beforeEach, describe, test } from 'vitest'
import type { StoreStanding } from '../volume/store-signature.ts'
import { StoreGuard } from './store-guard.ts'

let clock: ManualClock
let standings: (StoreStanding | Error)[]
let asked: number
let guard: StoreGuard
beforeEach(() => {
  clock = new ManualClock()
  standings = []
  asked = 0
  const signMetadata = (): Promise<StoreStanding> => {
    asked += 1
    const next = standings.shift() ?? assert.fail('nobody was to ask')
    return next instanceof Error ? Promise.reject(next) : Promise.resolve(next)
  }
  guard = new StoreGuard({ signMetadata }, { clock, logger: silentLogger })
})

const trusted: StoreStanding = { kind: 'trusted' }
const setBack: StoreStanding = { kind: 'set back', signedCount: 7 }

describe('a node and the metadata store', () => {
  test('it serves while the store is the one that it signed, and looks now and then', async () => {
    standings.push(trusted, trusted)
    for (let i = 0; i < 31; i++) {
      assert.equal(await guard.reasonToStayAside(), undefined)
      clock.advance(1_000)
    }
    assert.equal(asked, 2)
  })

  test('it stays aside as long as the store is not, and looks all the time', async () => {
    standings.push(setBack, setBack, { kind: 'foreign' }, trusted)
    assert.equal((await guard.reasonToStayAside())?.signedCount, 7)
    assert.match((await guard.reasonToStayAside())?.reason ?? '', /accept-store/)
    assert.match((await guard.reasonToStayAside())?.reason ?? '', /another cluster/)
    assert.equal(await guard.reasonToStayAside(), undefined)
  })

  test('a disk that takes no signature changes nothing; a store that does not answer is an error', async () => {
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    standings.push(full)
    await assert.rejects(guard.look(), full) // not before it is known
    standings.push(trusted, full)
    await guard.look()
    await guard.look()
    assert.equal(await guard.reasonToStayAside(), undefined)
    standings.push(MetadataError.create('UNAVAILABLE'))
    await assert.rejects(guard.look(), error => MetadataError.is(error, 'UNAVAILABLE'))
  })
})
