import { strict as assert } from 'node:assert'
import { BaseCommand_Type, CommandSubscribe_SubType, encodeCommand } from '@strata/wire'
import { test } from 'vitest'
import { ConsumeLoad } from '../bench/load/consume.ts'
import { Peer } from '../bench/load/peer.ts'
import { residentBytes, residentPeakBytes } from '../support/resident.ts'
import { startStrata, withDirectory, type StrataProcess } from '../support/strata-process.ts'
import { Flooder } from './bounds-flooder.ts'
import { assertHealthy, MIB, publishSome, report, until } from './bounds-support.ts'

const TOPICS = 50
const CONSUMERS_EACH = 40
const MESSAGE_BYTES = 1024
/** A backlog in which each consumer has a place of its own, so that none shares another's read. */
const BACKLOG_EACH = 2000
const PUBLISHED_EACH = 1000
const PERMITS = 1_000_000
/** On a slow machine all take their shares for longer than the usual two intervals, after which the deaf ones are closed. */
const SET = {
  strataMemoryBudgetMB: 64,
  managedLedgerCacheSizeMB: 16,
  keepAliveIntervalSeconds: 120,
  strataLogLevel: 'error'
}
/**
 * An idle process has 130 MiB. To that come the budget and the cache (80), one piece of output of each socket (32), 2,000
 * connections and subscriptions (50), buffers of the journal (16), and what the collector has not come to. It was 810 while
 * every subscription kept its last read alive.
 */
const RESIDENT_BYTES_MAX = 512 * MIB
const HEALTH_MS_MAX = 45_000
/** Kernels take megabytes for each deaf socket, and the reader gets its share beside them. Below two keep-alive intervals, when they are closed. */
const READER_MS_MAX = 100_000
const PUBLISH = { messages: 100, deadlineSeconds: 90 }

function topicOf(index: number): string {
  return `persistent://public/default/deaf-${index}`
}

/** Publishes to every topic at once. @returns The ledger of the first message of each. */
async function publishAll(strata: StrataProcess, name: string, messages: number): Promise<number[]> {
  const flooders = await Promise.all(
    Array.from({ length: TOPICS }, (_, i) =>
      Flooder.open(strata.brokerPort, { topic: topicOf(i), name, messages, bytes: MESSAGE_BYTES })
    )
  )
  try {
    await Promise.all(flooders.map(flooder => flooder.run()))
    return flooders.map(flooder => flooder.ledgerId)
  } finally {
    for (const flooder of flooders) flooder.close()
  }
}

/** Subscribes from a place of its own on. */
async function openDeaf(strata: StrataProcess, at: { topic: number; index: number; ledgerId: number }): Promise<Peer> {
  const peer = await Peer.open(strata.brokerPort)
  const entryId = Math.floor((at.index * BACKLOG_EACH) / CONSUMERS_EACH)
  await peer.ask(
    'subscribe',
    {
      topic: topicOf(at.topic),
      subscription: `deaf-${at.index}`,
      subType: CommandSubscribe_SubType.Exclusive,
      consumerId: 0n,
      requestId: 1n,
      consumerName: 'deaf',
      durable: false,
      startMessageId: { ledgerId: BigInt(at.ledgerId), entryId: BigInt(entryId) }
    },
    BaseCommand_Type.SUCCESS
  )
  return peer
}

/** Wants all there is, and reads nothing of it. */
function fallDeaf(peer: Peer): void {
  peer.socket.pause()
  peer.socket.write(encodeCommand('flow', { consumerId: 0n, messagePermits: PERMITS }))
}

test(
  `${TOPICS * CONSUMERS_EACH} consumers that never read, on ${TOPICS} topics under full publish`,
  () =>
    withDirectory(async data => {
      const strata = await startStrata({ data, set: SET })
      const deaf: Peer[] = []
      try {
        const ledgerIds = await publishAll(strata, 'before', BACKLOG_EACH)
        for (let index = 0; index < CONSUMERS_EACH; index++) {
          const opened = ledgerIds.map((ledgerId, topic) => openDeaf(strata, { topic, index, ledgerId }))
          deaf.push(...(await Promise.all(opened)))
        }
        const beforeMiB = residentBytes(strata.pid) / MIB
        for (const peer of deaf) fallDeaf(peer)
        const startedAt = performance.now()
        const [healthMs, { p99Ms }, readMs, publishedMs] = await Promise.all([
          assertHealthy(strata, HEALTH_MS_MAX),
          publishSome(strata, 'neighbour', PUBLISH),
          readAll(strata, BACKLOG_EACH),
          publishAll(strata, 'during', PUBLISHED_EACH).then(() => performance.now() - startedAt)
        ])
        const peakMiB = residentPeakBytes(strata.pid) / MIB
        report('deaf', { peakMiB, beforeMiB, healthMs, p99Ms, readMs, publishedMs })
        assert.deepEqual(
          deaf.flatMap(({ failure }) => failure ?? []),
          [],
          'none was closed'
        )
        assert(peakMiB * MIB < RESIDENT_BYTES_MAX, `${peakMiB} MiB resident`)
      } finally {
        for (const peer of deaf) peer.close()
        await strata.kill()
      }
    }),
  240_000
)

/** A consumer that reads, beside the others on their first topic. @returns How long it took to get so many messages, ms. */
async function readAll(strata: StrataProcess, messages: number): Promise<number> {
  const reader = await ConsumeLoad.open({
    port: strata.brokerPort,
    topic: topicOf(0),
    subscription: 'reader',
    type: 'Exclusive',
    consumers: 1,
    permits: 1000,
    earliest: true
  })
  reader.start(1000)
  try {
    return await until(`${messages} messages were read`, READER_MS_MAX, () => {
      reader.check()
      return reader.messages >= messages
    })
  } finally {
    reader.close()
  }
}
