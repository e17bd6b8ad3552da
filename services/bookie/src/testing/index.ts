export { describeIndexStore, type IndexStoreUnderTest } from './index-store-conformance.ts'
