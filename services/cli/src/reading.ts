import type { MessageId, PulsarClient, Reader } from '@strata/client'
import { withClient, type ClientModule, type ConnectFlags } from './connecting.ts'
import { usageFailure } from './failure.ts'
import { printMessage, type ViewFlags } from './message-view.ts'
import { note, startProgress } from './output.ts'
import { checkEnough, receiveAll } from './receiving.ts'
import type { StartPosition } from './start-position.ts'

export interface ReadFlags extends ConnectFlags, ViewFlags {
  readonly from: StartPosition
  readonly count?: number
  readonly follow?: boolean
  readonly timeout?: number
}

export async function read(topic: string, flags: ReadFlags): Promise<void> {
  const follow = flags.follow ?? false
  if (flags.timeout !== undefined && !follow)
    throw usageFailure('--timeout needs --follow: without it reading ends by itself')
  await withClient(flags, async ({ client, module, interrupt }) => {
    const reader = await openReader(client, module, { topic, from: flags.from, follow })
    let received = 0
    const progress = startProgress(() => `${received} messages read`, !process.stdout.isTTY)
    const outcome = await receiveAll({
      next: async timeoutMs => {
        if (!follow && !(await reader.hasMessageAvailable())) return undefined
        return await reader.readNext(timeoutMs)
      },
      onMessage: async message => {
        received++
        await printMessage(message, flags)
      },
      count: flags.count,
      timeoutMs: flags.timeout,
      interrupt
    }).finally(() => progress.stop())
    await reader.close()
    if (flags.json !== true) note(`read ${outcome.received} ${outcome.received === 1 ? 'message' : 'messages'}`)
    const advice = follow
      ? 'publish more, or wait longer with --timeout'
      : 'publish more, or wait for them with --follow'
    checkEnough(outcome, { count: flags.count, what: topic, advice })
  })
}

interface Reading {
  readonly topic: string
  readonly from: StartPosition
  readonly follow: boolean
}

async function openReader(
  client: PulsarClient,
  module: ClientModule,
  { topic, from, follow }: Reading
): Promise<Reader> {
  const { MessageId: Id } = module
  switch (from.kind) {
    case 'earliest':
      return await client.createReader({ topic, startMessageId: Id.earliest })
    case 'latest':
      return await client.createReader({ topic, startMessageId: Id.latest, isStartInclusive: !follow })
    case 'id': {
      const startMessageId: MessageId = new Id(from)
      const partition = await partitionOf(client, topic, from.partition)
      return await client.createReader({ topic: partition, startMessageId, isStartInclusive: true })
    }
    case 'time': {
      const reader = await client.createReader({ topic, startMessageId: Id.earliest })
      await reader.seek(from.atMs)
      return reader
    }
  }
}

/** An id is a place in one partition. */
async function partitionOf(client: PulsarClient, topic: string, partition: number): Promise<string> {
  const partitions = await client.getPartitions(topic)
  const [only = topic] = partitions
  if (partitions.length === 1 && partition <= 0) return only
  const named = partition < 0 ? undefined : partitions.find(each => each.endsWith(`-partition-${partition}`))
  if (named !== undefined) return named
  throw usageFailure(`${topic} has ${partitions.length} partitions: write --from as ledger:entry:partition`)
}
