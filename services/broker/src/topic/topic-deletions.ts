import { reasonOf, type Logger } from '@strata/base'
import type { Departure } from '../namespace/departures.ts'
import { namespaceError } from '../namespace/errors.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { TopicRecord, TopicRecords } from '../namespace/topic-records.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import { Gate } from './gate.ts'
import type { TopicHomes } from './homes.ts'
import type { RemoteTopics } from './remote-topics.ts'

/** What a deletion asks of the topics of this broker. */
export interface DeletedTopics {
  /**
   * Nobody can begin to use these meanwhile. The check for users and the block are one step.
   * @throws NamespaceError BEING_DELETED, NOT_EMPTY
   */
  whileBlocked(names: readonly TopicName[], options: { force: boolean }, run: () => Promise<void>): Promise<void>
  /** Drops memory and data of a topic that is served here. */
  erase(name: TopicName): Promise<void>
}

export interface DeleteOptions {
  /** Whoever is connected loses it. */
  readonly force: boolean
  /** What clients that come back are answered by. Default: somebody said so. */
  readonly reason?: Departure['reason']
}

export interface TopicDeletionsOptions {
  readonly topics: DeletedTopics
  readonly records: TopicRecords
  readonly homes: TopicHomes
  readonly remote: RemoteTopics
  readonly logger: Logger
  /** What else goes with a deleted topic; its record stays until this is done, so a crash repeats it. */
  forget(name: TopicName): Promise<void>
}

interface RemotePart {
  readonly name: TopicName
  readonly broker: BrokerAddress
}

/** Partitions that are worked on at once. */
const PARTS_AT_ONCE = 16

/**
 * Deletes topics for good, wherever in the cluster their partitions are served: all of them are blocked where they are, the
 * record is marked, the data goes, then the record. Whoever finds one half done carries it on.
 */
export class TopicDeletions {
  readonly #options: TopicDeletionsOptions
  #isResuming = false
  #isResumeWanted = false

  constructor(options: TopicDeletionsOptions) {
    this.#options = options
  }

  /** @throws NamespaceError TOPIC_NOT_FOUND, NOT_EMPTY (clients are connected and `force` is not set) */
  async delete(name: TopicName, options: DeleteOptions): Promise<void> {
    const record = await this.#options.records.get(name)
    if (record === undefined) throw namespaceError('TOPIC_NOT_FOUND', `Topic ${name.toString()} not found`)
    await this.#whileBlocked(partsOf(record), options, erase => this.#deleteBlocked(name, erase, options.reason))
  }

  /** Deletes a topic without partitions, or one partition's data, if that is still wanted once nobody can load it any more. */
  async deleteUnloaded(name: TopicName, isWanted: () => Promise<boolean>): Promise<boolean> {
    const { topics, records } = this.#options
    let isDeleted = false
    await topics.whileBlocked([name], { force: false }, async () => {
      if (!(await isWanted())) return
      const erase = (): Promise<void> => topics.erase(name)
      if ((await records.get(name)) === undefined) await erase()
      else await this.#deleteBlocked(name, erase, 'unused')
      isDeleted = true
    })
    return isDeleted
  }

  /** Drops one partition's data and memory, keeping the record of its partitioned topic. */
  async deletePartitionData(name: TopicName, options: { force: boolean }): Promise<void> {
    await this.#whileBlocked([name], options, erase => erase())
  }

  /** Deletions that were cut short, of topics that are served here now. One pass at a time. */
  async resume(): Promise<void> {
    this.#isResumeWanted = true
    if (this.#isResuming) return
    this.#isResuming = true
    try {
      while (this.#isResumeWanted) {
        this.#isResumeWanted = false
        await this.#resumeAll()
      }
    } finally {
      this.#isResuming = false
    }
  }

  async #resumeAll(): Promise<void> {
    const { records, homes, logger } = this.#options
    for await (const { name } of records.deletions()) {
      try {
        if ((await homes.heldHome(name)) !== undefined) await this.delete(name, { force: true })
      } catch (error) {
        // One that cannot go now must not keep the others: it is found again at the next start.
        const reason = reasonOf(error)
        const fields = { event: 'topic.delete_failed', topic: name.toString(), reason }
        logger.warn(fields, 'a deletion could not be carried on')
      }
    }
  }

  async #deleteBlocked(name: TopicName, erase: () => Promise<void>, reason?: Departure['reason']): Promise<void> {
    const { records } = this.#options
    await records.beginDelete(name)
    await erase()
    await this.#options.forget(name)
    const marked = await records.get(name)
    if (marked !== undefined) await records.finishDelete(marked, reason)
  }

  async #whileBlocked(
    names: readonly TopicName[],
    options: { force: boolean },
    run: (erase: () => Promise<void>) => Promise<void>
  ): Promise<void> {
    const { topics } = this.#options
    const { here, there } = await this.#placed(names)
    await topics.whileBlocked(here, options, async () => {
      await this.#whileBlockedThere(there, options, () =>
        run(async () => {
          await atOnce(here, name => topics.erase(name))
          await atOnce(there, part => this.#options.remote.erase(part.broker, part.name))
        })
      )
    })
  }

  async #whileBlockedThere(
    there: readonly RemotePart[],
    options: { force: boolean },
    run: () => Promise<void>
  ): Promise<void> {
    const { remote, logger } = this.#options
    try {
      await atOnce(there, part => remote.block(part.broker, part.name, options))
      await run()
    } finally {
      await atOnce(there, async part => {
        try {
          await remote.unblock(part.broker, part.name)
        } catch (error) {
          const fields = { event: 'topic.unblock_failed', topic: part.name.toString(), reason: reasonOf(error) }
          logger.warn(fields, 'another broker will serve a topic again only when its block runs out')
        }
      })
    }
  }

  async #placed(names: readonly TopicName[]): Promise<{ here: TopicName[]; there: RemotePart[] }> {
    const here: TopicName[] = []
    const there: RemotePart[] = []
    for (const name of names) {
      const where = await this.#options.homes.find(name)
      if (where.kind === 'here') here.push(name)
      else there.push({ name, broker: where.broker })
    }
    return { here, there }
  }
}

/** The topic itself, or its partitions. */
export function partsOf(record: TopicRecord): TopicName[] {
  if (record.partitions === 0) return [record.name]
  return Array.from({ length: record.partitions }, (_, index) => record.name.partition(index))
}

async function atOnce<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const gate = new Gate(() => PARTS_AT_ONCE)
  await Promise.all(items.map(item => gate.run(() => run(item))))
}
