import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { Peer } from '../bench/load/peer.ts'
import { residentBytes, residentPeakBytes } from '../support/resident.ts'
import { startStrata, withDirectory, type StrataProcess } from '../support/strata-process.ts'
import { assertHealthy, MIB, publishSome, report, until } from './bounds-support.ts'

const CONNECTIONS = 10_000
/** What is opened and closed beforehand, so that code and heap are warm when the growth is measured. */
const WARM_UP = 500
/** Connections being opened at once. */
const LANES = 50
/** Sources, so that no address runs out of ports. */
const SOURCES = Array.from({ length: 8 }, (_, i) => `127.0.0.${i + 2}`)
const KEEP_ALIVE_SECONDS = 4
/** Pings that each connection must have answered: it is idle, not forgotten. */
const PINGS = 2
/**
 * A connection is a socket, its handle in libuv, and the objects of its state machine: about 11 KB. No buffers: those are
 * lent for a turn of the event loop. What is above that is garbage of opening it that is not collected yet.
 */
const BYTES_PER_CONNECTION_MAX = 16_000
const HEALTH_MS_MAX = 45_000
/** 500 messages, ten at a time, need 50 syncs one after the other: a fraction of a second. */
const PUBLISH = { messages: 500, deadlineSeconds: 60 }

class IdlePeers {
  readonly #peers: Peer[] = []
  pings = 0

  get failures(): Error[] {
    return this.#peers.flatMap(({ failure }) => failure ?? [])
  }

  async open(strata: StrataProcess, count: number): Promise<void> {
    let next = this.#peers.length
    const lane = async (): Promise<void> => {
      while (next < count) {
        const localAddress = SOURCES[next++ % SOURCES.length] as string
        const peer = await Peer.open(strata.brokerPort, { localAddress })
        let pings = 0
        // after CONNECTED an idle connection is sent nothing but pings
        peer.onChunk = () => {
          if (++pings <= PINGS) this.pings += 1
        }
        this.#peers.push(peer)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
  }

  close(): void {
    for (const peer of this.#peers.splice(0)) peer.close()
  }
}

test(`${CONNECTIONS} idle connections: under ${BYTES_PER_CONNECTION_MAX} bytes each, others undisturbed`, () =>
  withDirectory(async data => {
    const set = { keepAliveIntervalSeconds: KEEP_ALIVE_SECONDS, strataLogLevel: 'error' }
    const strata = await startStrata({ data, set })
    const idle = new IdlePeers()
    try {
      await idle.open(strata, WARM_UP)
      idle.close()
      await publishSome(strata, 'alone', PUBLISH)
      const before = residentBytes(strata.pid)
      idle.pings = 0
      const startedAt = performance.now()
      await idle.open(strata, CONNECTIONS)
      const openedMs = performance.now() - startedAt
      const healthMs = await assertHealthy(strata, HEALTH_MS_MAX)
      const { p99Ms } = await publishSome(strata, 'beside', PUBLISH)
      await until('every connection was pinged', 60_000, () => idle.pings >= CONNECTIONS * PINGS)
      assert.deepEqual(idle.failures, [], 'no idle connection was closed')
      const bytesEach = (residentPeakBytes(strata.pid) - before) / CONNECTIONS
      report('idle', { bytesEach, beforeMiB: before / MIB, openedMs, healthMs, p99Ms })
      assert(bytesEach < BYTES_PER_CONNECTION_MAX, `${bytesEach} bytes a connection`)
    } finally {
      idle.close()
      await strata.kill()
    }
  }))
