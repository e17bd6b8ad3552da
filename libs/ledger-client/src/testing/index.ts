export { directoryOf, MemoryBookieNode } from './memory-bookie-node.ts'
