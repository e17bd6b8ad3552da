import { entryId, ledgerId } from '@strata/base'
import type { LedgerReasons } from '@strata/managed-ledger'
import { withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { confirmedEnd, describedLedger } from './ledger-view.ts'
import { sizeText } from './options.ts'
import { printFields, printJson, printLine } from './output.ts'

const READ_BYTES_MAX = 4 * 1024 * 1024
const READ_ENTRIES_MAX = 10_000

/** Why is this ledger, and so each byte of it, still kept? Looks only. */
export async function whyLedger(id: number, flags: ClusterFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const ledger = await describedLedger(ledgerId(id), cluster)
    const { parseOwner, whyKept } = await import('@strata/managed-ledger')
    const owner = parseOwner(ledger.owner)
    const kept =
      owner === undefined
        ? undefined
        : await whyKept({
            metadata: cluster.metadata,
            owner,
            ledgerId: id,
            readEntries: each => entriesOf(each, cluster)
          })
    const copies = ledger.quorum.writeQuorum
    const bytes = ledger.end === undefined ? undefined : ledger.end.lengthBytes * copies
    if (flags.json === true) {
      const facts = { ledgerId: id, state: ledger.state, owner: ledger.owner, bytesOnNodes: bytes ?? null }
      await printJson({ ...facts, ...(kept ?? { standing: 'unknown', reasons: [reasonOfOwner(ledger.owner)] }) })
      return
    }
    printFields([
      ['ledger', id],
      ['state', ledger.state],
      ['owner', ledger.owner],
      ['on nodes', bytes === undefined ? undefined : `${sizeText(bytes)} in ${copies} copies`],
      ['standing', kept === undefined ? 'unknown' : standingText(kept)]
    ])
    for (const reason of kept?.reasons ?? [reasonOfOwner(ledger.owner)]) void printLine(`because   ${reason}`)
  })
}

function reasonOfOwner(owner: string): string {
  return `its owner "${owner}" is none that this command knows: only that owner deletes it`
}

function standingText({ role, log, standing }: LedgerReasons): string {
  return `${standing} ${role === 'data' ? 'ledger' : 'cursor ledger'} of ${log}`
}

/** Up to the last confirmed one; the writer is not disturbed. */
async function entriesOf(id: number, cluster: Cluster): Promise<Buffer[]> {
  const last = await confirmedEnd(await describedLedger(ledgerId(id), cluster), cluster)
  const reader = await cluster.ledgers.open(ledgerId(id))
  const entries: Buffer[] = []
  while (entries.length <= last) {
    const limits = { bytesMax: READ_BYTES_MAX, entriesMax: READ_ENTRIES_MAX }
    const read = await reader.read({ first: entryId(entries.length), last, ...limits })
    for (const { payload } of read) entries.push(payload)
  }
  return entries
}
