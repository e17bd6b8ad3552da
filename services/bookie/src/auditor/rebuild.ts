import { CodedError, entryId, NO_ENTRY, type BookieId, type Clock, type EntryId, type LedgerId } from '@strata/base'
import {
  ledgerDeletionKey,
  LedgerError,
  LedgerMetadata,
  raiseLedgerIds,
  type LedgerRecord,
  type VersionedLedger
} from '@strata/ledger-client'
import { hasValidDigest, type LedgerEnd } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import { declarationKey, decodeDeclaration, joinedBookie, JOINED_PREFIX } from './care-records.ts'
import { auditorErrors } from './errors.ts'
import { foundEnsembles, type FoundEnsembles, type Holding } from './found-ensembles.ts'
import { heldOn, unionOf } from './held.ts'
import type { AuditedDirectory } from './node-watch.ts'

export interface RebuildDoors {
  readonly metadata: MetadataStore
  readonly directory: AuditedDirectory
  readonly clock: Clock
}

/**
 * Makes the metadata of a ledger anew from what nodes have: fences it on all of them, and closes it at the last entry. Nodes do
 * not know what ensembles were agreed on: these are found by who has what, and where copies are too few, whoever cares for
 * copies makes them.
 *
 * With `before`, in the place of what the metadata says and what is not so any more: a ledger that is closed keeps its end.
 * @param owner  Who lists the ledger; one that no program knows keeps it until somebody deletes it.
 * @throws auditorErrors CANNOT_REBUILD, with what is in the way; LedgerError UNAVAILABLE: a node does not answer; MetadataError
 */
export async function rebuildLedger(
  id: LedgerId,
  { owner, before, ...doors }: RebuildDoors & { owner: string; before?: VersionedLedger }
): Promise<Omit<LedgerRecord, 'operationId'>> {
  const metadata = new LedgerMetadata(doors.metadata, doors.clock)
  if (before === undefined && (await metadata.read(id)) !== undefined) refuse(id, 'the metadata knows it')
  if ((await doors.metadata.get(ledgerDeletionKey(id))) !== undefined) refuse(id, 'it was deleted')
  const { away, destroyed } = await absentNodes(doors)
  if (away.length > 0) refuse(id, `${away.join(', ')} may have more of it: bring them back, or declare them destroyed`)
  const { directory } = doors
  const { holdings, ...answers } = await holdingsOf(id, directory)
  const isCertain = answers.isCertain && destroyed.length === 0
  const end = before?.record.end ?? (await endOf(id, { ...answers, holdings, directory, isCertain }))
  const found = ensemblesOf(id, { holdings, end, directory })
  const { ensembleSize, writeQuorum } = found
  const record = {
    quorum: { ensembleSize, writeQuorum, ackQuorum: Math.floor(writeQuorum / 2) + 1 },
    state: 'closed' as const,
    end,
    ensembles: found.ensembles,
    owner,
    createdAtMs: before?.record.createdAtMs ?? doors.clock.wallMs()
  }
  await raiseLedgerIds(doors.metadata, { above: id, clock: doors.clock })
  const stored = await (before === undefined ? metadata.create(id, record) : metadata.replace(id, before, record))
  if (stored === undefined) refuse(id, 'another process changed it meanwhile')
  return record
}

/** Nodes that joined and are not there: those of which that is for good, and the others. */
async function absentNodes({
  metadata,
  directory
}: RebuildDoors): Promise<{ away: BookieId[]; destroyed: BookieId[] }> {
  const available = new Set(directory.bookies().map(({ bookieId }) => bookieId))
  const absent = { away: [] as BookieId[], destroyed: [] as BookieId[] }
  let after: string | undefined
  do {
    const page = await metadata.scan({ prefix: JOINED_PREFIX, ...(after === undefined ? {} : { after }) })
    for (const { key } of page.records) {
      const id = joinedBookie(key)
      if (id === undefined || available.has(id)) continue
      const declared = await metadata.get(declarationKey(id))
      const isGone = declared !== undefined && decodeDeclaration(declared.value).kind === 'destroyed'
      absent[isGone ? 'destroyed' : 'away'].push(id)
    }
    after = page.next
  } while (after !== undefined)
  return absent
}

interface Holdings {
  readonly holdings: readonly Holding[]
  /** Every node would know if it had lost some of it. */
  readonly isCertain: boolean
  /** Everything up to it was confirmed to the writer. */
  readonly confirmed: EntryId
  /** The last one that any node ever had. */
  readonly known: EntryId
}

const STRETCH = { first: entryId(0), last: entryId(Number.MAX_SAFE_INTEGER - 1) }

