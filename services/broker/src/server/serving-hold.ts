import { once } from 'node:events'
import { connect } from 'node:net'
import { hostname } from 'node:os'
import { randomUUID } from 'node:crypto'
import { reasonOf, type Clock, type Logger } from '@strata/base'
import {
  MetadataError,
  transactUntilAnswered,
  type Lease,
  type MetadataRecord,
  type MetadataStore
} from '@strata/metadata'
import { ServingRowSchema, type ServingRow } from '../generated/broker_pb.ts'
import { isBrokerError } from '../errors.ts'
import { decodeRow, encodeRow } from '../namespace/rows.ts'
import { startError } from './errors.ts'

export interface ServingHoldOptions {
  readonly metadata: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly leaseMs: number
  /** Ends the waiting for another broker's lease. */
  readonly signal?: AbortSignal
}

const KEY = 'serving-broker'
const LOOK_MS = 250
const CONNECT_MS = 2_000
const REGAIN_MS = 1_000
/** What a lease may outlive its time by: the store looks at leases now and then. */
const LEASE_SLACK_MS = 10_000

/**
 * This broker's place as the one that serves all topics of its cluster: a row under a lease.
 *
 * It keeps people from starting two by mistake. That two never corrupt anything rests on the epochs of logs and on fencing
 * alone, so a broker that cannot reach the metadata store, and with it loses the lease, goes on serving what it has:
 * it takes the row again as soon as it can, and ends only when it finds another broker's row there.
 */
export class ServingHold {
  /** Resolves, with one line about it, when another broker serves: this one must end. Never otherwise. */
  readonly superseded: Promise<Error>
  readonly #options: ServingHoldOptions
  #row: Omit<ServingRow, '$typeName' | '$unknown'>
  #lease: Lease | undefined
  #version = 0
  /** One change of the row at a time. */
  #change: Promise<void> = Promise.resolve()
  #isOver = false
  #onSuperseded: (error: Error) => void = () => undefined

