import { strict as assert } from 'node:assert'
import { entryId, NO_ENTRY, type Clock, type LedgerId, type Logger } from '@strata/base'
import { choosePlacement, type LedgerEnd, type QuorumConfig } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import type { AppendListener, BookieDirectory, LedgerAppender, LedgerClient, LedgerDescription } from './contract.ts'
import { LedgerError } from './errors.ts'
import { NodeLedgerAppender } from './ledger-appender.ts'
import { LedgerIds } from './ledger-ids.ts'
import { LedgerMetadata, present } from './ledger-metadata.ts'
import { NodeLedgerReader } from './ledger-reader.ts'
import { recoverLedger } from './recover-ledger.ts'

export interface LedgerClientOptions {
  readonly metadata: MetadataStore
  readonly directory: BookieDirectory
  /** Of ledgers that are created without one. */
  readonly quorum: QuorumConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Uniform in [0, 1): spreads ensembles and reads. */
  readonly random: () => number
}

/** A client over whatever nodes the directory gives: in process, or remote. */
export function createLedgerClient(options: LedgerClientOptions): LedgerClient {
  const metadata = new LedgerMetadata(options.metadata, options.clock)
  const ids = new LedgerIds(options.metadata, { clock: options.clock })
  const recovering = new Map<LedgerId, Promise<LedgerEnd>>()
  const { directory } = options
  return {
    create: request => createLedger(request, { ...options, metadata, ids }),

    async open(ledgerId) {
      const ledger = present(ledgerId, await metadata.read(ledgerId))
      return new NodeLedgerReader({ ledgerId, ledger, directory, metadata, random: options.random })
    },

    recover(id) {
      let recovery = recovering.get(id)
      if (recovery === undefined) {
        recovery = recoverLedger(id, { directory, metadata }).finally(() => recovering.delete(id))
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
    }
  }
}

async function createLedger(
  request: { owner: string; quorum?: QuorumConfig; listener: AppendListener; after?: LedgerId },
  doors: Omit<LedgerClientOptions, 'metadata'> & { metadata: LedgerMetadata; ids: LedgerIds }
): Promise<LedgerAppender> {
  const { directory, metadata, ids } = doors
  const quorum = request.quorum ?? doors.quorum
  const writable = directory.writable().map(({ bookieId }) => bookieId)
  const count = quorum.ensembleSize
  const bookies = choosePlacement({ writable, excluded: [], count, seed: doors.random() })
  if (bookies === undefined)
    throw LedgerError.create('NOT_ENOUGH_BOOKIES', { needed: count, writable: writable.length })
  const id = await ids.take(request.after ?? NO_ENTRY)
  const created = await metadata.create(id, {
    quorum,
    state: 'open',
    end: undefined,
    ensembles: [{ firstEntryId: entryId(0), bookies }],
    owner: request.owner,
    createdAtMs: doors.clock.wallMs()
  })
  assert(created !== undefined, `ledger id ${id} was given twice`)
  return new NodeLedgerAppender({
    ledgerId: id,
    created,
    directory,
    metadata,
    listener: request.listener,
    logger: doors.logger
  })
}
