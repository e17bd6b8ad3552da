import { bookieId } from '@strata/base'
import { describeBookieNode, MemoryBookieNode } from './index.ts'

describeBookieNode(
  'MemoryBookieNode',
  async () => {
    const node = new MemoryBookieNode(bookieId('memory'))
    return { node, restart: async () => node, dispose: async () => undefined }
  },
  { isDurable: false }
)