  private constructor(options: ServingHoldOptions) {
    this.#options = options
    this.superseded = new Promise(resolve => (this.#onSuperseded = resolve))
    this.#row = {
      ...{ instance: randomUUID(), host: hostname(), pid: process.pid, leaseMs: options.leaseMs },
      ...{ brokerUrl: '', webUrl: '', startedAtMs: BigInt(Math.trunc(options.clock.wallMs())) }
    }
  }

  /**
   * Where another broker answers, it is refused at once; where it does not, its lease is waited for.
   * @throws CodedError CLUSTER_SERVED, one line; the signal's reason; MetadataError
   */
  static async take(options: ServingHoldOptions): Promise<ServingHold> {
    const hold = new ServingHold(options)
    const { metadata, clock, logger, signal } = options
    const sinceMs = clock.nowMs()
    for (let isTold = false; ;) {
      signal?.throwIfAborted()
      const record = await metadata.get(KEY)
      if (record === undefined) {
        if (await hold.#claim()) return hold
        continue
      }
      const other = decodeRow(ServingRowSchema, record)
      const { brokerUrl, host, pid } = other
      if (await answers(other)) throw served(other, 'stop it first')
      if (clock.nowMs() - sinceMs > other.leaseMs + LEASE_SLACK_MS) {
        throw served(other, 'it does not answer, and its lease is kept alive: end that process')
      }
      if (!isTold) {
        const fields = { event: 'serving.waiting', brokerUrl, host, pid, leaseMs: other.leaseMs }
        logger.info(fields, 'a broker that does not answer served this cluster; waiting for its lease to end')
      }
      isTold = true
      await new Promise<void>(resolve => clock.after(LOOK_MS, resolve))
    }
  }

  /** Where clients reach it, for who asks which broker serves. @throws MetadataError */
  async announce(urls: { brokerUrl: string; webUrl: string }): Promise<void> {
    this.#row = { ...this.#row, ...urls }
    await this.#alone(async () => {
      if (this.#lease?.isLost !== false) return // who takes the row again writes them
      await this.#put(this.#lease, this.#version)
    })
  }

  /** Gives the place up. Idempotent. */
  async close(): Promise<void> {
    this.#isOver = true
    await this.#alone(async () => {
      await this.#lease?.revoke().catch((error: unknown) => {
        const fields = { event: 'serving.revoke_failed', reason: reasonOf(error) }
        this.#options.logger.warn(fields, 'the row of this broker goes with its lease')
      })
    })
  }

  #alone(work: () => Promise<void>): Promise<void> {
    this.#change = this.#change.then(work, work)
    return this.#change
  }

  /** False: someone else was faster. @throws MetadataError */
  async #claim(): Promise<boolean> {
    const lease = await this.#options.metadata.grantLease(this.#options.leaseMs)
    try {
      if (await this.#put(lease, 0)) {
        this.#lease = lease
        lease.onLost(() => {
          this.#onLost()
        })
        return true
      }
    } catch (error) {
      // whatever became of the row, it goes with its lease
      await lease.revoke().catch(() => undefined)
      throw error
    }
    await lease.revoke()
    return false
  }

  async #put(lease: Lease, version: number): Promise<boolean> {
    const { metadata, clock } = this.#options
    const value = encodeRow(ServingRowSchema, this.#row)
    const changes = [{ kind: 'put', key: KEY, value, lease } as const]
    const result = await transactUntilAnswered(metadata, { compares: [{ key: KEY, version }], changes }, { clock })
    if (result.committed) this.#version = result.revision
    return result.committed
  }

  #onLost(): void {
    if (this.#isOver) return
    const text = 'the metadata store was not reached for too long; serving on what is open, and asking it again'
    this.#options.logger.warn({ event: 'serving.lease_lost' }, text)
    this.#regainSoon()
  }

  #regainSoon(): void {
    void this.#alone(async () => {
      while (!this.#isOver) {
        try {
          if (await this.#regain()) return
        } catch (error) {
          if (!MetadataError.is(error)) throw error
        }
        await new Promise<void>(resolve => this.#options.clock.after(REGAIN_MS, resolve))
      }
    })
  }

  /** False: to be tried again. */
  async #regain(): Promise<boolean> {
    const { metadata, logger } = this.#options
    const record = await metadata.get(KEY)
    if (record !== undefined && this.#isOthers(record)) return true
    // its own row of before stays until the store sees that the lease ended
    if (record !== undefined || !(await this.#claim())) return false
    logger.info({ event: 'serving.lease_regained' }, 'the cluster counts with this broker again')
    return true
  }

  /** A row that this version cannot read is another's too. */
  #isOthers(record: MetadataRecord): boolean {
    const other = readable(record)
    if (other?.instance === this.#row.instance) return false
    this.#isOver = true
    const who = other === undefined ? 'a broker of another version' : nameOf(other)
    const line = `${who} took the topics of this cluster over while this one was out of touch: this one ends`
    this.#options.logger.error({ event: 'serving.superseded', by: who }, 'another broker serves')
    this.#onSuperseded(startError('BROKER_SUPERSEDED', line))
    return true
  }
}

function readable(record: MetadataRecord): ServingRow | undefined {
  try {
    return decodeRow(ServingRowSchema, record)
  } catch (error) {
    if (isBrokerError(error)) return undefined
    throw error
  }
}

function nameOf({ brokerUrl, host, pid }: ServingRow): string {
  const at = brokerUrl === '' ? '' : ` at ${brokerUrl}`
  return `another broker${at} (process ${pid} on ${host})`
}

function served(other: ServingRow, advice: string): Error {
  return startError(
    'CLUSTER_SERVED',
    `${nameOf(other)} serves this cluster, and one broker serves all of it: ${advice}`
  )
}

/** Does anything listen where the row says? One that is only starting has said nothing yet. */
async function answers({ brokerUrl }: ServingRow): Promise<boolean> {
  if (brokerUrl === '') return false
  const { hostname: host, port } = new URL(brokerUrl)
  const socket = connect({ host, port: Number(port) })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) })
    return true
  } catch {
    return false // its lease decides
  } finally {
    socket.destroy()
  }
}
