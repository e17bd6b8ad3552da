// What a topic that nobody uses any more leaves in a broker's memory, after a build:
//   node --expose-gc services/broker/bench/idle-memory.mjs [topics of each round, such as 300,1000,1000,1000]
// Each is made, published to, subscribed to, read and left, then closed as the sweep closes what is idle. Metadata is on disk, and
// the storage node keeps nothing, so that what grows is the broker's. The first round fills pools. Machine code goes on being
// compiled for a long time, hundreds of kilobytes of it, whatever the number of topics: it is told beside, as it is no topic's.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapCodeStatistics } from 'node:v8'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory } from '@strata/managed-ledger'
import { LevelMetadataStore } from '@strata/metadata'
import { createBroker } from '../dist/broker.js'
import { defaultBrokerSettings } from '../dist/config/settings.js'
import { RawClient } from '../dist/connection/testing/raw-client.js'

const LANES = 16
/** Few, so that what the store remembers of them is full from the beginning. */
const OPERATIONS_MAX = 100
const rounds = (process.argv[2] ?? '300,1000,1000,1000').split(',').map(Number)

class ForgetfulNode extends MemoryBookieNode {
  add({ ledgerId, entryId }, sink) {
    setImmediate(() => sink.onAdded(ledgerId, entryId))
  }
}

const directory = await mkdtemp(join(tmpdir(), 'strata-idle-'))
const metadata = await LevelMetadataStore.open({ directory, operationsMax: OPERATIONS_MAX })
const doors = { metadata, clock: systemClock, logger: silentLogger }
const quorum = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }
const nodes = directoryOf([new ForgetfulNode(bookieId('one'))])
const ledgers = createLedgerClient({ ...doors, directory: nodes, quorum, random: () => 0.5 })
const logs = createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 1 << 20 })
const broker = await createBroker({ ...doors, settings: { ...defaultBrokerSettings(), brokerServicePort: 0 }, logs })
try {
  await broker.start()
  let made = 0
  let before
  for (const count of rounds) {
    await useAndLeave(made, made + count)
    made += count
    const after = await heapBytes()
    if (before !== undefined) {
      const [data, code] = [after.data - before.data, after.code - before.code]
      console.log(`${count} topics: ${(data / count).toFixed(0)} bytes each; code: ${(code / 1024).toFixed(0)} KB more`)
    }
    before = after
  }
} finally {
  await broker.close()
  await logs.close()
  await metadata.close()
  await rm(directory, { recursive: true, force: true })
}

async function useAndLeave(from, to) {
  let next = from
  const lane = async () => {
    const client = await RawClient.open({ port: broker.ports.broker })
    await client.connect()
    while (next < to) await useOnce(client, `persistent://public/default/idle-${next++}`)
    client.destroy()
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  for (const topic of [...broker.topics.values()]) await broker.topics.closeIfIdle(topic)
}

async function useOnce(client, topic) {
  await client.producer(topic)
  await client.subscribe(topic)
  // waited for before it is there: what leaves the cache unread would be asked of a node that keeps nothing
  client.flow(1)
  client.publish({})
  await client.next('sendReceipt')
  await client.nextMessage()
  await client.request('closeConsumer', { consumerId: 0n })
  await client.request('closeProducer', { producerId: 0n })
}

/** What is left once everything that can go has gone. */
async function heapBytes() {
  let least = { data: Infinity, code: 0 }
  for (let round = 0; round < 4; round++) {
    await delay(150)
    globalThis.gc()
    const { heapUsed, external } = process.memoryUsage()
    const { code_and_metadata_size, bytecode_and_metadata_size } = getHeapCodeStatistics()
    const code = code_and_metadata_size + bytecode_and_metadata_size
    const data = heapUsed + external - code
    if (data < least.data) least = { data, code }
  }
  return least
}
