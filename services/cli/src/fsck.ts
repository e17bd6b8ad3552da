import { ledgerId, systemClock, type LedgerId } from '@strata/base'
import { checkCluster, isHarmless, rebuildLedger, type Difference } from '@strata/bookie/server'
import { ledgerIdOfKey } from '@strata/ledger-client'
import { decodeSegment } from '@strata/metadata'
import { rowsBelow, withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure, usageFailure } from './failure.ts'
import { sizeText } from './options.ts'
import { note, printJson, printLine, startProgress } from './output.ts'
import { acceptStore, recoverClusterId } from './store-acceptance.ts'

export interface FsckFlags extends ClusterFlags {
  readonly verify?: boolean
  readonly rebuild: readonly string[]
  readonly owner?: string
  readonly acceptStore?: boolean
  readonly force?: boolean
  /** true: nodes know it. */
  readonly recoverClusterId?: string | true
}

/** Of ledgers that are rebuilt, where nobody lists them: an owner that no program knows, which keeps them. */
const REBUILT = 'rebuilt'

export async function runFsck(flags: FsckFlags): Promise<void> {
  if (flags.recoverClusterId !== undefined) {
    await recoverClusterId(flags.recoverClusterId, flags)
    return
  }
  const run = async (cluster: Cluster): Promise<void> => {
    if (flags.acceptStore === true) await acceptStore({ ...flags, ownerOf: id => ownerOf(id, flags, cluster) }, cluster)
    else if (flags.rebuild.length === 0) await check(flags, cluster)
    else for (const text of flags.rebuild) await rebuild(text, flags, cluster)
  }
  await withCluster(flags, run, { withSetAside: true })
}

async function ownerOf(id: LedgerId, { owner }: FsckFlags, cluster: Cluster): Promise<string> {
  return owner ?? (await listingLog(id, cluster)) ?? REBUILT
}

/** Ends with 1 where anything is wrong that does not pass by itself. */
async function check(flags: FsckFlags, { metadata, directory }: Cluster): Promise<void> {
  const aside = directory.bookies().filter(({ state }) => state === 'set-aside')
  if (aside.length > 0) {
    const names = aside.map(({ bookieId }) => bookieId).join(', ')
    note(`${names}: set aside, since this is not the store that they left; see strata fsck --accept-store`)
  }
  const counts = { seen: 0, wrong: 0, harmless: 0 }
  const progress = startProgress(() => `${counts.seen} ledgers looked at, ${counts.wrong} differences`)
  const onSeen = (count: number): void => {
    counts.seen += count
  }
  try {
    for await (const difference of checkCluster({ metadata, directory, verify: flags.verify ?? false, onSeen })) {
      const harmless = isHarmless(difference)
      if (harmless) counts.harmless += 1
      else counts.wrong += 1
      if (flags.json === true) await printJson({ ...difference, harmless })
      else await printLine(`ledger ${difference.ledgerId}: ${textOf(difference)}`)
    }
  } finally {
    progress.stop()
  }
  const { wrong, harmless } = counts
  if (flags.json === true) await printJson({ kind: 'summary', differences: wrong, harmless })
  else await printLine(`${wrong} differences, and ${harmless} that pass by themselves`)
  if (wrong > 0) throw new CommandFailure(`${wrong} differences between the metadata and the nodes`)
}

function textOf(difference: Difference): string {
  switch (difference.kind) {
    case 'missing':
      return `entries ${difference.first} to ${difference.last} are not on ${difference.bookieId}`
    case 'unanswered':
      return `${difference.bookieId} does not say what it has`
    case 'metadata-unreadable':
      return 'its metadata cannot be read'
    case 'metadata-missing':
      return `log ${difference.log} lists it, and it has no metadata: strata fsck --rebuild ${difference.ledgerId}`
    case 'unlisted':
      return `its owner ${difference.owner} does not list it: it is deleted after a grace period`
    case 'unknown':
      return `${difference.bookieId} has entries up to ${difference.lastEntryId}, and there is no metadata: it is kept`
    case 'deletion-due':
      return `it was deleted, and ${difference.bookieId} has not given its space back yet`
    case 'not-a-member':
      return `${difference.bookieId} has copies that the metadata does not count`
  }
}

async function rebuild(text: string, flags: FsckFlags, cluster: Cluster): Promise<void> {
  if (!/^\d{1,16}$/.test(text)) throw usageFailure(`--rebuild ${text}: name the id of a ledger`)
  const id = ledgerId(Number(text))
  const owner = await ownerOf(id, flags, cluster)
  const { metadata, directory } = cluster
  const { end, quorum, ensembles } = await rebuildLedger(id, { metadata, directory, clock: systemClock, owner })
  if (flags.json === true) await printJson({ ledgerId: id, rebuilt: true, owner, ...end, quorum, ensembles })
  else {
    const size = end === undefined ? '' : `closed at entry ${end.lastEntryId}, ${sizeText(end.lengthBytes)}, `
    await printLine(`ledger ${id} has metadata again: ${size}${quorum.writeQuorum} copies, owner ${owner}`)
  }
}

const LISTED_LEDGER = /^logs\/([^/]+)\/ledgers\/\d{16}$/

/** As a log writes itself into its ledgers; which of its owners made this one, nobody knows any more. */
async function listingLog(id: LedgerId, { metadata }: Cluster): Promise<string | undefined> {
  for await (const { key } of rowsBelow(metadata, 'logs/', { keysOnly: true })) {
    if (ledgerIdOfKey(key) !== id) continue
    const log = decodeSegment(LISTED_LEDGER.exec(key)?.[1] ?? '')
    if (log !== undefined && log !== '') return `log:${log}@0`
  }
  return undefined
}
