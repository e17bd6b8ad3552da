import { CodedError, entryId, type BookieId, type Clock, type EntryId, type LedgerId, type Logger } from '@strata/base'
import {
  LedgerError,
  LedgerMetadata,
  type BookieDirectory,
  type LedgerClient,
  type LedgerRecord
} from '@strata/ledger-client'
import { hasValidDigest, type Blocker, type EntryRange, type LedgerEnd } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import { declarationKey, decodeDeclaration, type LostEntries } from './care-records.ts'
import { auditorErrors } from './errors.ts'
import { heldOn, unionOf } from './held.ts'
import { LossBook } from './loss-book.ts'

export interface LossDoors {
  readonly metadata: MetadataStore
  readonly directory: BookieDirectory
  readonly ledgers: LedgerClient
  readonly clock: Clock
  readonly logger: Logger
}

export interface ClosedLedger {
  readonly end: LedgerEnd
  /** Empty: nothing had to be given up. */
  readonly lost: readonly LostEntries[]
  /** On whose account. */
  readonly destroyed: readonly BookieId[]
}

const LAST_ENTRY = entryId(Number.MAX_SAFE_INTEGER - 1)

/**
 * Closes a ledger that cannot be recovered because nodes are destroyed: at the highest entry that anyone who is left has. What
 * was behind it, and what nobody has before it, is recorded as lost, and that before the ledger is closed.
 *
 * Only where every node that recovery waits for was declared destroyed; a ledger that can be recovered is recovered, and loses
 * nothing.
 * @throws auditorErrors NOT_DECLARED, NODES_NEEDED; LedgerError NO_SUCH_LEDGER, UNAVAILABLE; MetadataError
 */
export async function closeWithLoss(id: LedgerId, doors: LossDoors): Promise<ClosedLedger> {
  const blockers = await recoverOrBlockers(id, doors.ledgers)
  if ('end' in blockers) return { end: blockers.end, lost: [], destroyed: [] }
  const destroyed = await declaredOf(blockers.blockers, doors.metadata)
  const metadata = new LedgerMetadata(doors.metadata, doors.clock)
  const ledger = await metadata.read(id)
  if (ledger === undefined) throw LedgerError.create('NO_SUCH_LEDGER', { ledgerId: id })
  if (ledger.record.end !== undefined) return { end: ledger.record.end, lost: [], destroyed: [] }
  const left = await whatIsLeft(id, ledger.record, { directory: doors.directory, destroyed })
  const end = await endAt(id, left, { record: ledger.record, directory: doors.directory })
  const lost = lostOf(left)
  const cause = `an operator accepted the loss: ${destroyed.join(', ')} destroyed`
  await new LossBook(doors).record(id, { lost, cause })
  const closed = await metadata.close(id, ledger, { end, ensembles: ledger.record.ensembles })
  if (closed !== undefined) return { end, lost, destroyed }
  return { end: await doors.ledgers.recover(id), lost, destroyed } // another process was faster
}

async function recoverOrBlockers(
  id: LedgerId,
  ledgers: LedgerClient
): Promise<{ end: LedgerEnd } | { blockers: readonly Blocker[] }> {
  try {
    return { end: await ledgers.recover(id) }
  } catch (error) {
    if (!LedgerError.is(error, 'RECOVERY_BLOCKED')) throw error
    return { blockers: error.details['blockers'] as readonly Blocker[] } // as recovery puts them there
  }
}

/** Those that were declared, if nobody else stands in the way. */
async function declaredOf(blockers: readonly Blocker[], metadata: MetadataStore): Promise<BookieId[]> {
  const awaited = blockers.filter(({ reason }) => reason === 'no answer' || reason === 'unknown')
  const nodes = [...new Set(awaited.map(({ bookieId }) => bookieId))].sort()
  if (nodes.length === 0) throw auditorErrors.create('NODES_NEEDED', { blockers })
  const declared: BookieId[] = []
  for (const node of nodes) {
    const row = await metadata.get(declarationKey(node))
    if (row !== undefined && decodeDeclaration(row.value).kind === 'destroyed') declared.push(node)
  }
  const others = nodes.filter(node => !declared.includes(node))
  if (others.length > 0) throw auditorErrors.create('NOT_DECLARED', { nodes: others })
  return declared
}

interface Left {
  readonly first: EntryId
  /** By anyone; ascending, apart from each other. */
  readonly held: readonly EntryRange[]
  readonly holders: readonly BookieId[]
}

/** Of the last ensemble: fences who is left, then asks what they have. */
async function whatIsLeft(
  ledgerId: LedgerId,
  { ensembles }: LedgerRecord,
  { directory, destroyed }: { directory: BookieDirectory; destroyed: readonly BookieId[] }
): Promise<Left> {
  const last = ensembles.at(-1)
  const first = last?.firstEntryId ?? entryId(0)
  const found: EntryRange[] = []
  const holders: BookieId[] = []
  for (const bookie of new Set(last?.bookies ?? [])) {
    try {
      const node = directory.node(bookie)
      if (node === undefined) throw LedgerError.create('UNAVAILABLE', { bookieId: bookie, reason: 'gone' })
      await node.readLac({ ledgerId, fence: true })
      const held = await heldOn(node, { ledgerId, first, last: LAST_ENTRY, verify: true })
      found.push(...held)
      if (held.length > 0) holders.push(bookie)
    } catch (error) {
      if (!(error instanceof CodedError) || !destroyed.includes(bookie)) throw error
    }
  }
  return { first, held: unionOf(found), holders }
}

function lostOf({ first, held }: Left): LostEntries[] {
  const lost: LostEntries[] = []
  let next: number = first
  for (const range of held) {
    if (range.first > next) lost.push({ first: entryId(next), last: entryId(range.first - 1), stripe: undefined })
    next = range.last + 1
  }
  return [...lost, { first: entryId(next), last: undefined, stripe: undefined }]
}

/** The running length is in every entry: that of the last one is the ledger's. */
async function endAt(
  ledgerId: LedgerId,
  { first, held, holders }: Left,
  { record, directory }: { record: LedgerRecord; directory: BookieDirectory }
): Promise<LedgerEnd> {
  const last = held.at(-1)?.last ?? first - 1
  if (last < 0) return { lastEntryId: entryId(last), lengthBytes: 0 }
  const lastEntryId = entryId(last)
  const before = record.ensembles.at(-2)?.bookies ?? []
  for (const bookie of last >= first ? holders : before) {
    try {
      const limits = { bytesMax: 1, entriesMax: 1, fence: false }
      const answer = await directory.node(bookie)?.read({ ledgerId, first: lastEntryId, last: lastEntryId, ...limits })
      const entry = answer?.entries[0]
      if (entry !== undefined && hasValidDigest({ ledgerId, ...entry })) {
        return { lastEntryId, lengthBytes: entry.lengthBytes }
      }
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
    }
  }
  throw LedgerError.create('UNAVAILABLE', { ledgerId, entryId: lastEntryId, reason: 'nobody gives the last entry' })
}
