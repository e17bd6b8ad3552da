export { directoryOf, MemoryBookieNode } from './memory-bookie-node.ts'
export { describeBookieNode, TestWriter, type BookieNodeUnderTest } from './node-conformance.ts'
