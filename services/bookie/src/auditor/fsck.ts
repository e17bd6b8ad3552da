import { CodedError, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import {
  decodeLedger,
  ledgerDeletionKey,
  ledgerIdOfKey,
  ledgerKey,
  LEDGERS_PREFIX,
  LedgerError,
  type BookieNode,
  type LedgerRecord
} from '@strata/ledger-client'
import { listingOf, parseOwner } from '@strata/managed-ledger'
import { decodeSegment, type MetadataStore } from '@strata/metadata'
import type { AuditedDirectory } from './node-watch.ts'
import { missingOn, placesOf, settledPart } from './survey.ts'

/** Something that the metadata and the nodes do not agree on. */
export type Difference =
  /** The node must have these entries and does not name them. */
  | {
      readonly kind: 'missing'
      readonly ledgerId: LedgerId
      readonly bookieId: BookieId
      readonly first: EntryId
      readonly last: EntryId
    }
  /** Nobody can say what the node has: it is not there, or does not answer. */
  | { readonly kind: 'unanswered'; readonly ledgerId: LedgerId; readonly bookieId: BookieId }
  /** The row of the ledger is not what any version wrote. */
  | { readonly kind: 'metadata-unreadable'; readonly ledgerId: LedgerId }
  /** A log lists a ledger that has no metadata. */
  | { readonly kind: 'metadata-missing'; readonly ledgerId: LedgerId; readonly log: string }
  /** Its owner does not list it. */
  | { readonly kind: 'unlisted'; readonly ledgerId: LedgerId; readonly owner: string }
  /** A node has something of a ledger of which there is neither metadata nor a deletion record. */
  | {
      readonly kind: 'unknown'
      readonly ledgerId: LedgerId
      readonly bookieId: BookieId
      readonly lastEntryId: EntryId
    }
  /** A node has something of a ledger that was deleted: it gives the space back. */
  | { readonly kind: 'deletion-due'; readonly ledgerId: LedgerId; readonly bookieId: BookieId }
  /** A node has something of a ledger that does not name it: what a repair or a recoverer left. */
  | { readonly kind: 'not-a-member'; readonly ledgerId: LedgerId; readonly bookieId: BookieId }

/** Those that cost nothing but space, and pass by themselves. */
const HARMLESS: ReadonlySet<Difference['kind']> = new Set(['deletion-due', 'not-a-member', 'unlisted'])

export const isHarmless = ({ kind }: Difference): boolean => HARMLESS.has(kind)

export interface CheckDoors {
  readonly metadata: MetadataStore
  readonly directory: AuditedDirectory
  /** Have nodes read what they have. */
  readonly verify: boolean
  /** So many ledgers were looked at, of the metadata or of nodes. */
  readonly onSeen: (count: number) => void
}

const LEDGERS_PER_PAGE = 1_000
const LOGS_PREFIX = 'logs/'
const LISTED_LEDGER = /^logs\/([^/]+)\/ledgers\/\d{16}$/

/** Names every difference between the metadata and the nodes that are there. Changes and fences nothing. @throws MetadataError */
export async function* checkCluster(doors: CheckDoors): AsyncGenerator<Difference> {
  yield* checkMetadata(doors)
  yield* checkListings(doors)
  for (const { bookieId } of doors.directory.bookies()) yield* checkNode(bookieId, doors)
}

async function* checkMetadata(doors: CheckDoors): AsyncGenerator<Difference> {
  for await (const { key, value } of rowsOf(doors.metadata, { prefix: LEDGERS_PREFIX })) {
    const ledgerId = ledgerIdOfKey(key)
    if (ledgerId === undefined) continue
    doors.onSeen(1)
    const record = decoded(value)
    if (record === undefined) yield { kind: 'metadata-unreadable', ledgerId }
    else {
      yield* checkCopies(ledgerId, record, doors)
      yield* checkOwner(ledgerId, record, doors)
    }
  }
}

/** Of what is settled; the last ensemble of a ledger that is not closed is its writer's. */
async function* checkCopies(
  ledgerId: LedgerId,
  record: LedgerRecord,
  { directory, verify }: CheckDoors
): AsyncGenerator<Difference> {
  const part = settledPart(record)
  const members = new Set(part?.ensembles.flatMap(({ bookies }) => bookies) ?? [])
  const available = new Set(directory.bookies().map(({ bookieId }) => bookieId))
  for (const bookieId of members) {
    const node = available.has(bookieId) ? directory.node(bookieId) : undefined
    const places = part === undefined ? [] : placesOf(bookieId, part)
    if (places.length === 0) continue
    const missing = node && (await answered(missingOn(node, ledgerId, { places, verify })))
    if (missing === undefined) yield { kind: 'unanswered', ledgerId, bookieId }
    for (const { first, last } of missing ?? []) yield { kind: 'missing', ledgerId, bookieId, first, last }
  }
}

async function* checkOwner(
  ledgerId: LedgerId,
  { owner }: LedgerRecord,
  { metadata }: CheckDoors
): AsyncGenerator<Difference> {
  const known = parseOwner(owner)
  if (known === undefined) return
  const listing = await answered(listingOf(metadata, { ...known, ledgerId }))
  if (listing?.standing === 'not listed') yield { kind: 'unlisted', ledgerId, owner }
}

/** What logs list and the metadata does not have. */
async function* checkListings({ metadata }: CheckDoors): AsyncGenerator<Difference> {
  for await (const { key } of rowsOf(metadata, { prefix: LOGS_PREFIX, keysOnly: true })) {
    const log = decodeSegment(LISTED_LEDGER.exec(key)?.[1] ?? '')
    const ledgerId = ledgerIdOfKey(key)
    if (log === undefined || log === '' || ledgerId === undefined) continue
    if ((await metadata.get(ledgerKey(ledgerId))) !== undefined) continue
    const listing = await answered(listingOf(metadata, { log, role: 'data', ledgerId }))
    if (listing?.standing === 'listed') yield { kind: 'metadata-missing', ledgerId, log }
  }
}

async function* checkNode(bookieId: BookieId, doors: CheckDoors): AsyncGenerator<Difference> {
  const node = doors.directory.node(bookieId)
  let after = -1
  for (;;) {
    const page = node && (await answered(pageOf(node, after)))
    if (page === undefined || page.length === 0) return
    const records = await recordsBetween(doors.metadata, { first: page[0]?.ledgerId, last: page.at(-1)?.ledgerId })
    for (const { ledgerId, lastEntryId } of page) {
      after = ledgerId
      doors.onSeen(1)
      const record = records.get(ledgerId)
      if (record === 'unreadable' || lastEntryId < 0) continue // one that was only fenced has nothing
      if (record === undefined) {
        const isDeleted = (await doors.metadata.get(ledgerDeletionKey(ledgerId))) !== undefined
        if (isDeleted) yield { kind: 'deletion-due', ledgerId, bookieId }
        else yield { kind: 'unknown', ledgerId, bookieId, lastEntryId }
      } else if (record.state === 'closed' && !record.ensembles.some(({ bookies }) => bookies.includes(bookieId))) {
        yield { kind: 'not-a-member', ledgerId, bookieId }
      }
    }
  }
}

function pageOf(node: BookieNode, after: number): ReturnType<BookieNode['heldLedgers']> {
  return node.heldLedgers({ after, limit: LEDGERS_PER_PAGE })
}

/** All ledgers of a stretch: both sides are read in the order of ids, so that none is asked for by itself. */
async function recordsBetween(
  metadata: MetadataStore,
  { first, last }: { first: LedgerId | undefined; last: LedgerId | undefined }
): Promise<Map<LedgerId, LedgerRecord | 'unreadable'>> {
  const found = new Map<LedgerId, LedgerRecord | 'unreadable'>()
  if (first === undefined || last === undefined) return found
  const after = first === 0 ? {} : { after: ledgerKey((first - 1) as LedgerId) }
  for await (const { key, value } of rowsOf(metadata, { prefix: LEDGERS_PREFIX, ...after })) {
    const id = ledgerIdOfKey(key)
    if (id === undefined) continue
    if (id > last) break
    found.set(id, decoded(value) ?? 'unreadable')
  }
  return found
}

async function* rowsOf(
  metadata: MetadataStore,
  options: { prefix: string; keysOnly?: boolean; after?: string }
): AsyncGenerator<{ key: string; value: Uint8Array }> {
  let { after } = options
  do {
    const page = await metadata.scan({ ...options, ...(after === undefined ? {} : { after }) })
    yield* page.records
    after = page.next
  } while (after !== undefined)
}

function decoded(value: Uint8Array): LedgerRecord | undefined {
  try {
    return decodeLedger(value)
  } catch (error) {
    if (!LedgerError.is(error, 'METADATA_CORRUPT')) throw error
    return undefined
  }
}

/** undefined: there was none that could be had. */
async function answered<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    return undefined
  }
}
