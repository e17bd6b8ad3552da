import { strict as assert } from 'node:assert'
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PulsarClient, type Consumer, type Producer } from '@strata/client'
import { test } from 'vitest'
import { startStrata, withDirectory, type StrataProcess } from '../support/strata-process.ts'
import { askHealth, MIB, report, until } from './bounds-support.ts'

const DISK_BYTES = 320 * MIB
const RESERVE_MB = 64
const SET = { strataDiskReserveMB: RESERVE_MB, journalMaxSizeMB: 8, strataLogLevel: 'silent' }
const TOPIC = 'persistent://public/default/full'
const EXISTING = 300
const LANES = 20
const LAST = 'last'
/** How often the broker looks at the disk is 2 s; a failed check of health takes up to its deadline of 30 s. */
const NOTICED_MS_MAX = 60_000
const RECOVERED_MS_MAX = 90_000
const ASK_MS_MAX = 45_000

/** A file system of its own, so small that it can be filled. It is gone with the process, which alone sees it. */
function ownDisk(data: string): string[] {
  const mount = `mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$0" && exec "$@"`
  return ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', mount, data]
}

/** Fills the process's disk but for so many bytes. */
class Ballast {
  readonly #directory: string
  readonly #path: string

  constructor(strata: StrataProcess) {
    this.#directory = join(`/proc/${strata.pid}/root`, strata.data)
    this.#path = join(this.#directory, 'ballast')
  }

  fill(leftBytes: number): void {
    const chunk = Buffer.alloc(MIB / 4)
    const file = openSync(this.#path, 'a')
    try {
      for (let free = this.#free(); free > leftBytes; free = this.#free()) {
        writeSync(file, chunk, 0, Math.min(chunk.length, free - leftBytes))
      }
    } catch (error) {
      // filled between the question and the write
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    } finally {
      closeSync(file)
    }
  }

  drop(): void {
    rmSync(this.#path)
  }

  #free(): number {
    const { bavail, bsize } = statfsSync(this.#directory)
    return bavail * bsize
  }
}

/** Publishes all the time, whatever comes back, and knows what was acknowledged. */
class Publishing {
  readonly acknowledged = new Set<string>()
  readonly #producer: Producer
  readonly #lanes: Promise<void>[]
  #isStopped = false
  #next = 0
  refused = 0

  constructor(producer: Producer) {
    this.#producer = producer
    this.#lanes = Array.from({ length: LANES }, () => this.#lane())
  }

  /** Waits for what is under way, and marks the end. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#lanes)
    await this.#producer.send({ data: Buffer.from(LAST) })
  }

  async #lane(): Promise<void> {
    while (!this.#isStopped) {
      const id = `m${this.#next++}`
      try {
        await this.#producer.send({ data: Buffer.from(id.padEnd(1024)) })
        this.acknowledged.add(id)
      } catch {
        this.refused++
        await delay(20)
      }
    }
  }

  async flows(): Promise<number> {
    const enough = this.acknowledged.size + EXISTING
    return until('publishing flows', RECOVERED_MS_MAX, () => this.acknowledged.size >= enough)
  }
}

async function unhealthy(strata: StrataProcess, reason: RegExp): Promise<string> {
  let text = ''
  await until(`health says ${String(reason)}, not ${text}`, NOTICED_MS_MAX, async () => {
    const answer = await askHealth(strata, ASK_MS_MAX)
    text = answer.text
    return answer.status === 503 && reason.test(text)
  })
  return text
}

async function healthy(strata: StrataProcess): Promise<number> {
  return until(
    'health is well again',
    RECOVERED_MS_MAX,
    async () => (await askHealth(strata, ASK_MS_MAX)).status === 200
  )
}

async function admin(strata: StrataProcess, method: string, path: string): Promise<Response> {
  return fetch(`${strata.webUrl}/admin/v2/${path}`, { method, signal: AbortSignal.timeout(ASK_MS_MAX) })
}

/** Reads what is there and acknowledges it: both go on while nothing can be stored. */
async function readAndAcknowledge(consumer: Consumer, messages: number): Promise<void> {
  for (let i = 0; i < messages; i++) await consumer.acknowledge(await consumer.receive())
}

async function backlogOf(strata: StrataProcess): Promise<number> {
  const answer = await admin(strata, 'GET', 'persistent/public/default/full/stats')
  const stats = (await answer.json()) as { subscriptions: Record<string, { msgBacklog: number }> }
  return stats.subscriptions['kept']?.msgBacklog ?? -1
}

async function storedIds(client: PulsarClient): Promise<Set<string>> {
  const reader = await client.subscribe({
    topic: TOPIC,
    subscription: 'check',
    type: 'exclusive',
    initialPosition: 'earliest'
  })
  const ids = new Set<string>()
  while (!ids.has(LAST))
    ids.add(
      Buffer.from((await reader.receive()).data)
        .toString()
        .trim()
    )
  return ids
}

test(
  'a full disk: no false receipt, health says why, reads and deletes go on, and it recovers by itself',
  () =>
    withDirectory(async data => {
      const strata = await startStrata({ data, set: SET, wrap: ownDisk(data) })
      const client = new PulsarClient({ serviceUrl: strata.brokerUrl })
      try {
        assert.equal((await admin(strata, 'PUT', 'persistent/public/default/doomed')).status, 204)
        const kept = await client.subscribe({ topic: TOPIC, subscription: 'kept', type: 'shared' })
        const publishing = new Publishing(await client.createProducer({ topic: TOPIC, batching: { enabled: false } }))
        await publishing.flows()
        const ballast = new Ballast(strata)

        ballast.fill((RESERVE_MB / 2) * MIB)
        const low = await unhealthy(strata, /free space/)
        const backlog = await backlogOf(strata)
        await readAndAcknowledge(kept, EXISTING)
        await until('acknowledgements count', ASK_MS_MAX, async () => (await backlogOf(strata)) <= backlog - EXISTING)
        assert.equal((await admin(strata, 'DELETE', 'persistent/public/default/doomed')).status, 204)
        const whileLow = publishing.acknowledged.size
        ballast.drop()
        const recoveredMs = Math.max(await healthy(strata), await publishing.flows())

        ballast.fill(0)
        const full = await unhealthy(strata, /free space|ENOSPC/)
        await readAndAcknowledge(kept, EXISTING)
        const whileFull = publishing.acknowledged.size
        ballast.drop()
        const recoveredFullMs = Math.max(await healthy(strata), await publishing.flows())

        await publishing.stop()
        const stored = await storedIds(client)
        const lost = [...publishing.acknowledged].filter(id => !stored.has(id))
        assert.deepEqual(lost.slice(0, 5), [], `${lost.length} acknowledged messages are not there`)
        const { acknowledged, refused } = publishing
        const figures = { acknowledged: acknowledged.size, refused, whileLow, whileFull, recoveredMs, recoveredFullMs }
        report('disk', { ...figures, low, full })
      } finally {
        client.shutdown()
        await strata.kill()
      }
    }),
  300_000
)
