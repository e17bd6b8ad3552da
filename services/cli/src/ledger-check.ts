import { CodedError, entryId, ledgerId, type BookieId, type EntryId } from '@strata/base'
import type { BookieNode, LedgerDescription, StoredEntry } from '@strata/ledger-client'
import { ensembleOf, hasValidDigest, membersOf } from '@strata/ledger-protocol'
import { withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure } from './failure.ts'
import { confirmedEnd, describedLedger } from './ledger-view.ts'
import { printJson, printLine, startProgress } from './output.ts'

/** missing: the node says with authority that it never had it. unknown: it may have had it. */
type Problem = 'missing' | 'unknown' | 'corrupt' | 'unreachable'

interface Finding {
  readonly bookieId: BookieId
  readonly entryId: EntryId
  readonly problem: Problem
}

interface Check {
  readonly ledger: LedgerDescription
  readonly last: EntryId
  readonly counts: Record<Problem | 'good', number>
  /** Copies that are whole, by entry. */
  readonly copies: Uint16Array
  readonly onFinding: (finding: Finding) => Promise<void> | undefined
}

const READ_BYTES_MAX = 4 * 1024 * 1024
const READ_ENTRIES_MAX = 1_000
/** A ledger has at most so many entries: bounds what is kept to count copies. */
const ENTRIES_MAX = 50_000_000

/** Reads every copy of every entry from the node that must have it. Fences and changes nothing. */
export async function verifyLedger(id: number, flags: ClusterFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const ledger = await describedLedger(ledgerId(id), cluster)
    const last = await confirmedEnd(ledger, cluster)
    if (last >= ENTRIES_MAX) throw new CommandFailure(`ledger ${id} has more than ${ENTRIES_MAX} entries`)
    const check: Check = {
      ledger,
      last,
      counts: { good: 0, missing: 0, unknown: 0, corrupt: 0, unreachable: 0 },
      copies: new Uint16Array(last + 1),
      onFinding: finding => {
        if (flags.json === true) return printJson({ ledgerId: id, ...finding })
        return printLine(`entry ${finding.entryId}: ${finding.problem} on ${finding.bookieId}`)
      }
    }
    await checkNodes(check, cluster)
    await report(check, flags)
  })
}

async function checkNodes(check: Check, cluster: Cluster): Promise<void> {
  const { ledger, counts, last } = check
  const wanted = (last + 1) * ledger.quorum.writeQuorum
  const done = (): number => Object.values(counts).reduce((sum, count) => sum + count, 0)
  const progress = startProgress(() => `${done()} of ${wanted} copies read`)
  try {
    const nodes = [...new Set(ledger.ensembles.flatMap(({ bookies }) => bookies))]
    for (const bookie of nodes) await checkNode(bookie, check, cluster.directory.node(bookie))
  } finally {
    progress.stop()
  }
}

async function checkNode(bookie: BookieId, check: Check, node: BookieNode | undefined): Promise<void> {
  const { ledger, last } = check
  let next = nextExpected(bookie, 0, check)
  while (next <= last) {
    const answer = await readFrom(node, { ledgerId: ledger.ledgerId, first: entryId(next), last })
    if (answer === undefined) {
      await noteUnreachable(bookie, next, check)
      return
    }
    const run = runFrom(answer.entries, next)
    for (const entry of run) await judge(bookie, entry, check)
    if (run.length === 0) {
      const problem = answer.end === 'absent' ? 'missing' : 'unknown'
      await note(check, { bookieId: bookie, entryId: entryId(next), problem })
    }
    next = nextExpected(bookie, next + Math.max(run.length, 1), check)
  }
}

/** Of all that is left: a node that does not answer is not asked for each entry. */
async function noteUnreachable(bookieId: BookieId, first: number, check: Check): Promise<void> {
  await check.onFinding({ bookieId, entryId: entryId(first), problem: 'unreachable' })
  for (let next = first; next <= check.last; next = nextExpected(bookieId, next + 1, check))
    check.counts.unreachable += 1
}

async function readFrom(
  node: BookieNode | undefined,
  range: { ledgerId: LedgerDescription['ledgerId']; first: EntryId; last: EntryId }
): Promise<{ entries: readonly StoredEntry[]; end: 'limit' | 'absent' | 'unknown' } | undefined> {
  try {
    return await node?.read({ ...range, bytesMax: READ_BYTES_MAX, entriesMax: READ_ENTRIES_MAX, fence: false })
  } catch (error) {
    if (error instanceof CodedError) return undefined
    throw error
  }
}

/** What follows without a gap. */
function runFrom(entries: readonly StoredEntry[], first: number): readonly StoredEntry[] {
  const gap = entries.findIndex((entry, i) => entry.entryId !== first + i)
  return gap === -1 ? entries : entries.slice(0, gap)
}

/** A node may have more than it must: only what it must have counts. */
async function judge(bookieId: BookieId, entry: StoredEntry, check: Check): Promise<void> {
  const { ledger, counts, copies } = check
  if (!membersOf(entry.entryId, ledger.quorum, ledger.ensembles).includes(bookieId)) return
  if (hasValidDigest({ ledgerId: ledger.ledgerId, ...entry })) {
    counts.good += 1
    copies[entry.entryId] = (copies[entry.entryId] ?? 0) + 1
  } else await note(check, { bookieId, entryId: entry.entryId, problem: 'corrupt' })
}

async function note(check: Check, finding: Finding): Promise<void> {
  check.counts[finding.problem] += 1
  await check.onFinding(finding)
}

/** The first entry from `from` on that the node must have; past the last one: none. */
function nextExpected(bookie: BookieId, from: number, { ledger, last }: Check): number {
  const { quorum, ensembles } = ledger
  for (let entry = from; entry <= last; entry++) {
    if (membersOf(entryId(entry), quorum, ensembles).includes(bookie)) return entry
    const { bookies } = ensembleOf(entryId(entry), ensembles)
    if (bookies.includes(bookie)) continue
    // not in this ensemble at all: on to the next one
    const following = ensembles.find(({ firstEntryId }) => firstEntryId > entry)
    if (following === undefined) break
    entry = following.firstEntryId - 1
  }
  return last + 1
}

async function report({ ledger, last, counts, copies }: Check, flags: ClusterFlags): Promise<void> {
  const lost = copies.reduce((sum, count) => sum + (count === 0 ? 1 : 0), 0)
  const bad = counts.missing + counts.unknown + counts.corrupt + counts.unreachable
  const summary = { ledgerId: ledger.ledgerId, state: ledger.state, entries: last + 1, ...counts, withoutCopy: lost }
  if (flags.json === true) await printJson({ ...summary, verified: bad === 0 })
  else {
    const copiesText = `${counts.good} of ${(last + 1) * ledger.quorum.writeQuorum} copies are whole`
    const badText =
      bad === 0
        ? ''
        : `: ${counts.missing} missing, ${counts.corrupt} corrupt, ${counts.unknown} unknown, ${counts.unreachable} unreachable`
    await printLine(`ledger ${ledger.ledgerId}: ${last + 1} entries, ${copiesText}${badText}`)
  }
  if (bad === 0) return
  const line = lost === 0 ? 'every entry can still be read' : `${lost} entries have no copy that answers`
  throw new CommandFailure(`ledger ${ledger.ledgerId}: ${bad} copies are not what they must be; ${line}`)
}
