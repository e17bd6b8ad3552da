import { CodedError, type BookieId, type Clock, type EntryId, type LedgerId } from '@strata/base'
import {
  decodeLedger,
  ledgerDeletionKey,
  ledgerKey,
  LedgerError,
  passOverLedgerIds,
  type VersionedLedger
} from '@strata/ledger-client'
import { planRepair } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import { acceptStore } from '../volume/store-signature.ts'
import type { AuditedDirectory } from './node-watch.ts'
import { rebuildLedger } from './rebuild.ts'
import { settledPart, surveyLedger } from './survey.ts'

export interface AcceptDoors {
  readonly metadata: MetadataStore
  /** With the nodes that set themselves aside. */
  readonly directory: AuditedDirectory
  readonly clock: Clock
}

export interface ReconcileDoors extends AcceptDoors {
  /** Who lists a ledger of which there is no metadata. */
  readonly ownerOf: (id: LedgerId) => Promise<string>
  readonly onSeen: (count: number) => void
}

/** What was done about a ledger of which the metadata did not say what nodes have. */
export type Reconciled =
  | {
      readonly kind: 'rebuilt'
      readonly ledgerId: LedgerId
      readonly was: 'unknown' | 'open' | 'in-recovery' | 'closed'
      readonly lastEntryId: EntryId
    }
  /** `isBlocking`: whoever recovered it by what the metadata says might cut off what was confirmed. */
  | { readonly kind: 'unresolved'; readonly ledgerId: LedgerId; readonly why: string; readonly isBlocking: boolean }

const PAGE_LEDGERS = 1_000
const LEDGERS_AT_ONCE = 8

/**
 * Makes the metadata say of every ledger what nodes have, for a store that was set back or emptied: one that it does not know
 * is made anew; one that is not closed there is closed where nodes say, since its members may be others than it names; one that
 * is closed keeps its end, and where its members lack what others have, these become members. Nothing is deleted.
 * @throws MetadataError; LedgerError UNAVAILABLE
 */
export async function* reconcileLedgers(doors: ReconcileDoors): AsyncGenerator<Reconciled> {
  for await (const ids of batchesOf(heldAnywhere(doors))) {
    const found = await Promise.all(ids.map(id => reconcile(id, doors)))
    doors.onSeen(ids.length)
    for (const each of found) if (each !== undefined) yield each
  }
}

async function* batchesOf(ids: AsyncIterable<LedgerId>): AsyncGenerator<LedgerId[]> {
  let batch: LedgerId[] = []
  for await (const id of ids) {
    batch.push(id)
    if (batch.length < LEDGERS_AT_ONCE) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/**
 * Nodes that set themselves aside take the store as it is. Returns which. Before that, ids of ledgers are passed over that the
 * store may have given out since it was what it is. @throws MetadataError; LedgerError UNAVAILABLE
 */
export async function acceptForAll({ metadata, directory, clock }: AcceptDoors): Promise<BookieId[]> {
  const aside = directory.bookies().filter(({ state }) => state === 'set-aside')
  if (aside.length > 0) await passOverLedgerIds(metadata, { above: await highestHeld(directory), clock })
  for (const { bookieId, signedCount = 0 } of aside) await acceptStore(metadata, { bookieId, signedCount })
  return aside.map(({ bookieId }) => bookieId)
}

/** Of the ledgers of which any node knows something, be it a fence; -1: none. */
async function highestHeld(directory: AuditedDirectory): Promise<number> {
  let highest = -1
  for (const { bookieId } of directory.bookies()) {
    const node = directory.node(bookieId)
    if (node === undefined) throw LedgerError.create('UNAVAILABLE', { bookieId, reason: 'gone' })
    for (;;) {
      const last = (await node.heldLedgers({ after: highest, limit: PAGE_LEDGERS })).at(-1)
      if (last === undefined) break
      highest = last.ledgerId
    }
  }
  return highest
}

/** Ledgers of which any node has entries, ascending. */
async function* heldAnywhere({ directory }: ReconcileDoors): AsyncGenerator<LedgerId> {
  for (let after = -1; ;) {
    const ids = new Set<LedgerId>()
    let through = Infinity
    for (const { bookieId } of directory.bookies()) {
      const node = directory.node(bookieId)
      if (node === undefined) throw LedgerError.create('UNAVAILABLE', { bookieId, reason: 'gone' })
      const page = await node.heldLedgers({ after, limit: PAGE_LEDGERS })
      for (const { ledgerId, lastEntryId } of page) if (lastEntryId >= 0) ids.add(ledgerId)
      if (page.length === PAGE_LEDGERS) through = Math.min(through, page.at(-1)?.ledgerId ?? Infinity)
    }
    yield* [...ids].filter(id => id <= through).sort((a, b) => a - b)
    if (through === Infinity) return
    after = through
  }
}

async function reconcile(id: LedgerId, doors: ReconcileDoors): Promise<Reconciled | undefined> {
  const { metadata, directory, clock } = doors
  const row = await metadata.get(ledgerKey(id))
  if (row === undefined) {
    if ((await metadata.get(ledgerDeletionKey(id))) !== undefined) return undefined
    return attempt(id, 'unknown', async () => rebuildLedger(id, { ...doors, owner: await doors.ownerOf(id) }))
  }
  let before: VersionedLedger
  try {
    before = { record: decodeLedger(row.value), version: row.version }
  } catch (error) {
    if (!LedgerError.is(error, 'METADATA_CORRUPT')) throw error
    return { kind: 'unresolved', ledgerId: id, why: 'its metadata cannot be read', isBlocking: true }
  }
  const { state, owner } = before.record
  if (state === 'closed' && !(await lacksSome(id, before, directory))) return undefined
  return attempt(id, state, () => rebuildLedger(id, { metadata, directory, clock, owner, before }))
}

async function attempt(
  ledgerId: LedgerId,
  was: 'unknown' | 'open' | 'in-recovery' | 'closed',
  rebuild: () => ReturnType<typeof rebuildLedger>
): Promise<Reconciled> {
  try {
    const { end } = await rebuild()
    return { kind: 'rebuilt', ledgerId, was, lastEntryId: end?.lastEntryId ?? (-1 as EntryId) }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    const reason = error.details['reason']
    const why = typeof reason === 'string' ? reason : error.message
    return { kind: 'unresolved', ledgerId, why, isBlocking: was === 'open' || was === 'in-recovery' }
  }
}

/** Is there an entry that none of the members has that must have it? */
async function lacksSome(id: LedgerId, { record }: VersionedLedger, directory: AuditedDirectory): Promise<boolean> {
  const part = settledPart(record)
  if (part === undefined) return false
  const available = new Set(directory.bookies().map(({ bookieId }) => bookieId))
  const members = [...new Set(part.ensembles.flatMap(({ bookies }) => bookies))]
  const reachable = members.filter(member => available.has(member))
  const { missing, silent } = await surveyLedger(id, part, { members: reachable, directory, verify: false })
  if (silent.length > 0) throw LedgerError.create('UNAVAILABLE', { bookieId: silent.join(), reason: 'no answer' })
  const plan = planRepair({
    ledger: part,
    standing: member => (available.has(member) ? 'present' : 'gone'),
    missing,
    writable: [],
    seed: 0
  })
  return plan.lost.length > 0
}
