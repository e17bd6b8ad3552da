import { readFile } from 'node:fs/promises'
import { withAdmin, type AdminClient, type AdminFlags } from './admin.ts'
import { inOrder } from './bounded.ts'
import { applyChange, type ApplyOptions } from './cluster-state/apply.ts'
import { SECTIONS, type ClusterDocument, type Section, type Thing } from './cluster-state/document.ts'
import { parseCluster } from './cluster-state/parse.ts'
import { changeOf, inOrderOfWork, removalOf, type Change } from './cluster-state/plan.ts'
import { ClusterReader, type TopicEntry } from './cluster-state/read.ts'
import { changeRecord, changeText, leftText, summaryText } from './cluster-state/plan-view.ts'
import { confirm } from './destruction.ts'
import { CommandFailure, explain, usageFailure } from './failure.ts'
import { lossOfTopics } from './loss.ts'
import { note, printJson, printLine, startProgress } from './output.ts'

export interface ApplyFlags extends AdminFlags, ApplyOptions {
  readonly prune?: boolean
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly only?: readonly Section[]
}

const THINGS_AT_ONCE = 16
const FAILURES_SHOWN_MAX = 50

interface Plan {
  readonly changes: readonly Change[]
  /** Things, and facts of things, that are there and not in the file. */
  readonly left: number
}

/** Makes a cluster what a file says: shows what differs, then makes, changes and, with `--prune`, deletes. */
export async function applyCluster(path: string, flags: ApplyFlags): Promise<void> {
  const document = parseCluster(await contentOf(path), path)
  await withAdmin(flags, async admin => {
    const reader = new ClusterReader(admin, () => undefined)
    const { changes, left } = await planOf(reader, document, flags)
    for (const change of changes) {
      await (flags.json === true ? printJson(changeRecord(change)) : printLine(changeText(change)))
    }
    const summary = `${summaryText(changes)}${flags.prune === true ? '' : leftText(left)}`
    if (flags.dryRun === true || changes.length === 0) {
      note(`${changes.length === 0 ? '' : 'dry run: '}${summary}`)
      return
    }
    note(summary)
    await confirmLoss(admin, { changes, cluster: await reader.clusterName(), flags })
    await apply(admin, changes, flags)
  })
}

async function contentOf(path: string): Promise<string> {
  try {
    return await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'no reason given'
    throw usageFailure(`${path} cannot be read (${reason}): write one with: strata cluster dump --out ${path}`)
  }
}

async function planOf(reader: ClusterReader, document: ClusterDocument, flags: ApplyFlags): Promise<Plan> {
  let compared = 0
  const progress = startProgress(() => `compared ${compared}`)
  const changes: Change[] = []
  let left = 0
  try {
    for (const section of SECTIONS) {
      const things = document[section]
      if (things === undefined || flags.only?.includes(section) === false) continue
      const there = await thereAre(reader, section)
      const names = [...things.keys()].sort()
      const compare = async (name: string): Promise<void> => {
        const have = await there.get(name)?.()
        const sides = { want: things.get(name) ?? {}, have }
        const whole = changeOf({ section, name }, sides, { prune: true })
        const change = flags.prune === true ? whole : changeOf({ section, name }, sides, { prune: false })
        left += (whole?.fields.length ?? 0) - (change?.fields.length ?? 0)
        if (change !== undefined) changes.push(change)
        compared++
      }
      for await (const _ of inOrder(names, THINGS_AT_ONCE, compare));
      const own = section === 'clusters' ? await reader.clusterName() : undefined
      const others = [...there.keys()].filter(name => !things.has(name) && name !== own)
      if (flags.prune === true) changes.push(...others.sort().map(name => removalOf(section, name)))
      else left += others.length
    }
  } finally {
    progress.stop()
  }
  return { changes: inOrderOfWork(changes.sort((a, b) => (a.name < b.name ? -1 : 1))), left }
}

/** What there is in a section, and how each is read. */
async function thereAre(
  reader: ClusterReader,
  section: Section
): Promise<ReadonlyMap<string, () => Promise<Thing | undefined>>> {
  const by = (names: readonly string[], read: (name: string) => Promise<Thing | undefined>) =>
    new Map(names.map(name => [name, () => read(name)] as const))
  switch (section) {
    case 'clusters':
      return by(await reader.clusterNames(), name => reader.cluster(name))
    case 'resourceGroups':
      return by(await reader.resourceGroupNames(), name => reader.resourceGroup(name))
    case 'brokers':
      return by(['all'], () => reader.brokers())
    case 'tenants':
      return by(await reader.tenantNames(), name => reader.tenant(name))
    case 'namespaces':
      return by(await reader.namespaceNames(await reader.tenantNames()), name => reader.namespace(name))
    case 'topics': {
      const entries = new Map<string, TopicEntry>()
      const namespaces = await reader.namespaceNames(await reader.tenantNames())
      for await (const found of inOrder(namespaces, THINGS_AT_ONCE, name => reader.topics(name))) {
        for (const entry of found) entries.set(entry.name, entry)
      }
      return new Map([...entries].map(([name, entry]) => [name, () => reader.topic(entry)] as const))
    }
  }
}

/** Asks where anything goes. */
async function confirmLoss(
  admin: AdminClient,
  { changes, cluster, flags }: { changes: readonly Change[]; cluster: string; flags: ApplyFlags }
): Promise<void> {
  const going = changes.filter(({ sign, fields }) => sign === '-' || fields.some(field => field.sign === '-'))
  if (going.length === 0) return
  const topics = changes.filter(({ sign, section }) => sign === '-' && section === 'topics').map(({ name }) => name)
  await confirm(flags, {
    what: `what is not in the file (${going.length} ${going.length === 1 ? 'thing' : 'things'}) is about to go from cluster ${cluster}`,
    typed: cluster,
    loss: async () => ({ topics: topics.length, ...(await lossOfTopics(admin, topics)) })
  })
}

async function apply(admin: AdminClient, changes: readonly Change[], flags: ApplyFlags): Promise<void> {
  let done = 0
  const failures: string[] = []
  const progress = startProgress(() => `applied ${done} of ${changes.length}`)
  const run = async (change: Change): Promise<void> => {
    try {
      await applyChange(admin, change, flags)
      done++
    } catch (error) {
      failures.push(`${change.name}: ${explain(error)}`)
    }
  }
  try {
    // one kind after another, since each needs those before it
    for (let from = 0; from < changes.length;) {
      const first = changes[from]
      const isOther = (change: Change): boolean =>
        change.section !== first?.section || (change.sign === '-') !== (first.sign === '-')
      const at = changes.findIndex((change, index) => index > from && isOther(change))
      const to = at < 0 ? changes.length : at
      for await (const _ of inOrder(changes.slice(from, to), THINGS_AT_ONCE, run));
      from = to
    }
  } finally {
    progress.stop()
  }
  if (failures.length === 0) {
    note(`applied ${done} ${done === 1 ? 'change' : 'changes'}`)
    return
  }
  const more = failures.length - FAILURES_SHOWN_MAX
  throw new CommandFailure(
    [
      ...failures.slice(0, FAILURES_SHOWN_MAX),
      ...(more > 0 ? [`and ${more} more`] : []),
      `${done} of ${changes.length} changes were applied: mend the file or the cluster, and run it again`
    ].join('\n')
  )
}
