import { strict as assert } from 'node:assert'
import { entryId, NO_ENTRY, type Clock, type LedgerId, type Logger } from '@strata/base'
import {
  choosePlacement,
  SlowBudget,
  type LedgerEnd,
  type QuorumConfig,
  type WriterTimes
} from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import type {
  AppendListener,
  BookieDirectory,
  CommitLedger,
  DamagedCopy,
  FollowingLedgerClient,
  LedgerAppender,
  LedgerDescription,
  NodeChoice
} from './contract.ts'
import { eligibleNodes } from './eligible-nodes.ts'
import { LedgerError } from './errors.ts'
import { FailedNodes } from './failed-nodes.ts'
import { NodeLedgerAppender, type AppenderDoors } from './ledger-appender.ts'
import { LedgerIds } from './ledger-ids.ts'
import { LedgerMetadata, present } from './ledger-metadata.ts'
import { NodeLedgerReader } from './ledger-reader.ts'
import { recoverLedger } from './recover-ledger.ts'
import { WriterTicker } from './writer-ticker.ts'

/** Well past what a read takes that waits for a disk, well below what a reader would call a stall. */
const SPECULATE_MS = 150
/** Over all ledgers of a client: a few slow members at once, then one each two seconds. */
const SLOW_MEMBERS = { burst: 5, perMs: 2_000 }

export interface LedgerClientOptions {
  readonly metadata: MetadataStore
  readonly directory: BookieDirectory
  /** Ledgers are made only while the store says that it is of this cluster; none: in any store. */
  readonly clusterId?: string | undefined
  /** Of ledgers that are created without one. */
  readonly quorum: QuorumConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Uniform in [0, 1): spreads ensembles and reads. */
  readonly random: () => number
  /** How writers deal with nodes that fail or lag; what is left out is `WRITER_TIMES`. */
  readonly times?: Partial<WriterTimes>
  /** A node that is silent for so long when it is read from gets a second one beside it. Default: 150. */
  readonly speculateMs?: number
  /** A copy that a reader found damaged, and read elsewhere. Must not throw. Default: it is logged. */
  readonly onDamaged?: (copy: DamagedCopy) => void
}

/** A client over whatever nodes the directory gives: in process, or remote. */
export function createLedgerClient(options: LedgerClientOptions): FollowingLedgerClient {
  const metadata = new LedgerMetadata(options.metadata, options.clock)
  const ids = new LedgerIds(options.metadata, { clock: options.clock, clusterId: options.clusterId })
  const recovering = new Map<LedgerId, Promise<LedgerEnd>>()
  const { directory, clock, logger, random, times = {} } = options
  const failedNodes = new FailedNodes(clock)
  const ticker = new WriterTicker(clock, directory)
  const slowBudget = new SlowBudget(SLOW_MEMBERS)
  const doors = { directory, metadata, clock, logger, random, ticker, failedNodes, slowBudget, times }
  const report = (copy: DamagedCopy): void => {
    logger.error({ event: 'ledger.copy_damaged', ...copy }, 'a copy of an entry is not what was written')
  }
  const { speculateMs = SPECULATE_MS, onDamaged = report } = options
  const reading = { directory, metadata, clock, random, speculateMs, onDamaged }
  const among = (choice: NodeChoice | undefined): FollowingLedgerClient => ({
    create: request => createLedger(request, { ...doors, choice, ids, quorum: options.quorum }),

    async open(ledgerId) {
      const ledger = present(ledgerId, await metadata.read(ledgerId))
      return new NodeLedgerReader({ ledgerId, ledger, doors: reading })
    },

    recover(id) {
      let recovery = recovering.get(id)
      if (recovery === undefined) {
        recovery = recoverLedger(id, { ...doors, choice }).finally(() => recovering.delete(id))
        recovering.set(id, recovery)
      }
      return recovery
    },

    delete: id => metadata.delete(id),

    async describe(ledgerId): Promise<LedgerDescription | undefined> {
      const ledger = await metadata.read(ledgerId)
      if (ledger === undefined) return undefined
      const { state, end, quorum, owner, ensembles } = ledger.record
      return { ledgerId, state, end, quorum, owner, ensembles }
    },

    among
  })
  return among(undefined)
}

async function createLedger(
  request: {
    owner: string
    quorum?: QuorumConfig
    listener: AppendListener
    after?: LedgerId
    commit?: CommitLedger
  },
  { ids, quorum: usual, ...doors }: AppenderDoors & { ids: LedgerIds; quorum: QuorumConfig }
): Promise<LedgerAppender> {
  const { metadata, clock, choice } = doors
  const quorum = request.quorum ?? usual
  const groups = choice?.()
  const writable = eligibleNodes(doors, { quorum })
  const avoided = doors.failedNodes.recent()
  const bookies = choosePlacement({ writable, avoided, quorum, seed: doors.random() })
  if (bookies === undefined) {
    throw LedgerError.create('NOT_ENOUGH_BOOKIES', { needed: quorum.ensembleSize, writable: writable.length })
  }
  const record = {
    quorum,
    state: 'open',
    end: undefined,
    ensembles: [{ firstEntryId: entryId(0), bookies }],
    owner: request.owner,
    ...(groups === undefined ? {} : { groups }),
    createdAtMs: clock.wallMs()
  } as const
  for (;;) {
    const taken = await ids.take(request.after ?? NO_ENTRY)
    const { id: ledgerId, guards } = taken
    const created = await metadata.create(ledgerId, record, { guards, commit: request.commit })
    if (created !== undefined) return new NodeLedgerAppender({ ledgerId, created, listener: request.listener, doors })
    assert((await metadata.read(ledgerId)) === undefined, `ledger id ${ledgerId} was given twice`)
    ids.drop(taken)
  }
}
