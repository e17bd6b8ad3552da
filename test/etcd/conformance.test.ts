import { BatchingMetadataStore, type MetadataStore } from '@strata/metadata'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { describeArchivableStore, describeMetadataStore } from '@strata/metadata/testing'
import { afterAll, beforeAll } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

const onEtcd = async () => {
  const prefix = freshPrefix()
  const stores: EtcdMetadataStore[] = []
  const open = async (): Promise<EtcdMetadataStore> => {
    const store = await openStore({ endpoints: etcd.endpoints, prefix })
    stores.push(store)
    return store
  }
  return {
    store: await open(),
    reopen: open,
    dispose: async () => {
      for (const store of stores) await store.close()
    }
  }
}

describeMetadataStore('EtcdMetadataStore', onEtcd)
describeArchivableStore('EtcdMetadataStore', onEtcd)

describeMetadataStore('BatchingMetadataStore over etcd', async () => {
  const { store, reopen, dispose } = await onEtcd()
  const again = async (): Promise<MetadataStore> => new BatchingMetadataStore(await reopen())
  return { store: new BatchingMetadataStore(store), reopen: again, dispose }
})
