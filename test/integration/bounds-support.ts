import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import { produceLoad, type ProduceResult } from '../bench/load/produce.ts'
import type { StrataProcess } from '../support/strata-process.ts'

export const MIB = 1024 * 1024
const POLL_MS = 20

/** Polls; fails with `what` when it takes too long. */
export async function until(
  what: string,
  deadlineMs: number,
  isTrue: () => boolean | Promise<boolean>
): Promise<number> {
  const startedAt = performance.now()
  while (!(await isTrue())) {
    assert(performance.now() - startedAt < deadlineMs, `not within ${deadlineMs} ms: ${what}`)
    await delay(POLL_MS)
  }
  return performance.now() - startedAt
}

export interface HealthAnswer {
  readonly status: number
  readonly text: string
  readonly ms: number
}

/** The end-to-end check of the broker, over HTTP. */
export async function askHealth(strata: StrataProcess, deadlineMs: number): Promise<HealthAnswer> {
  const startedAt = performance.now()
  const answer = await fetch(`${strata.webUrl}/admin/v2/brokers/health`, { signal: AbortSignal.timeout(deadlineMs) })
  const text = await answer.text()
  return { status: answer.status, text, ms: performance.now() - startedAt }
}

/** @returns How long it took, ms. */
export async function assertHealthy(strata: StrataProcess, deadlineMs: number): Promise<number> {
  const { status, text, ms } = await askHealth(strata, deadlineMs)
  assert.equal(status, 200, text)
  return ms
}

/** A well-behaved client publishes so many messages, a few at a time, and has all their receipts. */
export async function publishSome(
  strata: StrataProcess,
  topic: string,
  { messages, deadlineSeconds }: { messages: number; deadlineSeconds: number }
): Promise<ProduceResult> {
  const result = await produceLoad({
    port: strata.brokerPort,
    topic: `persistent://public/default/${topic}`,
    connections: 1,
    producers: 1,
    batch: 1,
    bytes: 100,
    window: 10,
    rate: 0,
    warmUpSeconds: 0,
    seconds: deadlineSeconds,
    keys: 0,
    messagesMax: messages
  })
  assert(result.messages >= messages, `only ${result.messages} of ${messages} messages were acknowledged`)
  return result
}

export function report(name: string, figures: Readonly<Record<string, number | string>>): void {
  const text = Object.entries(figures).map(
    ([key, value]) => `${key} ${typeof value === 'number' ? round(value) : value}`
  )
  process.stdout.write(`${name}: ${text.join(', ')}\n`)
}

function round(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1)
}
