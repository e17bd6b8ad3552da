// Fake brokers and clients of one test, gone after it.
import type { ManualClock } from '@strata/base/testing'
import { WriteBuffer, writeMessageMetadata } from '@strata/wire'
import { afterEach } from 'vitest'
import { PulsarClient, type ClientOptions } from '../index.ts'
import { FakeBroker, type FakeBrokerHooks } from './fake-broker.ts'

export const TOPIC = 'persistent://public/default/t'
const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

export async function broker(hooks: FakeBrokerHooks = {}): Promise<FakeBroker> {
  const started = await FakeBroker.start(hooks)
  cleanups.push(() => started.close())
  return started
}

export function clientOf(to: FakeBroker, options: Partial<ClientOptions> = {}): PulsarClient {
  const client = new PulsarClient({ serviceUrl: to.url, backoff: { initialMs: 1, maxMs: 10 }, ...options })
  cleanups.push(() => {
    client.shutdown()
    return Promise.resolve()
  })
  return client
}

export function bodyOf(text: string): Buffer {
  const out = new WriteBuffer()
  writeMessageMetadata(out, { producerName: 'p', publishTimeMs: 1, sequenceLow: 0, sequenceHigh: 0 })
  const metadata = out.take()
  const size = Buffer.alloc(4)
  size.writeUInt32BE(metadata.length)
  return Buffer.concat([size, metadata, Buffer.from(text)])
}

/** Moves the clock until a retry has come through; each step lets sockets do their work. */
export async function untilAdvanced(clock: ManualClock, isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    clock.advance(1)
    await new Promise(resolve => setImmediate(resolve))
  }
}
