export { describeArchivableStore, type ArchivableStoreUnderTest } from './archive-conformance.ts'
export { describeMetadataStore, type MetadataStoreUnderTest } from './conformance.ts'
export { FaultyMetadataStore } from './faulty-metadata-store.ts'
export { MemoryMetadataStore } from '../memory-metadata-store.ts'
