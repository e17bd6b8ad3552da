import { strict as assert } from 'node:assert'
import type { ArchivedRecord } from '../archivable-store.ts'
import type { MetadataRecord, ScanOptions, ScanPage } from '../metadata-store.ts'
import { SCAN_BYTES_MAX, scanLimit } from '../limits.ts'
import { EtcdFailure } from './etcd-failure.ts'
import type { KeyValue } from '../generated/etcd_pb.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import { RANGE, TXN } from './etcd-rpc.ts'
import type { EtcdSession } from './etcd-session.ts'
import { Densities, RangeSteps } from './range-steps.ts'

/** etcd counts rows, not bytes: a listing starts small and grows with what it finds. */
const FIRST_ROWS = 128
const ROWS_MAX = 1_000
/** What one request of a listing should bring. */
const CHUNK_BYTES = 2 * 1024 * 1024
/** etcd takes 128 requests in a transaction unless told otherwise. */
const READS_MAX = 100
/** Of a folder that is thought to be short. */
const SHORT_ROWS = 16

export interface KeyVersion {
  readonly key: string
  readonly version: number
}

/** All linearizable; all repeated while there is no answer. */
export class EtcdReader {
  readonly #session: EtcdSession
  readonly #keys: EtcdKeys
  readonly #densities = new Densities()

  constructor(session: EtcdSession, keys: EtcdKeys) {
    this.#session = session
    this.#keys = keys
  }

