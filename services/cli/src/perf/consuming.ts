import type { Consumer, Message, PulsarClient, Reader, SubscriptionType } from '@strata/client'
import { withClient, type ClientModule } from '../connecting.ts'
import { runPerf, topicNames, type Load, type PerfFlags } from './run.ts'

export interface PerfConsumeFlags extends PerfFlags {
  readonly subscription: string
  readonly type: SubscriptionType
  readonly consumers: number
  readonly earliest?: boolean
  readonly queue: number
}

export interface PerfReadFlags extends PerfFlags {
  readonly from: 'earliest' | 'latest'
  readonly queue: number
}

export async function perfConsume(topic: string, flags: PerfConsumeFlags): Promise<void> {
  await withClient(flags, async ({ client, interrupt }) => {
    const consumers = await openConsumers(client, topic, flags)
    await runPerf(flags, interrupt, load => takeFromAll(consumers, flags, load))
  })
}

export async function perfRead(topic: string, flags: PerfReadFlags): Promise<void> {
  await withClient(flags, async ({ client, module, interrupt }) => {
    const readers = await openReaders(client, module, { topic, flags })
    await runPerf(flags, interrupt, load => takeFromAll(readers, flags, load))
  })
}

async function openConsumers(client: PulsarClient, topic: string, flags: PerfConsumeFlags): Promise<Consumer[]> {
  const names = topicNames(topic, flags).flatMap(name => Array.from({ length: flags.consumers }, () => name))
  return await Promise.all(
    names.map(name =>
      client.subscribe({
        topic: name,
        subscription: flags.subscription,
        type: flags.type,
        initialPosition: flags.earliest === true ? 'earliest' : 'latest',
        receiverQueueSize: flags.queue
      })
    )
  )
}

async function openReaders(
  client: PulsarClient,
  module: ClientModule,
  { topic, flags }: { topic: string; flags: PerfReadFlags }
): Promise<Reader[]> {
  const startMessageId = module.MessageId[flags.from]
  const options = { startMessageId, receiverQueueSize: flags.queue }
  return await Promise.all(topicNames(topic, flags).map(name => client.createReader({ topic: name, ...options })))
}

type Source = Consumer | Reader

/** Takes from every source until it is stopped; closing the sources is what wakes those that wait. */
async function takeFromAll(sources: readonly Source[], flags: PerfFlags, load: Load): Promise<void> {
  const stop = (): void => {
    for (const source of sources) void source.close().catch(() => undefined)
  }
  load.signal.addEventListener('abort', stop)
  if (load.signal.aborted) stop()
  await Promise.all(sources.map(source => takeFrom(source, flags, load)))
  await Promise.all(sources.map(source => source.close()))
}

async function takeFrom(source: Source, { messages: messagesMax = Infinity }: PerfFlags, load: Load): Promise<void> {
  const { meter, signal, onEnough } = load
  try {
    while (!signal.aborted) {
      const taken = 'readNext' in source ? [await source.readNext()] : await takeReady(source)
      const nowMs = Date.now()
      for (const message of taken) meter.record(nowMs - message.publishTimeMs, message.data.length)
      if (meter.messages >= messagesMax) onEnough()
    }
  } catch (error) {
    if (!isStopped(signal)) throw error
  }
}

/** Messages taken at once, before others get their turn. */
const READY_MAX = 500

/** Waits for one message and takes what is there beside it; acknowledges all of them. */
async function takeReady(consumer: Consumer): Promise<Message[]> {
  const taken = [await consumer.receive()]
  while (taken.length < READY_MAX) {
    const message = consumer.tryReceive()
    if (message === undefined) break
    taken.push(message)
  }
  await consumer.acknowledge(taken)
  return taken
}

function isStopped(signal: AbortSignal): boolean {
  return signal.aborted
}
