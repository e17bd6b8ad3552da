import { create, toBinary } from '@bufbuild/protobuf'
import type { Watch, WatchEvent, WatchListener } from '../metadata-store.ts'
import { deliver } from '../watch-hub.ts'
import { EtcdFailure } from './etcd-failure.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import type { EtcdStream } from './etcd-members.ts'
import { copyOf, versionOf, type EtcdReader } from './etcd-reader.ts'
import { WATCH_PATH } from './etcd-rpc.ts'
import { backoffMs, decode, type EtcdSession } from './etcd-session.ts'
import { EventType, WatchRequestSchema, WatchResponseSchema, type WatchResponse } from '../generated/etcd_pb.ts'
import { WatchMirror } from './watch-mirror.ts'

export interface EtcdWatchOptions {
  readonly session: EtcdSession
  readonly keys: EtcdKeys
  readonly reader: EtcdReader
  /** How long etcd may take to say that it watches. */
  readonly attemptMs: number
  readonly onClose: (watch: EtcdWatch) => void
}

/** Values of changed keys are fetched and delivered by about this many at a time. */
const RESYNC_KEYS = 100

/**
 * One watch, over as many streams as it takes.
 *
 * Invariants
 *   - `#revision`: everything up to it was delivered, nothing past it. The next stream begins right behind it.
 *   - `#mirror`: the keys and versions of the range at `#revision`.
 *   - If what comes next is compacted, the range is listed as of now, and the difference to the mirror is delivered: each
 *     key that is new or changed with its newest value and version, in the order of versions; then each key that is gone,
 *     as deleted at the revision of the listing. So versions still only rise and nothing that matters now is missing; what
 *     was changed several times, or made and deleted, in between is told once or not at all, and when exactly a key was
 *     deleted nobody knows any more.
 */
export class EtcdWatch implements Watch {
  readonly #options: EtcdWatchOptions
  readonly #prefix: string
  readonly #listener: WatchListener
  readonly #mirror: WatchMirror
  #revision: bigint
  #stream: EtcdStream | undefined
  #failures = 0
  #isClosed = false

  private constructor(
    options: EtcdWatchOptions,
    start: { prefix: string; listener: WatchListener; mirror: WatchMirror; revision: bigint }
  ) {
    this.#options = options
    this.#prefix = start.prefix
    this.#listener = start.listener
    this.#mirror = start.mirror
    this.#revision = start.revision
  }

  /** Resolves when it is settled where the watch begins; it may still be connecting then. @throws EtcdFailure */
  static async open(options: EtcdWatchOptions, prefix: string, listener: WatchListener): Promise<EtcdWatch> {
    const { keys, revision } = await listNow(options.reader, prefix)
    const watch = new EtcdWatch(options, { prefix, listener, revision, mirror: new WatchMirror(keys) })
    void watch.#run()
    return watch
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stream?.close()
    this.#options.onClose(this)
  }

