import { bookieId, type BookieId } from '@strata/base'
import { bookieOfDeclaration, DECLARATIONS_PREFIX, decodeDeclaration, type Declaration } from '@strata/bookie/server'
import { decodeLedger, LEDGERS_PREFIX, type AvailableBookie } from '@strata/ledger-client'
import { decodeSegment } from '@strata/metadata'
import { rowsBelow, withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure } from './failure.ts'
import { sizeText } from './options.ts'
import { printFields, printJson, printLine, printTable, startProgress } from './output.ts'

/** Every node that ever joined, those that are away too. */
export async function listBookies(flags: ClusterFlags): Promise<void> {
  await withCluster(flags, cluster => list(cluster, flags), { withSetAside: true })
}

async function list(cluster: Cluster, flags: ClusterFlags): Promise<void> {
  const available = new Map(cluster.directory.bookies().map(bookie => [bookie.bookieId, bookie]))
  const away = (await joinedBookies(cluster)).filter(id => !available.has(id))
  const declared = await declaredBookies(cluster)
  if (flags.json === true) {
    for (const bookie of available.values()) await printJson({ ...bookie, ...declared.get(bookie.bookieId) })
    for (const id of away) await printJson({ bookieId: id, state: 'away', ...declared.get(id) })
    return
  }
  const stateOf = (id: BookieId, state: string): string => {
    const row = declared.get(id)
    return row === undefined ? state : `${state}, ${row.declared}${row.done ? ' (done)' : ''}`
  }
  const rows = [...available.values()].map(bookie => [
    ...[
      bookie.bookieId,
      stateOf(bookie.bookieId, bookie.state),
      bookie.address,
      bookie.rack === '' ? '-' : bookie.rack
    ],
    `${sizeText(bookie.freeBytes)} of ${sizeText(bookie.totalBytes)}`
  ])
  printTable(
    ['node', 'state', 'address', 'rack', 'free'],
    [...rows, ...away.map(id => [id, stateOf(id, 'away'), '-', '-', '-'])]
  )
}

/** What operators declared; `done`: nothing depends on the node any more. */
async function declaredBookies({
  metadata
}: Cluster): Promise<Map<BookieId, { declared: Declaration['kind']; done: boolean }>> {
  const found = new Map<BookieId, { declared: Declaration['kind']; done: boolean }>()
  for await (const { key, value } of rowsBelow(metadata, DECLARATIONS_PREFIX)) {
    const id = bookieOfDeclaration(key)
    if (id === undefined) continue
    const { kind, completedAtMs } = decodeDeclaration(value)
    found.set(id, { declared: kind, done: completedAtMs !== undefined })
  }
  return found
}

export async function joinedBookies({ metadata }: Cluster): Promise<BookieId[]> {
  const found: BookieId[] = []
  for await (const { key } of rowsBelow(metadata, 'bookies/', { keysOnly: true })) {
    const [, segment = '', kind] = key.split('/')
    const id = decodeSegment(segment)
    if (kind === 'identity' && id !== undefined) found.push(bookieId(id))
  }
  return found
}

/** What the node says of itself, and what the metadata says that it holds. */
export async function describeBookie(name: string, flags: ClusterFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const id = bookieId(name)
    const bookie = cluster.directory.bookies().find(each => each.bookieId === id)
    if (bookie === undefined && !(await joinedBookies(cluster)).includes(id)) {
      throw new CommandFailure(`no node ${name} ever joined this cluster: see strata bookies list`)
    }
    const holdings = await holdingsOf(id, cluster)
    const stateOfNode = bookie === undefined ? undefined : await askNode(bookie)
    if (flags.json === true) {
      await printJson({ ...(bookie ?? { bookieId: id, state: 'away' }), ...holdings, node: stateOfNode ?? null })
      return
    }
    printFields([
      ['node', id],
      ['state', bookie?.state ?? 'away'],
      ['address', bookie?.address],
      ['operators', bookie === undefined || bookie.httpAddress === '' ? undefined : `http://${bookie.httpAddress}`],
      ['rack', bookie?.rack === '' ? undefined : bookie?.rack],
      ['host', bookie?.host],
      ['free', bookie && `${sizeText(bookie.freeBytes)} of ${sizeText(bookie.totalBytes)}`],
      ['since', bookie && new Date(bookie.startedAtMs).toISOString()],
      ['incarnation', bookie?.incarnation],
      ['version', bookie?.softwareVersion],
      ['ledgers', holdings.ledgers],
      ['of these not closed', holdings.openLedgers],
      ['where it is the only copy', holdings.onlyCopies]
    ])
    for (const reason of bookie?.reasons ?? []) void printLine(`because     ${reason}`)
    if (bookie !== undefined && stateOfNode === undefined) void printLine('its HTTP cannot be reached from here')
  })
}

/** By the metadata: which ledgers name the node. */
async function holdingsOf(
  id: BookieId,
  { metadata }: Cluster
): Promise<{ ledgers: number; openLedgers: number; onlyCopies: number }> {
  const holdings = { ledgers: 0, openLedgers: 0, onlyCopies: 0 }
  let seen = 0
  const progress = startProgress(() => `${seen} ledgers looked at`)
  for await (const { value } of rowsBelow(metadata, LEDGERS_PREFIX)) {
    seen += 1
    const { ensembles, state, quorum } = decodeLedger(value)
    if (!ensembles.some(({ bookies }) => bookies.includes(id))) continue
    holdings.ledgers += 1
    if (state !== 'closed') holdings.openLedgers += 1
    if (quorum.writeQuorum === 1) holdings.onlyCopies += 1
  }
  progress.stop()
  return holdings
}

const HTTP_MS_MAX = 5_000

async function askNode({ httpAddress }: AvailableBookie): Promise<unknown> {
  if (httpAddress === '') return undefined
  try {
    const answer = await fetch(`http://${httpAddress}/api/v1/bookie/state`, {
      signal: AbortSignal.timeout(HTTP_MS_MAX)
    })
    return answer.ok ? await answer.json() : undefined
  } catch {
    return undefined
  }
}
