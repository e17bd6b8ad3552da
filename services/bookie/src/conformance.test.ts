import { describeBookieNode } from '@strata/ledger-client/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import type { Bookie } from './bookie-types.ts'
import { copyMetadata, openOn, seededRandom, TestNode } from './testing/fixtures.ts'
import { RecordingDisk } from './testing/recording-disk.ts'

describeBookieNode('a bookie on real files', async () => {
  const under = await TestNode.create()
  const node = await under.open()
  return {
    node,
    restart: async () => {
      await node.close()
      return under.open()
    },
    dispose: () => under.destroy()
  }
})

describeBookieNode('a bookie whose power fails', async () => {
  const metadata = new MemoryMetadataStore()
  const disk = new RecordingDisk()
  const opened: Bookie[] = []
  const open = async (on: RecordingDisk, store: MemoryMetadataStore): Promise<Bookie> => {
    const bookie = await openOn(on, store)
    opened.push(bookie)
    return bookie
  }
  return {
    node: await open(disk, metadata),
    restart: async () => {
      const image = disk.crashImage(disk.operations.length, seededRandom(1))
      return open(image, await copyMetadata(metadata))
    },
    dispose: async () => {
      for (const bookie of opened) await bookie.close()
    }
  }
})
