export type { EtcdTls } from './etcd-members.ts'
export { EtcdMetadataStore, type EtcdMetadataOptions } from './etcd-metadata-store.ts'
