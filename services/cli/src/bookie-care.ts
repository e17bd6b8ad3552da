import { bookieId, systemClock, type BookieId } from '@strata/base'
import {
  AUDITOR_LEADER_KEY,
  declarationKey,
  decodeDeclaration,
  encodeDeclaration,
  type AuditStatus,
  type Declaration
} from '@strata/bookie/server'
import { decodeLedger, ledgerIdOfKey, LEDGERS_PREFIX } from '@strata/ledger-client'
import { dependenceOn } from '@strata/ledger-protocol'
import { updateRecord } from '@strata/metadata'
import { joinedBookies } from './bookie-view.ts'
import { rowsBelow, withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure } from './failure.ts'
import { interruptible, pause } from './interrupt.ts'
import { sizeText } from './options.ts'
import { note, printFields, printJson, printLine, printTable, startProgress } from './output.ts'

export interface DecommissionFlags extends ClusterFlags {
  readonly destroyed?: boolean
  readonly wait?: boolean
}

/** What the metadata says depends on a node. */
interface Dependents {
  readonly ledgers: number
  /** Of these, those that are not closed: they wait for their writer, or for its time to run out. */
  readonly notClosed: number
  /** Estimated: what must be copied. */
  readonly bytes: number
  /** The largest ensemble among them. */
  readonly ensembleSize: number
  /** Why it does not end, or not yet. */
  readonly blockers: readonly string[]
}

const LOOK_MS = 2_000

/** Declares that a node is to leave, or will never come back; with `wait`, until nothing depends on it. */
export async function decommissionBookie(name: string, flags: DecommissionFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const id = await knownBookie(name, cluster)
    const isThere = cluster.directory.bookies().some(bookie => bookie.bookieId === id)
    if (flags.destroyed === true && isThere) {
      throw new CommandFailure(`node ${name} is there: stop it first, or leave out --destroyed and let it leave`)
    }
    const kind = flags.destroyed === true ? 'destroyed' : 'leaving'
    await declare(id, kind, cluster)
    const before = await dependentsOf(id, cluster)
    for (const blocker of before.blockers) note(blocker)
    if (flags.wait !== true) {
      await tell(id, { kind, dependents: before }, flags)
      return
    }
    await interruptible(({ signal }) => follow(id, { kind, before, signal, flags, cluster }))
  })
}

/** Takes a declaration back: the node is like the others again. */
export async function recommissionBookie(name: string, flags: ClusterFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const id = await knownBookie(name, cluster)
    const stored = await cluster.metadata.get(declarationKey(id))
    await updateRecord(cluster.metadata, declarationKey(id), current => current && { delete: true })
    const was = stored === undefined ? null : decodeDeclaration(stored.value).kind
    if (flags.json === true) await printJson({ bookieId: id, declared: null, was })
    else await printLine(was === null ? `node ${id} was not declared` : `node ${id} is not ${was} any more`)
  })
}

/** What the node does that leads the care for copies. */
export async function showCare(flags: ClusterFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const stored = await cluster.metadata.get(AUDITOR_LEADER_KEY)
    if (stored === undefined) {
      throw new CommandFailure(
        'no node leads the care for copies: is a storage node running, with autoRecoveryDaemonEnabled?'
      )
    }
    const leader = Buffer.from(stored.value).toString()
    const status = await statusOf(leader, cluster)
    if (status === undefined) throw new CommandFailure(`node ${leader} leads, and its HTTP cannot be reached from here`)
    if (flags.json === true) await printJson({ leader, ...status })
    else printStatus(leader, status)
  })
}

async function knownBookie(name: string, cluster: Cluster): Promise<BookieId> {
  const id = bookieId(name)
  if (cluster.directory.bookies().some(bookie => bookie.bookieId === id)) return id
  if ((await joinedBookies(cluster)).includes(id)) return id
  throw new CommandFailure(`no node ${name} ever joined this cluster: see strata bookies list`)
}

/** The same declaration again changes nothing, so that the command may be repeated. */
async function declare(id: BookieId, kind: Declaration['kind'], { metadata }: Cluster): Promise<void> {
  await updateRecord(metadata, declarationKey(id), current => {
    if (current !== undefined && decodeDeclaration(current.value).kind === kind) return undefined
    return { put: encodeDeclaration({ kind, declaredAtMs: systemClock.wallMs(), completedAtMs: undefined }) }
  })
}

async function dependentsOf(id: BookieId, cluster: Cluster): Promise<Dependents> {
  const { metadata } = cluster
  let ledgers = 0
  let notClosed = 0
  let bytes = 0
  let ensembleSize = 0
  for await (const { key, value } of rowsBelow(metadata, LEDGERS_PREFIX)) {
    const ledgerId = ledgerIdOfKey(key)
    if (ledgerId === undefined) continue
    const record = decodeLedger(value)
    const dependences = dependenceOn(id, { ledgerId, ...record })
    if (dependences.length === 0) continue
    const { quorum, end } = record
    ledgers += 1
    ensembleSize = Math.max(ensembleSize, quorum.ensembleSize)
    if (dependences.some(({ kind }) => kind === 'wait')) notClosed += 1
    for (const { first, last } of end === undefined ? [] : dependences) {
      const part = ((last ?? first) - first + 1) / (end === undefined ? 1 : end.lastEntryId + 1)
      bytes += ((end?.lengthBytes ?? 0) * part * quorum.writeQuorum) / quorum.ensembleSize
    }
  }
  const blockers = blockersOf(id, { notClosed, ensembleSize }, cluster)
  return { ledgers, notClosed, bytes: Math.round(bytes), ensembleSize, blockers }
}

