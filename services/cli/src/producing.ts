import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type {
  BatchingOptions,
  Compression,
  MessageId,
  Producer,
  ProducerMessage,
  ProducerOptions
} from '@strata/client'
import { withClient, type ConnectFlags } from './connecting.ts'
import { CommandFailure, EXIT, usageFailure } from './failure.ts'
import { pause, type Interrupt } from './interrupt.ts'
import { note, printJson, printLine, startProgress } from './output.ts'

export interface BatchFlags {
  readonly batch: boolean
  readonly batchMessages?: number
  readonly batchBytes?: number
  readonly batchDelay?: number
}

export interface ProduceFlags extends ConnectFlags, BatchFlags {
  readonly message: readonly string[]
  readonly file: readonly string[]
  readonly key?: string
  readonly property: Readonly<Record<string, string>>
  readonly count: number
  readonly rate?: number
  readonly eventTime?: number
  readonly deliverAfter?: number
  readonly name?: string
  readonly compression: Compression
  readonly chunking?: boolean
  readonly json?: boolean
}

/** Messages that may be without a receipt: reading standard input waits for the server then. */
const IN_FLIGHT_MAX = 1000

export async function produce(topic: string, flags: ProduceFlags): Promise<void> {
  const isGiven = flags.message.length + flags.file.length > 0
  if (!isGiven && flags.count > 1)
    throw usageFailure('--count needs --message or --file: lines of standard input are sent once')
  await withClient(flags, async ({ client, interrupt }) => {
    const producer = await client.createProducer({ topic, ...producerOptions(flags) })
    const outbox = new Outbox(producer, flags.json ?? false)
    const progress = startProgress(() => `${outbox.stored} messages published`)
    try {
      const payloads = isGiven ? given(flags) : linesOfInput(interrupt)
      await sendAll(payloads, { outbox, flags, interrupt })
      await outbox.drain()
    } finally {
      progress.stop()
    }
    report(outbox, { topic: producer.topic, flags, isCut: isGiven && interrupt.signal.aborted })
  })
}

function report(outbox: Outbox, about: { topic: string; flags: ProduceFlags; isCut: boolean }): void {
  const { stored } = outbox
  const messages = stored === 1 ? 'message' : 'messages'
  const last = outbox.lastId === undefined ? '' : ` (${stored === 1 ? 'id' : 'last id'} ${outbox.lastId.toString()})`
  if (about.flags.json !== true) void printLine(`published ${stored} ${messages} to ${about.topic}${last}`)
  if (!about.isCut) return
  throw new CommandFailure(`interrupted after ${stored} ${messages}`, { exitCode: EXIT.interrupted })
}

function producerOptions(flags: ProduceFlags): Omit<ProducerOptions, 'topic'> {
  const { chunking = false, compression, name } = flags
  return {
    compression,
    blockIfQueueFull: true,
    ...(name === undefined ? {} : { name }),
    ...(chunking ? { chunking } : { batching: batching(flags) })
  }
}

export function batching(flags: BatchFlags): BatchingOptions {
  const { batchMessages, batchBytes, batchDelay } = flags
  return {
    enabled: flags.batch,
    ...(batchMessages === undefined ? {} : { messagesMax: batchMessages }),
    ...(batchBytes === undefined ? {} : { bytesMax: batchBytes }),
    ...(batchDelay === undefined ? {} : { delayMaxMs: batchDelay })
  }
}

async function sendAll(
  payloads: AsyncIterable<Uint8Array>,
  { outbox, flags, interrupt }: { outbox: Outbox; flags: ProduceFlags; interrupt: Interrupt }
): Promise<void> {
  const { key, property, eventTime, deliverAfter, rate } = flags
  const startMs = performance.now()
  let count = 0
  for await (const data of payloads) {
    if (rate !== undefined) await pause(startMs + (count * 1000) / rate - performance.now(), interrupt.signal)
    if (interrupt.signal.aborted) return
    count++
    await outbox.send({
      data,
      properties: property,
      ...(key === undefined ? {} : { key }),
      ...(eventTime === undefined ? {} : { eventTimeMs: eventTime }),
      ...(deliverAfter === undefined ? {} : { deliverAfterMs: deliverAfter })
    })
  }
}

async function* given({ message, file, count }: ProduceFlags): AsyncGenerator<Uint8Array, void> {
  const payloads = [...message.map(text => Buffer.from(text)), ...(await Promise.all(file.map(contentOf)))]
  for (let round = 0; round < count; round++) yield* payloads
}

async function contentOf(path: string): Promise<Uint8Array> {
  return await readFile(path).catch((error: unknown) => {
    throw new CommandFailure(`--file ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  })
}

async function* linesOfInput(interrupt: Interrupt): AsyncGenerator<Uint8Array, void> {
  if (process.stdin.isTTY) note('Each line is a message; Ctrl-D ends.')
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
  interrupt.signal.addEventListener('abort', () => {
    lines.close()
    process.stdin.destroy()
  })
  for await (const line of lines) yield Buffer.from(line)
}

/** Sends with a bounded number of messages in flight; the first one that fails stops it. */
class Outbox {
  readonly #producer: Producer
  readonly #isJson: boolean
  #inFlight = 0
  #failure: Error | undefined
  #wake: () => void = () => undefined
  stored = 0
  lastId: MessageId | undefined

  constructor(producer: Producer, isJson: boolean) {
    this.#producer = producer
    this.#isJson = isJson
  }

  /** Waits for room. @throws the first failure of any message */
  async send(message: ProducerMessage): Promise<void> {
    while (this.#inFlight >= IN_FLIGHT_MAX) await this.#change()
    if (this.#failure !== undefined) throw this.#failure
    this.#inFlight++
    this.#producer.sendNoWait(message, (error, id) => {
      this.#inFlight--
      if (id === undefined) this.#failure ??= error ?? new Error('no receipt')
      else this.#onStored(id, message)
      this.#wake()
    })
  }

  /** Waits for all receipts. @throws the first failure */
  async drain(): Promise<void> {
    await this.#producer.flush()
    while (this.#inFlight > 0) await this.#change()
    if (this.#failure !== undefined) throw this.#failure
  }

  #onStored(id: MessageId, { key }: ProducerMessage): void {
    this.stored++
    this.lastId = id
    if (!this.#isJson) return
    void printJson({ topic: this.#producer.topic, messageId: id.toString(), ...(key === undefined ? {} : { key }) })
  }

  #change(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }
}
