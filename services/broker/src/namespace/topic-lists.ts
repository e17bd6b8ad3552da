import type { Clock } from '@strata/base'
import type { MetadataStore, Watch, WatchEvent } from '@strata/metadata'
import { crc32c } from '@strata/wire'
import { brokerError } from '../errors.ts'
import { keys } from './rows.ts'
import { isSystemTopic, topicNameOfStorageName, type TopicName } from './topic-name.ts'
import { TopicPattern } from './topic-pattern.ts'
import { topicRecordOf, type TopicRecord, type TopicRecords } from './topic-records.ts'

export type TopicListMode = 'PERSISTENT' | 'NON_PERSISTENT' | 'ALL'

interface TopicListFilter {
  readonly mode: TopicListMode
  readonly pattern?: TopicPattern
  /** Topics of the broker's own machinery; hidden from clients. */
  readonly includeSystemTopics?: boolean
}

export interface TopicListChange {
  readonly added: readonly string[]
  readonly deleted: readonly string[]
  /** Of the whole list after the change. */
  readonly hash: string
}

export interface TopicListWatch {
  /** The list as it is now, sorted. */
  readonly topics: readonly string[]
  readonly hash: string
  close(): void
}

/** Telling a change costs time in proportion to the list: of longer lists changes are gathered first. */
const TOLD_AT_ONCE_MAX = 1000
const GATHERING_MS = 200

/** CRC32C over the sorted names joined by commas, its bytes little-endian in hexadecimal: what clients compare. */
export function topicListHash(sortedNames: readonly string[]): string {
  const digest = Buffer.allocUnsafe(4)
  digest.writeUInt32LE(crc32c(Buffer.from(sortedNames.join(','))))
  return digest.toString('hex')
}

/** Lists topics of namespaces by name (partitions as `…-partition-N`), and tells of changes. Reads pages; keeps only what matches. */
export class TopicLists {
  readonly #store: MetadataStore
  readonly #records: TopicRecords
  readonly #clock: Clock

  constructor(store: MetadataStore, records: TopicRecords, clock: Clock) {
    this.#store = store
    this.#records = records
    this.#clock = clock
  }

  /** Sorted. */
  async list(namespace: string, filter: TopicListFilter): Promise<string[]> {
    const names: string[] = []
    for await (const page of this.#records.pages(namespace)) {
      for (const record of page) names.push(...namesOf(record, filter))
    }
    return names.sort()
  }

  /** Base names of the partitioned topics of one domain, sorted. */
  async listPartitioned(namespace: string, mode: TopicListMode): Promise<string[]> {
    const names: string[] = []
    for await (const record of this.#records.list(namespace)) {
      if (record.partitions > 0 && !record.isDeleting && hasMode(record.name, mode)) names.push(record.name.toString())
    }
    return names.sort()
  }

  /**
   * Resolves with the list; changes after it are told in order, all of one change of the store at once. A topic deleted
   * and created again within one change is no change.
   */
  async watch(
    namespace: string,
    filter: TopicListFilter,
    listener: (change: TopicListChange) => void
  ): Promise<TopicListWatch> {
    const state = new WatchedList(filter)
    let early: WatchEvent[][] | undefined = []
    let cancel: (() => void) | undefined
    const tell = (): void => {
      cancel = undefined
      const change = state.takeChange()
      if (change !== undefined) listener(change)
    }
    const apply = (events: readonly WatchEvent[]): void => {
      state.apply(events)
      if (state.size <= TOLD_AT_ONCE_MAX) tell()
      else cancel ??= this.#clock.after(GATHERING_MS, tell)
    }
    const watch: Watch = await this.#store.watch(keys.topics(namespace), events => {
      if (early !== undefined) early.push([...events])
      else apply(events)
    })
    try {
      for await (const record of this.#records.list(namespace)) state.load(record)
    } catch (error) {
      watch.close()
      throw error
    }
    for (const events of early) state.apply(events)
    early = undefined
    // all of that is in the first list
    state.takeChange()
    return {
      get topics() {
        return state.sorted()
      },
      get hash() {
        return topicListHash(state.sorted())
      },
      close: () => {
        cancel?.()
        watch.close()
      }
    }
  }
}

/** @throws BrokerError InvalidTopicName, NotAllowedError for one that is too long */
export function compileTopicPattern(pattern: string, lengthMax: number): TopicPattern {
  if (pattern.length > lengthMax) {
    throw brokerError(
      'NotAllowedError',
      `Unable to create topic list watcher: pattern longer than ${lengthMax} characters`
    )
  }
  return new TopicPattern(pattern)
}

/** The names that one watcher knows, with the version of the row each came from: a row seen twice changes nothing. */
class WatchedList {
  readonly #filter: TopicListFilter
  readonly #rows = new Map<string, { version: number; names: readonly string[] }>()
  readonly #added = new Set<string>()
  readonly #deleted = new Set<string>()

  constructor(filter: TopicListFilter) {
    this.#filter = filter
  }

  load(record: TopicRecord): void {
    const key = keys.topic(record.name)
    const names = namesOf(record, this.#filter)
    if (names.length > 0) this.#rows.set(key, { version: record.version, names })
  }

  get size(): number {
    return this.#rows.size
  }

  apply(events: readonly WatchEvent[]): void {
    for (const event of events) {
      const before = this.#rows.get(event.key)
      if (before !== undefined && event.version <= before.version) continue
      const names = this.#namesOfEvent(event)
      for (const name of before?.names ?? []) if (!names.includes(name)) move(name, this.#added, this.#deleted)
      for (const name of names) if (before?.names.includes(name) !== true) move(name, this.#deleted, this.#added)
      if (names.length === 0) this.#rows.delete(event.key)
      else this.#rows.set(event.key, { version: event.version, names })
    }
  }

  /** What was applied since the last call; undefined: nothing that shows. */
  takeChange(): TopicListChange | undefined {
    if (this.#added.size === 0 && this.#deleted.size === 0) return undefined
    const change = { added: [...this.#added], deleted: [...this.#deleted], hash: topicListHash(this.sorted()) }
    this.#added.clear()
    this.#deleted.clear()
    return change
  }

  sorted(): string[] {
    return [...this.#rows.values()].flatMap(row => row.names).sort()
  }

  #namesOfEvent(event: WatchEvent): readonly string[] {
    const name = topicNameOfStorageName(event.key.slice('topics/'.length))
    if (name === undefined || event.value === undefined) return []
    return namesOf(topicRecordOf(name, { key: event.key, value: event.value, version: event.version }), this.#filter)
  }
}

/** What comes back before anybody was told has not been away. */
function move(name: string, from: Set<string>, to: Set<string>): void {
  if (!from.delete(name)) to.add(name)
}

function namesOf(record: TopicRecord, filter: TopicListFilter): string[] {
  const { name, partitions } = record
  if (record.isDeleting || !hasMode(name, filter.mode)) return []
  if (filter.includeSystemTopics !== true && isSystemTopic(name)) return []
  if (partitions === 0) return filter.pattern?.matches(name) === false ? [] : [name.toString()]
  // partitions share what a pattern sees
  if (filter.pattern?.matches(name.partition(0)) === false) return []
  return Array.from({ length: partitions }, (_, index) => name.partition(index).toString())
}

function hasMode(name: TopicName, mode: TopicListMode): boolean {
  return mode === 'ALL' || name.isPersistent === (mode === 'PERSISTENT')
}
