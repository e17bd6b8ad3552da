import { systemClock, type BookieId, type LedgerId } from '@strata/base'
import { acceptForAll, CLUSTER_ID_KEY, readClusterId, reconcileLedgers, type Reconciled } from '@strata/bookie/server'
import { AVAILABLE_BOOKIES_PREFIX, bookieIdOfKey, decodeAvailableBookie } from '@strata/ledger-client'
import { liftStoreHold, readStoreHold, transactUntilAnswered, type MetadataStore } from '@strata/metadata'
import { rowsBelow, withStore, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure } from './failure.ts'
import { printJson, printLine, startProgress } from './output.ts'

export interface AcceptFlags extends ClusterFlags {
  /** Though some ledgers cannot be put right. */
  readonly force?: boolean
  readonly ownerOf: (id: LedgerId) => Promise<string>
}

/**
 * Has nodes that set themselves aside take the store as it is: first the metadata is made to say what nodes have. For a store
 * that was set back to an older copy, or emptied; with every node there, or declared destroyed.
 */
export async function acceptStore(flags: AcceptFlags, { metadata, directory }: Cluster): Promise<void> {
  const hold = await readStoreHold(metadata)
  if (hold?.kind === 'filling') {
    throw new CommandFailure(`${hold.reason}, and that has not come to its end: run it again first`)
  }
  const counts = { seen: 0, rebuilt: 0, unresolved: 0, blocking: 0 }
  const progress = startProgress(() => `${counts.seen} ledgers looked at, ${counts.rebuilt} made anew`)
  const doors = {
    ...{ metadata, directory, clock: systemClock, ownerOf: flags.ownerOf },
    onSeen: (count: number) => void (counts.seen += count)
  }
  try {
    for await (const each of reconcileLedgers(doors)) {
      if (each.kind === 'rebuilt') counts.rebuilt += 1
      else counts.unresolved += 1
      if (each.kind === 'unresolved' && each.isBlocking) counts.blocking += 1
      if (flags.json === true) await printJson(each)
      else await printLine(`ledger ${each.ledgerId}: ${textOf(each)}`)
    }
  } finally {
    progress.stop()
  }
  if (counts.blocking > 0 && flags.force !== true) {
    const advice = 'bring nodes back, or declare them destroyed; --force accepts it all the same'
    throw new CommandFailure(`${counts.blocking} ledgers that are not closed cannot be put right: ${advice}`)
  }
  const accepted = await acceptForAll(doors)
  await liftStoreHold(metadata, systemClock)
  await tell(accepted, counts, flags)
}

async function tell(
  accepted: readonly BookieId[],
  { rebuilt, unresolved }: { rebuilt: number; unresolved: number },
  flags: ClusterFlags
): Promise<void> {
  if (flags.json === true) {
    await printJson({ kind: 'summary', accepted, rebuilt, unresolved })
    return
  }
  const nodes =
    accepted.length === 0 ? 'no node had set itself aside' : `${accepted.join(', ')} take the store as it is`
  await printLine(`${rebuilt} ledgers were made anew, ${unresolved} could not be; ${nodes}`)
}

function textOf(each: Reconciled): string {
  if (each.kind === 'unresolved') return each.why
  const was = each.was === 'unknown' ? 'there was no metadata' : `it was ${each.was}`
  return `closed at entry ${each.lastEntryId} (${was})`
}

/**
 * Names the cluster of a store that was emptied: as the nodes that run say, or, where none does, as the operator says, who has it
 * from what a node prints when it does not start. A store that has a name keeps it.
 */
export async function recoverClusterId(named: string | true, flags: ClusterFlags): Promise<void> {
  await withStore(flags, async ({ metadata }) => {
    const known = await readClusterId(metadata)
    const said = await saidByNodes(metadata)
    const id = known ?? (named === true ? [...said][0] : named)
    if (id === undefined) {
      const advice = 'name it with --recover-cluster-id ID, as a node prints it that does not start'
      throw new CommandFailure(`no node that runs says which cluster this is: ${advice}`)
    }
    const others = [...said].filter(each => each !== id)
    if (others.length > 0)
      throw new CommandFailure(`nodes are of cluster ${others.join(', ')}, not ${id}: nothing was changed`)
    if (known !== undefined && named !== true && named !== known) {
      throw new CommandFailure(`the store is of cluster ${known}: nothing was changed`)
    }
    if (known === undefined) await name(metadata, id)
    if (flags.json === true) await printJson({ clusterId: id, named: known === undefined })
    else
      await printLine(
        `the store is of cluster ${id}${known === undefined ? ' again' : ''}; see strata fsck --accept-store`
      )
  })
}

async function name(metadata: MetadataStore, id: string): Promise<void> {
  const change = { kind: 'put', key: CLUSTER_ID_KEY, value: Buffer.from(id) } as const
  const compares = [{ key: CLUSTER_ID_KEY, version: 0 }]
  const { committed } = await transactUntilAnswered(metadata, { compares, changes: [change] }, { clock: systemClock })
  if (!committed) throw new CommandFailure('another process named the store meanwhile: see strata fsck')
}

const HTTP_MS_MAX = 5_000

/** Of the nodes whose HTTP can be reached from here. */
async function saidByNodes(metadata: MetadataStore): Promise<Set<string>> {
  const said = new Set<string>()
  for await (const { key, value } of rowsBelow(metadata, AVAILABLE_BOOKIES_PREFIX)) {
    const id = bookieIdOfKey(key)
    const address = id === undefined ? '' : decodeAvailableBookie(id, value).httpAddress
    if (address === '') continue
    try {
      const url = `http://${address}/api/v1/bookie/state`
      const answer = await fetch(url, { signal: AbortSignal.timeout(HTTP_MS_MAX) })
      const { clusterId } = (await answer.json()) as { clusterId?: unknown }
      if (typeof clusterId === 'string') said.add(clusterId)
    } catch {
      continue // another one may say it
    }
  }
  return said
}
