import { strict as assert } from 'node:assert'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { availableBookieKey, encodeAvailableBookie, type AvailableBookie } from '@strata/ledger-client'
import { finalizeLevel, holdStore, liftStoreHold, MemoryMetadataStore, MetadataError } from '@strata/metadata'
import { describe, test } from 'vitest'
import { CommandFailure } from './failure.ts'
import { StoreStanding } from './store-standing.ts'

const open = (metadata: MemoryMetadataStore, clusterName = 'standalone') =>
  StoreStanding.open(metadata, { url: 'etcd:x', clusterName, logger: silentLogger })

async function announce(metadata: MemoryMetadataStore, change: Partial<AvailableBookie>): Promise<void> {
  const bookie: AvailableBookie = {
    ...{ bookieId: bookieId('a'), address: 'h:1', httpAddress: '', rack: '', host: 'h', freeBytes: 1, totalBytes: 1 },
    ...{ state: 'writable', softwareVersion: '', incarnation: 1, startedAtMs: 1, reasons: [] },
    ...change
  }
  const put = { kind: 'put', key: availableBookieKey(bookie.bookieId), value: encodeAvailableBookie(bookie) } as const
  await metadata.transact({ compares: [], changes: [put] })
}

const refusal = (line: RegExp) => (error: unknown) => error instanceof CommandFailure && line.test(error.message)

describe('whether a broker may act on the metadata', () => {
  test('it may on a store that nobody said anything of', async () => {
    const metadata = new MemoryMetadataStore()
    await announce(metadata, {})
    await announce(metadata, { state: 'set-aside', signedCount: 0 }) // it cannot tell for a moment
    const standing = await open(metadata)
    standing.close()
  })

  test('it may not on one that is held, before it starts and while it runs', async () => {
    const metadata = new MemoryMetadataStore()
    const standing = await open(metadata)
    await holdStore(metadata, { kind: 'unchecked', reason: 'it was restored' }, systemClock)
    assert.match((await standing.over).message, /since it was restored: run strata fsck --accept-store/)
    standing.close()
    await assert.rejects(open(metadata), refusal(/it was restored/))
    await liftStoreHold(metadata, systemClock)
    ;(await open(metadata)).close()
    await holdStore(metadata, { kind: 'filling', reason: 'a move is under way' }, systemClock)
    await assert.rejects(open(metadata), refusal(/a move is under way: run that to its end/))
  })

  test('it may not while a storage node does not know the store', async () => {
    const metadata = new MemoryMetadataStore()
    const standing = await open(metadata)
    await announce(metadata, { state: 'set-aside', signedCount: 4 })
    assert.match((await standing.over).message, /storage node a set itself aside.*fsck --accept-store/)
    standing.close()
    await assert.rejects(open(metadata), refusal(/set itself aside/))
  })

  test('it may not where the driver says so, nor on the metadata of another cluster, nor on formats that it does not know', async () => {
    const metadata = new MemoryMetadataStore()
    const standing = await open(metadata)
    standing.replaced('revision 3 after 5')
    assert.match((await standing.over).message, /not the one it was \(revision 3 after 5\)/)
    standing.close()
    const put = { kind: 'put', key: 'cluster-name', value: Buffer.from('east') } as const
    await metadata.transact({ compares: [], changes: [put] })
    await assert.rejects(open(metadata), refusal(/of cluster east, not standalone/))
    await finalizeLevel(metadata, { level: 99, clock: systemClock })
    await assert.rejects(open(metadata, 'east'), error => MetadataError.is(error, 'LEVEL_UNKNOWN'))
  })
})