  /** @throws EtcdFailure */
  async get(key: string): Promise<MetadataRecord | undefined> {
    const row = await this.row(this.#keys.data(key))
    return row === undefined ? undefined : recordOf(key, row)
  }

  /** At most `READS_MAX`, as of one revision. @throws EtcdFailure */
  async getMany(keys: readonly string[]): Promise<(MetadataRecord | undefined)[]> {
    const success = keys.map(key => ({ request: { case: 'range' as const, value: { key: this.#keys.data(key) } } }))
    const { responses } = await this.#session.ask(TXN, { success }, { mayRepeat: true })
    return keys.map((key, index) => {
      const response = responses[index]?.response
      const row = response?.case === 'range' ? response.value.kvs[0] : undefined
      return row === undefined ? undefined : recordOf(key, row)
    })
  }

  /** Of each prefix a first page, at most `READS_MAX` of them; of those that are short, as of one revision. @throws EtcdFailure */
  async scanMany(prefixes: readonly string[]): Promise<ScanPage[]> {
    const success = prefixes.map(prefix => {
      const { start, end } = this.#keys.records(prefix)
      const value = { key: start, rangeEnd: end, limit: BigInt(SHORT_ROWS) }
      return { request: { case: 'range' as const, value } }
    })
    const { responses } = await this.#session.ask(TXN, { success }, { mayRepeat: true })
    return Promise.all(
      prefixes.map(async (prefix, index) => {
        const response = responses[index]?.response
        if (response?.case !== 'range' || response.value.more) return this.scan({ prefix })
        const records = response.value.kvs.map(row => recordOf(this.#keys.keyOf(row.key), row))
        return { records, next: undefined }
      })
    )
  }

  /** @throws EtcdFailure */
  async row(stored: Buffer): Promise<KeyValue | undefined> {
    const { kvs } = await this.#session.ask(RANGE, { key: stored }, { mayRepeat: true })
    return kvs[0]
  }

  /** The store's revision now. @throws EtcdFailure */
  async revision(): Promise<bigint> {
    const { header } = await this.#session.ask(
      RANGE,
      { key: this.#keys.identity, countOnly: true },
      { mayRepeat: true }
    )
    return header?.revision ?? 0n
  }

  /** A page as of one revision. @throws EtcdFailure */
  async scan(options: ScanOptions): Promise<ScanPage> {
    const limit = scanLimit(options)
    for (;;) {
      try {
        return await this.#page(options, limit)
      } catch (error) {
        // compacted while the page was being read: read it as of now
        if (!(error instanceof EtcdFailure) || error.kind !== 'compacted') throw error
      }
    }
  }

  /** Every key below `prefix` with its version, as of one revision. @throws EtcdFailure, also `compacted` */
  async list(prefix: string): Promise<{ revision: bigint; keys: KeyVersion[] }> {
    const revision = await this.revision()
    const keys: KeyVersion[] = []
    for await (const row of this.#rows({ prefix }, { revision, keysOnly: true, rows: ROWS_MAX })) {
      keys.push({ key: this.#keys.keyOf(row.key), version: versionOf(row) })
    }
    return { revision, keys }
  }

  /** Every record as of one revision, by key. @throws EtcdFailure, also `compacted` */
  async *rowsAt(revision: bigint): AsyncGenerator<ArchivedRecord> {
    for await (const row of this.#rows({ prefix: '' }, { revision, keysOnly: false, rows: FIRST_ROWS })) {
      yield { ...recordOf(this.#keys.keyOf(row.key), row), isLeased: row.lease !== 0n }
    }
  }

  /** Their values as of one revision, in which all are there. @throws EtcdFailure, also `compacted` */
  async valuesAt(keys: readonly string[], revision: bigint): Promise<Uint8Array[]> {
    const values: Uint8Array[] = []
    for (let at = 0; at < keys.length; at += READS_MAX) {
      const success = keys.slice(at, at + READS_MAX).map(key => ({
        request: { case: 'range' as const, value: { key: this.#keys.data(key), revision } }
      }))
      const { responses } = await this.#session.ask(TXN, { success }, { mayRepeat: true })
      for (const { response } of responses) {
        const row = response.case === 'range' ? response.value.kvs[0] : undefined
        assert(row !== undefined, 'a key that was listed at this revision')
        values.push(copyOf(row.value))
      }
    }
    return values
  }

  async #page(options: ScanOptions, limit: number): Promise<ScanPage> {
    const keysOnly = options.keysOnly === true
    const records: MetadataRecord[] = []
    let bytes = 0
    for await (const row of this.#rows(options, { keysOnly, rows: Math.min(limit, FIRST_ROWS) })) {
      const record = recordOf(this.#keys.keyOf(row.key), row)
      records.push(record)
      bytes += record.value.length
      if (records.length === limit || bytes >= SCAN_BYTES_MAX) return { records, next: record.key }
    }
    return { records, next: undefined }
  }

  /** @param options.rows  How many are asked for first. */
  async *#rows(
    { prefix, after }: Pick<ScanOptions, 'prefix' | 'after'>,
    options: { revision?: bigint; keysOnly: boolean; rows: number }
  ): AsyncGenerator<KeyValue> {
    const steps = new RangeSteps(this.#keys.records(prefix, after), {
      after: after === undefined ? undefined : this.#keys.data(after),
      density: this.#densities.of(prefix)
    })
    let revision = options.revision ?? 0n
    let rows = options.rows
    for (;;) {
      const request = { ...steps.range, limit: BigInt(rows), revision, keysOnly: options.keysOnly }
      const { kvs, count, header } = await this.#session.ask(RANGE, request, { mayRepeat: true })
      // a reader that has enough comes back with a key: what is known of the range counts then, too
      const isMore = steps.answered({ kvs, count: Number(count) })
      yield* kvs
      if (!isMore) return
      if (revision === 0n) revision = header?.revision ?? 0n
      if (kvs.length < rows) continue
      const bytes = kvs.reduce((sum, row) => sum + row.key.length + row.value.length, 0)
      const fitting = Math.floor(CHUNK_BYTES / Math.max(1, bytes / kvs.length))
      rows = Math.max(1, Math.min(rows * 2, fitting, ROWS_MAX))
    }
  }
}

/** M1: etcd counts changes of the whole cluster; 2^53 of them are out of reach. */
export function versionOf(row: KeyValue): number {
  const version = Number(row.modRevision)
  assert(Number.isSafeInteger(version), 'a revision is a safe integer')
  return version
}

export function recordOf(key: string, row: KeyValue): MetadataRecord {
  return { key, value: copyOf(row.value), version: versionOf(row) }
}

/** What is decoded points into the whole answer, and would keep it in memory. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
