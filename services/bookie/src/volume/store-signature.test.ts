import { strict as assert } from 'node:assert'
import { bookieId, systemClock } from '@strata/base'
import { holdStore, liftStoreHold, MemoryMetadataStore } from '@strata/metadata'
import { test } from 'vitest'
import { CLUSTER_ID_KEY } from './cluster-id.ts'
import { acceptStore, signStore, type Signer } from './store-signature.ts'

test('a store that is held is as good as set back, until an operator accepts it', async () => {
  const metadata = new MemoryMetadataStore()
  const put = { kind: 'put', key: CLUSTER_ID_KEY, value: Buffer.from('c') } as const
  await metadata.transact({ compares: [], changes: [put] })
  const id = bookieId('a')
  let signer: Signer = { bookieId: id, clusterId: 'c', volumeId: 'v', signedCount: 0, revision: 0 }
  const sign = async (): Promise<string> => {
    const { standing, ...kept } = await signStore(metadata, signer)
    signer = { ...signer, ...kept }
    return standing.kind
  }
  assert.equal(await sign(), 'trusted')
  await holdStore(metadata, { kind: 'unchecked', reason: 'restored' }, systemClock)
  const before = await metadata.snapshot()
  assert.equal(await sign(), 'set back')
  assert.equal((await metadata.snapshot()).revision, before.revision)
  await acceptStore(metadata, { bookieId: id, signedCount: signer.signedCount })
  assert.equal(await sign(), 'trusted')
  assert.equal(await sign(), 'set back') // it was accepted once
  await liftStoreHold(metadata, systemClock)
  assert.equal(await sign(), 'trusted')
})
