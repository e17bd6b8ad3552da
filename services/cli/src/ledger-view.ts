import { entryId, ledgerId, NO_ENTRY, type EntryId, type LedgerId } from '@strata/base'
import {
  decodeDeletion,
  decodeLedger,
  ledgerDeletionKey,
  ledgerIdOfKey,
  LEDGERS_PREFIX,
  type LedgerDescription
} from '@strata/ledger-client'
import { rowsBelow, withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure } from './failure.ts'
import { sizeText } from './options.ts'
import { note, print, printFields, printJson, printLine, printTable } from './output.ts'

export interface ListFlags extends ClusterFlags {
  readonly owner?: string
  readonly state?: LedgerDescription['state']
  readonly bookie?: string
}

/** One line a ledger, as they are read: there may be millions. */
export async function listLedgers(flags: ListFlags): Promise<void> {
  await withCluster(flags, async ({ metadata }) => {
    if (flags.json !== true) await printLine(lineOf('ledger', 'state', 'last entry', 'size', 'E/Qw/Qa', 'owner'))
    for await (const { key, value } of rowsBelow(metadata, LEDGERS_PREFIX)) {
      const id = ledgerIdOfKey(key)
      if (id === undefined) continue
      const { state, owner, ensembles, quorum, end } = decodeLedger(value)
      if (flags.state !== undefined && state !== flags.state) continue
      if (flags.owner !== undefined && !owner.includes(flags.owner)) continue
      const { bookie } = flags
      if (bookie !== undefined && !ensembles.some(({ bookies }) => bookies.some(each => each === bookie))) continue
      if (flags.json === true) await printJson({ ledgerId: id, state, ...end, quorum, owner, ensembles })
      else {
        const { ensembleSize, writeQuorum, ackQuorum } = quorum
        const size = end === undefined ? '-' : sizeText(end.lengthBytes)
        const last = end === undefined ? '-' : String(end.lastEntryId)
        await printLine(lineOf(String(id), state, last, size, `${ensembleSize}/${writeQuorum}/${ackQuorum}`, owner))
      }
    }
  })
}

function lineOf(...[id, state, last, size, quorum, owner]: [string, string, string, string, string, string]): string {
  return `${id.padEnd(12)} ${state.padEnd(11)} ${last.padStart(10)} ${size.padStart(10)}  ${quorum.padEnd(7)}  ${owner}`
}

export async function describeLedger(id: number, flags: ClusterFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const ledger = await describedLedger(ledgerId(id), cluster)
    if (flags.json === true) {
      await printJson(ledger)
      return
    }
    const { ensembleSize, writeQuorum, ackQuorum } = ledger.quorum
    printFields([
      ['ledger', ledger.ledgerId],
      ['state', ledger.state],
      ['owner', ledger.owner],
      ['last entry', ledger.end?.lastEntryId],
      ['size', ledger.end && sizeText(ledger.end.lengthBytes)],
      ['quorum', `${ensembleSize} nodes, ${writeQuorum} copies, acknowledged at ${ackQuorum}`]
    ])
    const available = new Set(cluster.directory.bookies().map(({ bookieId }) => bookieId))
    printTable(
      ['from entry', 'nodes'],
      ledger.ensembles.map(({ firstEntryId, bookies }) => [
        firstEntryId,
        bookies.map(bookie => (available.has(bookie) ? bookie : `${bookie} (away)`)).join('  ')
      ])
    )
  })
}

/** @throws CommandFailure: there is none; was it deleted? */
export async function describedLedger(id: LedgerId, { ledgers, metadata }: Cluster): Promise<LedgerDescription> {
  const ledger = await ledgers.describe(id)
  if (ledger !== undefined) return ledger
  const record = await metadata.get(ledgerDeletionKey(id))
  if (record === undefined) {
    throw new CommandFailure(`the metadata knows no ledger ${id}: see strata ledgers list`)
  }
  const { deletedAtMs, owner } = decodeDeletion(record.value)
  throw new CommandFailure(`ledger ${id} of ${owner} was deleted at ${new Date(deletedAtMs).toISOString()}`)
}

/**
 * Up to where a ledger may be read: its end, or the highest LAC that its nodes know. Fences nothing.
 * @throws CommandFailure: no node that could know answers
 */
export async function confirmedEnd(ledger: LedgerDescription, { directory }: Cluster): Promise<EntryId> {
  if (ledger.end !== undefined) return ledger.end.lastEntryId
  const members = ledger.ensembles.at(-1)?.bookies ?? []
  const answers = await Promise.all(
    members.map(async bookie => {
      try {
        return await directory.node(bookie)?.readLac({ ledgerId: ledger.ledgerId, fence: false })
      } catch {
        return undefined
      }
    })
  )
  const known = answers.filter(answer => answer !== undefined)
  if (known.length === 0) {
    throw new CommandFailure(
      `no node of ledger ${ledger.ledgerId} answers (${members.join(', ')}): see strata bookies list`
    )
  }
  const confirmed = Math.max(...known.map(({ lac }) => lac), (ledger.ensembles.at(-1)?.firstEntryId ?? 0) - 1)
  return confirmed as EntryId
}

export interface ReadFlags extends ClusterFlags {
  readonly from: number
  readonly to?: number
  readonly raw?: boolean
}

const READ_BYTES_MAX = 4 * 1024 * 1024
const READ_ENTRIES_MAX = 1_000
const PREVIEW_BYTES = 60

/** Prints entries as they are stored: for a topic, messages or batches with their metadata. */
export async function readLedger(id: number, flags: ReadFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const ledger = await describedLedger(ledgerId(id), cluster)
    const end = await confirmedEnd(ledger, cluster)
    const last = entryId(Math.max(Math.min(flags.to ?? end, end), NO_ENTRY))
    const reader = await cluster.ledgers.open(ledger.ledgerId)
    let count = 0
    for (let first = flags.from; first <= last;) {
      const limits = { bytesMax: READ_BYTES_MAX, entriesMax: READ_ENTRIES_MAX }
      const entries = await reader.read({ first: entryId(first), last, ...limits })
      for (const { entryId: entry, payload } of entries)
        await printEntry({ ledgerId: id, entryId: entry, payload }, flags)
      count += entries.length
      first += entries.length
    }
    if (flags.json !== true) note(`${count} entries; the ledger is ${ledger.state} and can be read up to entry ${end}`)
  })
}

async function printEntry(
  { ledgerId: id, entryId: entry, payload }: { ledgerId: number; entryId: number; payload: Buffer },
  flags: ReadFlags
): Promise<void> {
  if (flags.raw === true) return await print(payload)
  if (flags.json === true) {
    return await printJson({
      ledgerId: id,
      entryId: entry,
      bytes: payload.length,
      dataBase64: payload.toString('base64')
    })
  }
  const preview = payload
    .subarray(0, PREVIEW_BYTES)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '.')
  return await printLine(`${String(entry).padStart(10)}  ${String(payload.length).padStart(8)} bytes  ${preview}`)
}