  /** Until it is closed, or the store is not the one it was. Never rejects. */
  async #run(): Promise<void> {
    const { session, reader } = this.#options
    for (let isFirst = true; !this.#isOver(); isFirst = false) {
      try {
        // another store, or one that was set back, would let us wait for what it has yet to give
        if (!isFirst) await reader.revision()
        await this.#listen()
        await this.#resync()
      } catch (error) {
        if (this.#isOver()) return
        if (!(error instanceof EtcdFailure)) throw error
        if (this.#report(error) === 'give up') return
        await session.pause(backoffMs(this.#failures++))
      }
    }
  }

  #isOver(): boolean {
    return this.#isClosed
  }

  #report(failure: EtcdFailure): 'go on' | 'give up' {
    const { log } = this.#options.session
    const fields = { prefix: this.#prefix, revision: Number(this.#revision), reason: failure.message }
    if (failure.kind === 'replaced') {
      log.error({ event: 'watch.ended', ...fields }, 'A watch ended, since the metadata store is not the one it was.')
      return 'give up'
    }
    if (this.#failures === 0) log.info({ event: 'watch.interrupted', ...fields }, 'A watch is being resumed.')
    return 'go on'
  }

  /** Delivers what one stream brings, until what is next is compacted. @throws EtcdFailure: the stream broke */
  async #listen(): Promise<void> {
    const { session, keys, attemptMs } = this.#options
    let settle: { resolve: () => void; reject: (failure: EtcdFailure) => void } | undefined
    const over = new Promise<void>((resolve, reject) => (settle = { resolve, reject }))
    over.catch(() => undefined)
    const fail = (failure: EtcdFailure): void => settle?.reject(failure)
    const stream = await session.stream(WATCH_PATH, {
      onMessage: bytes => {
        const response = decodeResponse(bytes)
        if (response instanceof EtcdFailure) {
          fail(response)
          return
        }
        if (response.created) cancelTimer()
        if (response.canceled && response.compactRevision > 0n) settle?.resolve()
        else if (response.canceled) fail(new EtcdFailure('refused', response.cancelReason))
        else this.#onEvents(response)
      },
      onEnd: fail
    })
    const cancelTimer = session.clock.after(attemptMs, () => fail(new EtcdFailure('unclear', 'no watch in time')))
    this.#stream = stream
    try {
      if (this.#isOver()) throw new EtcdFailure('refused', 'closed')
      const { start: key, end: rangeEnd } = keys.records(this.#prefix)
      const value = { key, rangeEnd, startRevision: this.#revision + 1n }
      stream.write(toBinary(WatchRequestSchema, create(WatchRequestSchema, { request: { case: 'create', value } })))
      await over
    } finally {
      cancelTimer()
      stream.close()
      this.#stream = undefined
    }
  }

  #onEvents({ events, created }: WatchResponse): void {
    if (created) this.#failures = 0
    let batch: WatchEvent[] = []
    for (const { type, kv } of events) {
      if (kv === undefined || kv.modRevision <= this.#revision) continue
      const version = versionOf(kv)
      if (batch[0] !== undefined && batch[0].version !== version) {
        this.#deliver(batch)
        batch = []
      }
      const value = type === EventType.DELETE ? undefined : copyOf(kv.value)
      batch.push({ key: this.#options.keys.keyOf(kv.key), value, version })
    }
    this.#deliver(batch)
  }

  #deliver(batch: readonly WatchEvent[]): void {
    const version = batch[0]?.version
    if (version === undefined || this.#isClosed) return
    this.#mirror.apply(batch)
    this.#revision = BigInt(version)
    deliver(this.#listener, batch)
  }

  /** @throws EtcdFailure, also `compacted` once more: what was delivered by then counts */
  async #resync(): Promise<void> {
    const { reader, session } = this.#options
    const { keys, revision } = await listNow(reader, this.#prefix)
    const { changed, deleted } = this.#mirror.differenceTo(keys)
    const counts = { changed: changed.length, deleted: deleted.length }
    session.log.info(
      { event: 'watch.resynced', prefix: this.#prefix, from: Number(this.#revision), to: Number(revision), ...counts },
      'A watch missed what was compacted, and continues with the difference.'
    )
    const end = Number(revision)
    const gone = deleted.map(key => ({ key, value: undefined, version: end }))
    for (let at = 0; at < changed.length;) {
      let count = 0
      let past = at
      while (past < changed.length && (past === at || count < RESYNC_KEYS)) count += changed[past++]?.length ?? 0
      const groups = changed.slice(at, past)
      const values = await reader.valuesAt(
        groups.flat().map(({ key }) => key),
        revision
      )
      for (const group of groups) {
        const batch = group.map(row => ({ ...row, value: values.shift() ?? new Uint8Array() }))
        this.#deliver(group[0]?.version === end ? [...batch, ...gone.splice(0)] : batch)
      }
      at = past
    }
    this.#deliver(gone)
    this.#revision = revision
  }
}

function decodeResponse(bytes: Buffer): WatchResponse | EtcdFailure {
  try {
    return decode(WatchResponseSchema, bytes)
  } catch (error) {
    return error instanceof EtcdFailure ? error : new EtcdFailure('unclear', 'no response', error)
  }
}

/** The range as of the newest revision; again, if that is compacted meanwhile. */
async function listNow(reader: EtcdReader, prefix: string): ReturnType<EtcdReader['list']> {
  for (;;) {
    try {
      return await reader.list(prefix)
    } catch (error) {
      if (!(error instanceof EtcdFailure) || error.kind !== 'compacted') throw error
    }
  }
}