/** Of every node that is there: one that does not answer may have what the others lack. */
async function holdingsOf(id: LedgerId, directory: AuditedDirectory): Promise<Holdings> {
  const holdings: Holding[] = []
  let isCertain = true
  let confirmed = NO_ENTRY
  let known = NO_ENTRY
  for (const { bookieId } of directory.bookies()) {
    const node = directory.node(bookieId)
    if (node === undefined) throw LedgerError.create('UNAVAILABLE', { bookieId, reason: 'gone' })
    const [ledger] = await node.heldLedgers({ after: id - 1, limit: 1 })
    const hasSome = ledger?.ledgerId === id && ledger.lastEntryId >= 0
    const answer = await node.readLac({ ledgerId: id, fence: hasSome })
    isCertain &&= answer.authority
    confirmed = laterOf(confirmed, answer.lac)
    if (!hasSome) continue
    const held = await heldOn(node, { ledgerId: id, ...STRETCH, verify: true })
    const listed = await heldOn(node, { ledgerId: id, ...STRETCH, verify: false })
    isCertain &&= JSON.stringify(held) === JSON.stringify(listed) // else it has what it cannot read
    known = laterOf(known, listed.at(-1)?.last ?? NO_ENTRY)
    if (held.length > 0) holdings.push({ bookieId, held })
  }
  holdings.sort((a, b) => (a.bookieId < b.bookieId ? -1 : 1))
  return { holdings, isCertain, confirmed, known }
}

function laterOf(a: EntryId, b: EntryId): EntryId {
  return a > b ? a : b
}

/**
 * The last entry that anyone has. Where something before it is missing, the ledger ends there if that is certain: what no node
 * has, and none can have had and lost, was never confirmed, nor was anything behind it.
 */
async function endOf(
  id: LedgerId,
  { holdings, isCertain, confirmed, known, directory }: Holdings & { directory: AuditedDirectory }
): Promise<LedgerEnd> {
  if (holdings.length === 0) refuse(id, 'no node that is there has any of it')
  const held = unionOf(holdings.flatMap(holding => holding.held))
  const [first] = held
  const isWhole = held.length === 1 && first?.first === 0
  const last = first?.first === 0 ? first.last : NO_ENTRY
  const next = held.find(range => range.first > last + 1)?.first ?? laterOf(confirmed, known) + 1
  const gap = `${last + 1} to ${next - 1}`
  const isEnd = isWhole ? last >= laterOf(confirmed, known) : isCertain && last >= confirmed
  if (!isEnd) refuse(id, `nobody has entries ${gap}`)
  if (last === NO_ENTRY) return { lastEntryId: NO_ENTRY, lengthBytes: 0 }
  return { lastEntryId: last, lengthBytes: await lengthThrough(id, last, { holdings, directory }) }
}

function ensemblesOf(
  id: LedgerId,
  { holdings, end, directory }: { holdings: readonly Holding[]; end: LedgerEnd; directory: AuditedDirectory }
): FoundEnsembles {
  const { lastEntryId } = end
  const all = directory.bookies().map(({ bookieId }) => bookieId)
  const holders = holdings.map(({ bookieId }) => bookieId)
  if (lastEntryId < 0) {
    const bookies = holders.length > 0 ? holders : all.slice(0, 1)
    const size = bookies.length
    return { ensembleSize: size, writeQuorum: size, ensembles: [{ firstEntryId: entryId(0), bookies }] }
  }
  const held = unionOf(holdings.flatMap(holding => holding.held))
  const isCovered = held[0]?.first === 0 && held[0].last >= lastEntryId
  if (!isCovered) refuse(id, `nobody has all entries up to ${lastEntryId}`)
  const spare = directory.writable().flatMap(({ bookieId }) => (holders.includes(bookieId) ? [] : [bookieId]))
  const found = foundEnsembles(holdings, { lastEntryId, spare })
  if (found !== undefined) return found
  // too torn for an order to be seen: whoever has some of it gets all of it
  return {
    ensembleSize: holders.length,
    writeQuorum: holders.length,
    ensembles: [{ firstEntryId: entryId(0), bookies: holders }]
  }
}

/** The running length is in every entry. */
async function lengthThrough(
  ledgerId: LedgerId,
  last: EntryId,
  { holdings, directory }: { holdings: readonly Holding[]; directory: AuditedDirectory }
): Promise<number> {
  for (const { bookieId, held } of holdings) {
    if (!held.some(range => range.first <= last && last <= range.last)) continue
    try {
      const limits = { bytesMax: 1, entriesMax: 1, fence: false }
      const answer = await directory.node(bookieId)?.read({ ledgerId, first: last, last, ...limits })
      const entry = answer?.entries[0]
      if (entry !== undefined && hasValidDigest({ ledgerId, ...entry })) return entry.lengthBytes
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
    }
  }
  throw LedgerError.create('UNAVAILABLE', { ledgerId, entryId: last, reason: 'nobody gives the last entry' })
}

function refuse(ledgerId: LedgerId, reason: string): never {
  throw auditorErrors.create('CANNOT_REBUILD', { ledgerId, reason })
}
