import { CodedError, entryId, type BookieId, type Clock, type EntryId, type LedgerId } from '@strata/base'
import {
  ledgerDeletionKey,
  LedgerError,
  LedgerMetadata,
  raiseLedgerIds,
  type LedgerRecord
} from '@strata/ledger-client'
import { hasValidDigest, type Ensemble, type EntryRange } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import { declarationKey, decodeDeclaration, joinedBookie, JOINED_PREFIX } from './care-records.ts'
import { auditorErrors } from './errors.ts'
import { heldOn } from './held.ts'
import type { AuditedDirectory } from './node-watch.ts'

export interface RebuildDoors {
  readonly metadata: MetadataStore
  readonly directory: AuditedDirectory
  readonly clock: Clock
}

/** Stretches in which the same nodes have everything; a ledger of more is given one ensemble of all of its nodes. */
const ENSEMBLES_MAX = 50

/**
 * Makes the metadata of a ledger anew from what nodes have: fences it on all of them, and closes it at the last entry. Nodes do
 * not know what ensembles were agreed on: every node that has an entry becomes a member for it, and where copies are too few,
 * whoever cares for copies makes them.
 *
 * @param owner  Who lists the ledger; one that no program knows keeps it until somebody deletes it.
 * @throws auditorErrors CANNOT_REBUILD, with what is in the way; LedgerError UNAVAILABLE: a node does not answer; MetadataError
 */
export async function rebuildLedger(
  id: LedgerId,
  { owner, ...doors }: RebuildDoors & { owner: string }
): Promise<Omit<LedgerRecord, 'operationId'>> {
  const metadata = new LedgerMetadata(doors.metadata, doors.clock)
  if ((await metadata.read(id)) !== undefined) refuse(id, 'the metadata knows it')
  if ((await doors.metadata.get(ledgerDeletionKey(id))) !== undefined) refuse(id, 'it was deleted')
  const away = await awayNodes(doors)
  if (away.length > 0) refuse(id, `${away.join(', ')} may have more of it: bring them back, or declare them destroyed`)
  const holdings = await holdingsOf(id, doors.directory)
  if (holdings.length === 0) refuse(id, 'no node that is there has any of it')
  const stretches = stretchesOf(holdings)
  const gap = stretches.findIndex(({ holders }) => holders.length === 0)
  const lost = stretches[gap]
  if (lost !== undefined) refuse(id, `nobody has entries ${lost.first} to ${lost.last}`)
  const lastEntryId = stretches.at(-1)?.last ?? refuse(id, 'nobody has any of it')
  const lengthBytes = await lengthThrough(id, lastEntryId, { holdings, directory: doors.directory })
  const { ensembles, size } = ensemblesOf(stretches, holdings)
  const record = {
    quorum: { ensembleSize: size, writeQuorum: size, ackQuorum: Math.floor(size / 2) + 1 },
    state: 'closed' as const,
    end: { lastEntryId, lengthBytes },
    ensembles,
    owner,
    createdAtMs: doors.clock.wallMs()
  }
  await raiseLedgerIds(doors.metadata, { above: id, clock: doors.clock })
  if ((await metadata.create(id, record)) === undefined) refuse(id, 'another process made it meanwhile')
  return record
}

/** Nodes that joined, are not there, and were not declared destroyed. */
async function awayNodes({ metadata, directory }: RebuildDoors): Promise<BookieId[]> {
  const available = new Set(directory.bookies().map(({ bookieId }) => bookieId))
  const away: BookieId[] = []
  let after: string | undefined
  do {
    const page = await metadata.scan({ prefix: JOINED_PREFIX, ...(after === undefined ? {} : { after }) })
    for (const { key } of page.records) {
      const id = joinedBookie(key)
      if (id === undefined || available.has(id)) continue
      const declared = await metadata.get(declarationKey(id))
      if (declared === undefined || decodeDeclaration(declared.value).kind !== 'destroyed') away.push(id)
    }
    after = page.next
  } while (after !== undefined)
  return away
}

interface Holding {
  readonly bookieId: BookieId
  readonly held: readonly EntryRange[]
}

/** Of every node that is there: one that does not answer may have what the others lack. */
async function holdingsOf(id: LedgerId, directory: AuditedDirectory): Promise<Holding[]> {
  const holdings: Holding[] = []
  for (const { bookieId } of directory.bookies()) {
    const node = directory.node(bookieId)
    if (node === undefined) throw LedgerError.create('UNAVAILABLE', { bookieId, reason: 'gone' })
    const [ledger] = await node.heldLedgers({ after: id - 1, limit: 1 })
    if (ledger?.ledgerId !== id || ledger.lastEntryId < 0) continue
    await node.readLac({ ledgerId: id, fence: true })
    const stretch = { ledgerId: id, first: entryId(0), last: entryId(Number.MAX_SAFE_INTEGER - 1) }
    const held = await heldOn(node, { ...stretch, verify: true })
    if (held.length > 0) holdings.push({ bookieId, held })
  }
  return holdings.sort((a, b) => (a.bookieId < b.bookieId ? -1 : 1))
}

interface Stretch extends EntryRange {
  readonly holders: readonly BookieId[]
}

/** Cut wherever what any node has begins or ends. */
function stretchesOf(holdings: readonly Holding[]): Stretch[] {
  const cuts = new Set<number>([0])
  for (const { held } of holdings) {
    for (const { first, last } of held) cuts.add(first).add(last + 1)
  }
  const starts = [...cuts].sort((a, b) => a - b)
  const cursors = new Map(holdings.map(({ bookieId }) => [bookieId, 0]))
  return starts.slice(0, -1).map((first, i) => {
    const last = (starts[i + 1] ?? first + 1) - 1
    const holders = holdings.flatMap(({ bookieId, held }) => {
      let at = cursors.get(bookieId) ?? 0
      while ((held[at]?.last ?? Infinity) < first) at += 1
      cursors.set(bookieId, at)
      return (held[at]?.first ?? Infinity) <= first ? [bookieId] : []
    })
    return { first: entryId(first), last: entryId(last), holders }
  })
}

function ensemblesOf(
  stretches: readonly Stretch[],
  holdings: readonly Holding[]
): { ensembles: Ensemble[]; size: number } {
  const all = holdings.map(({ bookieId }) => bookieId)
  if (stretches.length > ENSEMBLES_MAX) {
    return { ensembles: [{ firstEntryId: entryId(0), bookies: all }], size: all.length }
  }
  const size = Math.max(...stretches.map(({ holders }) => holders.length))
  const ensembles = stretches.map(({ first, holders }) => {
    const others = all.filter(bookie => !holders.includes(bookie))
    return { firstEntryId: first, bookies: [...holders, ...others].slice(0, size) }
  })
  return { ensembles, size }
}

/** The running length is in every entry. */
async function lengthThrough(
  ledgerId: LedgerId,
  last: EntryId,
  { holdings, directory }: { holdings: readonly Holding[]; directory: AuditedDirectory }
): Promise<number> {
  for (const { bookieId, held } of holdings) {
    if (held.at(-1)?.last !== last) continue
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
