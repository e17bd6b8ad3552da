import {
  ManagedLedgerError,
  type LogPersistence,
  type ManagedLedger,
  type ManagedLedgerFactory,
  type RolloverPolicy,
  type SeenLog
} from '@strata/managed-ledger'
import type { EffectivePolicies } from '../namespace/policies.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import type { TopicRecord } from '../namespace/topic-records.ts'
import { EntryStamper, type StampKinds } from './entry-stamper.ts'
import type { Home } from './homes.ts'
import { PersistentTopic } from './persistent-topic.ts'
import type { Publication } from './publication.ts'
import type { Topic, TopicEnvironment, TopicEvents } from './topic.ts'

export interface Opening {
  readonly name: TopicName
  readonly record: TopicRecord
  readonly policies: EffectivePolicies
  /** Asked for together with the record. */
  readonly seen: Promise<SeenLog | undefined> | undefined
}

/** The bundle left while one of its topics was being loaded. */
export class HoldLost extends Error {
  override readonly name = 'HoldLost'

  constructor() {
    super('The topic is moving: look it up again')
  }
}

/** Undefined: it had to be given up because the bundle left. */
export async function unlessMoved<Loaded>(loading: Promise<Loaded>): Promise<Loaded | undefined> {
  try {
    return await loading
  } catch (error) {
    if (error instanceof HoldLost) return undefined
    throw error
  }
}

/** From here on the topic goes by these. */
export function goBy(topic: Topic, policies: EffectivePolicies): void {
  const { retention: before } = topic.policies
  const { retention } = policies
  topic.policies = policies
  if (!(topic instanceof PersistentTopic)) return
  // telling the log makes it trim: not for nothing, right after it was opened
  if (retention.timeMs !== before.timeMs || retention.sizeBytes !== before.sizeBytes) topic.log.setRetention(retention)
}

/** What the log reads at each use. */
function livePersistence(keeping: { readonly persistence: LogPersistence }): LogPersistence {
  return {
    get quorum() {
      return keeping.persistence.quorum
    },
    get cursorFlushMs() {
      return keeping.persistence.cursorFlushMs
    }
  }
}

/** Takes the logs of stored topics, under a hold of their bundles, and makes topics over them. */
export class TopicOpener {
  readonly #env: TopicEnvironment
  readonly #logs: ManagedLedgerFactory
  readonly #stamps: StampKinds

  constructor(options: { env: TopicEnvironment; logs: ManagedLedgerFactory; stamps: StampKinds }) {
    this.#env = options.env
    this.#logs = options.logs
    this.#stamps = options.stamps
  }

  /** To be asked together with the topic's record: one round trip for both. */
  look(name: TopicName): Promise<SeenLog | undefined> | undefined {
    return name.isPersistent ? this.#logs.look(name.storageName) : undefined
  }

  /**
   * @param told.onLeft the log of a topic that could not be opened after all is being closed
   * @throws HoldLost; ManagedLedgerError
   */
  async open(
    home: Home,
    { name, record, policies, seen }: Opening,
    told: { readonly events: TopicEvents; readonly onLeft: (closed: Promise<void>) => void }
  ): Promise<PersistentTopic> {
    let log: ManagedLedger<Publication> | undefined
    try {
      const stamping: { stamper?: EntryStamper } = {}
      const { index, timestamp } = this.#stamps
      const keeping = { persistence: policies.persistence }
      log = await this.#logs.open<Publication>(name.storageName, {
        create: true,
        continues: true,
        ...(seen === undefined ? {} : { seen }),
        ...(record.logBornAt === undefined ? {} : { bornAt: record.logBornAt }),
        guards: home.guards,
        retention: policies.retention,
        persistence: livePersistence(keeping),
        rollover: this.rollover(),
        ...(index ? { propertiesOnTrim: () => stamping.stamper?.propertiesOnTrim() } : {})
      })
      if (index || timestamp) stamping.stamper = await EntryStamper.open(this.#stamps, this.#env.clock, log)
      const { stamper } = stamping
      const { createdAtMs } = record
      return new PersistentTopic(name, this.#env, { log, stamper, keeping, createdAtMs, policies, events: told.events })
    } catch (error) {
      if (log !== undefined) told.onLeft(log.close())
      throw ManagedLedgerError.is(error, 'LOG_NOT_YOURS') ? new HoldLost() : error
    }
  }

  /** As the settings have it now. */
  rollover(): RolloverPolicy {
    const { settings } = this.#env
    return {
      entriesMax: settings.managedLedgerMaxEntriesPerLedger,
      bytesMax: settings.managedLedgerMaxSizePerLedgerMbytes * 1024 * 1024,
      ageMsMin: settings.managedLedgerMinLedgerRolloverTimeMinutes * 60_000,
      ageMsMax: settings.managedLedgerMaxLedgerRolloverTimeMinutes * 60_000
    }
  }
}
