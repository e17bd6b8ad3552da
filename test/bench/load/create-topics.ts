import { BaseCommand_Type, commandTypeOf } from '@strata/wire'
import { sendFrame } from './frames.ts'
import { Peer } from './peer.ts'

export interface CreateTopicsOptions {
  readonly port: number
  /** Topics are called this, a dash and a number; or as it says. */
  readonly topic: string | ((index: number) => string)
  /** No more than this are made. */
  readonly topicsMax?: number
  /** So many are being made at any moment, each on a connection of its own. */
  readonly lanes: number
  readonly warmUpSeconds: number
  readonly seconds: number
  readonly bytes: number
}

export interface TopicsCreated {
  /** All of them, those of the warm-up too. */
  readonly topics: number
  readonly topicsPerSecond: number
  /** From the first question about a topic to the receipt of its message. */
  readonly medianMs: number
  readonly p99Ms: number
}

/**
 * Makes topics as clients do that publish to one nobody has heard of: they ask for its partitions, look it up, create a
 * producer, publish once and close the producer.
 */
export async function createTopics(options: CreateTopicsOptions): Promise<TopicsCreated> {
  const peers = await Promise.all(Array.from({ length: options.lanes }, () => Peer.open(options.port)))
  const startedAt = performance.now()
  const countFrom = startedAt + options.warmUpSeconds * 1000
  const endAt = countFrom + options.seconds * 1000
  const tookMs: number[] = []
  let next = 0
  const { topic, topicsMax = Infinity } = options
  const nameOf = typeof topic === 'function' ? topic : (index: number): string => `${topic}-${index}`
  const lane = async (peer: Peer): Promise<void> => {
    for (let now = performance.now(); now < endAt && next < topicsMax;) {
      await createOne(peer, nameOf(next++), options.bytes)
      const doneAt = performance.now()
      if (doneAt >= countFrom && doneAt < endAt) tookMs.push(doneAt - now)
      now = doneAt
    }
  }
  try {
    await Promise.all(peers.map(lane))
  } finally {
    for (const peer of peers) peer.close()
  }
  tookMs.sort((a, b) => a - b)
  const share = (part: number): number => tookMs[Math.floor(tookMs.length * part)] ?? NaN
  return { topics: next, topicsPerSecond: tookMs.length / options.seconds, medianMs: share(0.5), p99Ms: share(0.99) }
}

/** One of them; or a topic that is there already is published to. */
export async function createOne(peer: Peer, topic: string, bytes: number): Promise<void> {
  await peer.ask('partitionMetadata', { topic, requestId: 1n }, BaseCommand_Type.PARTITIONED_METADATA_RESPONSE)
  await peer.lookup(topic)
  const producer = { topic, producerId: 0n, requestId: 2n }
  await peer.ask('producer', producer, BaseCommand_Type.PRODUCER_SUCCESS)
  await publishOnce(peer, bytes)
  await peer.ask('closeProducer', { producerId: 0n, requestId: 3n }, BaseCommand_Type.SUCCESS)
}

function publishOnce(peer: Peer, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => {
      reject(peer.failure ?? new Error('the broker closed the connection'))
    }
    peer.socket.once('close', onClose)
    peer.onFrame = (buffer, start, end) => {
      if (commandTypeOf(buffer, start, end) !== BaseCommand_Type.SEND_RECEIPT) return
      peer.socket.off('close', onClose)
      resolve()
    }
    peer.socket.write(sendFrame({ producerId: 0, producerName: 'load', sequenceId: 0, batch: 1, bytes }))
  })
}
