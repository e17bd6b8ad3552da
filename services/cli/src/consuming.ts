import type { Consumer, ConsumerOptions, Message, SubscriptionType } from '@strata/client'
import { withClient, type ConnectFlags } from './connecting.ts'
import { usageFailure } from './failure.ts'
import { printMessage, type ViewFlags } from './message-view.ts'
import { note, startProgress } from './output.ts'
import { checkEnough, receiveAll } from './receiving.ts'

export interface ConsumeFlags extends ConnectFlags, ViewFlags {
  readonly subscription: string
  readonly type: SubscriptionType
  readonly earliest?: boolean
  readonly count?: number
  readonly timeout?: number
  readonly ack: boolean
  readonly pattern?: boolean
  readonly name?: string
  readonly queue?: number
}

export async function consume(topics: readonly string[], flags: ConsumeFlags): Promise<void> {
  const end = new EndOfTopic()
  const options = consumerOptions(topics, flags, end)
  await withClient(flags, async ({ client, interrupt }) => {
    const consumer = await client.subscribe(options)
    end.consumer = consumer
    let received = 0
    const progress = startProgress(() => `${received} messages received`, !process.stdout.isTTY)
    const outcome = await receiveAll({
      next: timeoutMs => end.next(timeoutMs),
      onMessage: async message => {
        received++
        await printMessage(message, flags)
        // the receipt is not waited for: closing sends what is left
        if (flags.ack) await consumer.acknowledge(message)
      },
      count: flags.count,
      timeoutMs: flags.timeout,
      interrupt
    }).finally(() => progress.stop())
    await consumer.close()
    summarize(outcome.received, flags)
    checkEnough(outcome, {
      count: flags.count,
      what: topics.join(', '),
      advice: flags.earliest === true ? 'publish more, or wait longer with --timeout' : ADVICE_LATEST
    })
  })
}

const ADVICE_LATEST = 'publish more, wait longer with --timeout, or start a new subscription with --earliest'

function summarize(received: number, flags: ConsumeFlags): void {
  if (flags.json === true) return
  const fate = flags.ack ? 'acknowledged' : 'left unacknowledged'
  note(`received ${received} ${received === 1 ? 'message' : 'messages'}, ${fate}`)
}

function consumerOptions(topics: readonly string[], flags: ConsumeFlags, end: EndOfTopic): ConsumerOptions {
  const { name, queue } = flags
  return {
    ...sourceOf(topics, flags.pattern ?? false),
    subscription: flags.subscription,
    type: flags.type,
    initialPosition: flags.earliest === true ? 'earliest' : 'latest',
    // so that what was printed of a batch does not come again with its rest
    batchIndexAcks: true,
    receiverQueueSize: queue ?? Math.min(1000, flags.count ?? 1000),
    onEndOfTopic: () => end.reached(),
    ...(name === undefined ? {} : { name })
  }
}

function sourceOf(
  topics: readonly string[],
  isPattern: boolean
): Pick<ConsumerOptions, 'topic' | 'topics' | 'topicsPattern'> {
  const [first = ''] = topics
  if (topics.length === 1) return isPattern ? { topicsPattern: first } : { topic: first }
  if (isPattern) throw usageFailure('--pattern takes one expression: join several with |')
  return { topics }
}

/** Lets a consumer end where a terminated topic does, after what is still in its queue. */
class EndOfTopic {
  consumer: Consumer | undefined
  #wake: (() => void) | undefined

  reached(): void {
    this.#wake?.()
  }

  /** Undefined when all topics are terminated and drained. */
  async next(timeoutMs: number | undefined): Promise<Message | undefined> {
    const consumer = this.consumer
    if (consumer === undefined) return undefined
    if (consumer.hasReachedEnd) return consumer.tryReceive()
    const isAtEnd = new Promise<undefined>(resolve => {
      this.#wake = () => {
        if (consumer.hasReachedEnd) resolve(undefined)
      }
    })
    return await Promise.race([consumer.receive(timeoutMs), isAtEnd])
  }
}