function blockersOf(
  id: BookieId,
  { notClosed, ensembleSize }: { notClosed: number; ensembleSize: number },
  { directory }: Cluster
): string[] {
  const others = directory.writable().filter(({ bookieId: each }) => each !== id).length
  const tooFew = `only ${others} other nodes take entries, and ledgers here need ${ensembleSize}: add nodes, or it never ends`
  const open = `${notClosed} ledgers are not closed: they wait for their writers, or for these to be given up`
  return [...(others < ensembleSize ? [tooFew] : []), ...(notClosed > 0 ? [open] : [])]
}

async function tell(
  id: BookieId,
  {
    kind,
    dependents,
    leftSeconds
  }: { kind: Declaration['kind']; dependents: Dependents; leftSeconds?: number | undefined },
  flags: ClusterFlags
): Promise<void> {
  const { ledgers, notClosed, bytes, blockers } = dependents
  if (flags.json === true) {
    const estimate = { bytes, secondsLeft: bytes === 0 ? 0 : (leftSeconds ?? null), blockers }
    await printJson({ bookieId: id, declared: kind, done: ledgers === 0, ledgers, notClosed, ...estimate })
    return
  }
  const open = notClosed === 0 ? '' : `, ${notClosed} of them not closed`
  const left =
    ledgers === 0 ? 'nothing depends on it' : `${ledgers} ledgers depend on it${open}; ${sizeText(bytes)} to copy`
  await printLine(`node ${id} is ${kind}: ${left}`)
}

async function follow(
  id: BookieId,
  options: {
    kind: Declaration['kind']
    before: Dependents
    signal: AbortSignal
    flags: ClusterFlags
    cluster: Cluster
  }
): Promise<void> {
  const { kind, before, signal, flags, cluster } = options
  const startedMs = systemClock.nowMs()
  let now = before
  const estimate = (): number | undefined =>
    secondsLeft(before.bytes - now.bytes, now.bytes, systemClock.nowMs() - startedMs)
  const progress = startProgress(() => {
    const seconds = estimate()
    const left = seconds === undefined ? '' : `, about ${seconds} s`
    return `${now.ledgers} ledgers still depend on ${id}; ${sizeText(now.bytes)} to copy${left}`
  }, flags.json !== true)
  try {
    while (!signal.aborted) {
      const stored = await cluster.metadata.get(declarationKey(id))
      const declaration = stored && decodeDeclaration(stored.value)
      if (declaration?.kind !== kind) throw new CommandFailure(`node ${id} was recommissioned meanwhile`)
      now = await dependentsOf(id, cluster)
      if (declaration.completedAtMs !== undefined && now.ledgers === 0) break
      if (flags.json === true) await tell(id, { kind, dependents: now, leftSeconds: estimate() }, flags)
      await pause(LOOK_MS, signal)
    }
  } finally {
    progress.stop()
  }
  await tell(id, { kind, dependents: now }, flags)
  if (now.ledgers > 0)
    throw new CommandFailure(`node ${id} is still ${kind}: the care for copies goes on without this command`)
}

function secondsLeft(doneBytes: number, leftBytes: number, elapsedMs: number): number | undefined {
  if (doneBytes <= 0 || elapsedMs <= 0) return undefined
  return Math.ceil((leftBytes / doneBytes) * (elapsedMs / 1000))
}

const HTTP_MS_MAX = 5_000

async function statusOf(leader: string, { directory }: Cluster): Promise<AuditStatus | undefined> {
  const address = directory.bookies().find(({ bookieId: id }) => id === leader)?.httpAddress ?? ''
  if (address === '') return undefined
  try {
    const url = `http://${address}/api/v1/autorecovery/status`
    const answer = await fetch(url, { signal: AbortSignal.timeout(HTTP_MS_MAX) })
    const status = (await answer.json()) as AuditStatus & { leads: boolean }
    return answer.ok && status.leads ? status : undefined
  } catch {
    return undefined
  }
}

function printStatus(leader: string, status: AuditStatus): void {
  const { waiting, pass, lastPass } = status
  const shown = pass ?? lastPass
  printFields([
    ['leads', leader],
    [
      'waits',
      waiting === null ? undefined : `${waiting.gone} of ${waiting.of} nodes went at once: ${waitsText(waiting)}`
    ],
    ['now', pass === null ? 'nothing to do' : `a pass over all ledgers (${pass.kind})`],
    ['ledgers looked at', shown?.ledgersSeen],
    ['brought back', shown === null ? undefined : `${shown.ledgersDone} ledgers, ${sizeText(shown.bytesCopied)}`],
    ['left', pass === null ? undefined : sizeText(Math.max(0, pass.bytesDue - pass.bytesCopied))],
    ['seconds left', pass?.secondsLeft ?? undefined],
    ['not whole yet', status.unfinishedCount]
  ])
  if (status.nodes.length > 0) {
    const rows = status.nodes.map(node => [node.bookieId, node.standing, node.isAvailable ? 'there' : 'away'])
    printTable(['node', 'standing', 'now'], rows)
  }
  for (const { bookieId: id, ledgers, notClosed } of status.departures) {
    void printLine(`${ledgers} ledgers depend on ${id}, ${notClosed} of them not closed`)
  }
  for (const { ledgerId, why } of status.unfinished) void printLine(`ledger ${ledgerId}: ${why}`)
}

function waitsText({ rack }: { rack: string | null }): string {
  const where = rack === null ? '' : `rack ${rack}: `
  return `${where}bring them back, or declare them destroyed with strata bookies decommission --destroyed`
}
