import { open, rename, rm } from 'node:fs/promises'
import { withAdmin, type AdminFlags } from './admin.ts'
import { inOrder } from './bounded.ts'
import { SECTIONS, type Section, type Thing } from './cluster-state/document.ts'
import { ClusterReader } from './cluster-state/read.ts'
import { ClusterText } from './cluster-state/text.ts'
import { CommandFailure } from './failure.ts'
import { note, print, startProgress } from './output.ts'

export interface DumpFlags extends AdminFlags {
  readonly out?: string
  readonly only?: readonly Section[]
}

type Write = (text: string) => Promise<void> | undefined

const THINGS_AT_ONCE = 16

/** Writes all metadata of a cluster as text, as it is read: the cluster goes on meanwhile, so it is not as of one moment. */
export async function dumpCluster(flags: DumpFlags): Promise<void> {
  const counts = new Map<Section, number>()
  const progress = startProgress(() => `dumped ${countText(counts)}`)
  try {
    await withAdmin(flags, admin => {
      const reader = new ClusterReader(admin, what => note(`strata: not in the dump: ${what}`))
      return writing(flags.out, write => dump(reader, { write, counts, sections: flags.only ?? SECTIONS }))
    })
  } finally {
    progress.stop()
  }
  note(`dumped ${countText(counts)}${flags.out === undefined ? '' : ` to ${flags.out}`}`)
}

async function dump(
  reader: ClusterReader,
  { write, counts, sections }: { write: Write; counts: Map<Section, number>; sections: readonly Section[] }
): Promise<void> {
  const text = new ClusterText()
  await write(text.head())
  const put = async <Name>(section: Section, names: readonly Name[], read: Read<Name>): Promise<void> => {
    if (!sections.includes(section)) return
    await write(text.section(section, names.length === 0))
    counts.set(section, 0)
    for await (const { name, thing } of inOrder(names, THINGS_AT_ONCE, read)) {
      if (thing === undefined) continue
      await write(text.thing(name, thing))
      counts.set(section, (counts.get(section) ?? 0) + 1)
    }
  }
  await put('clusters', await reader.clusterNames(), async name => ({ name, thing: await reader.cluster(name) }))
  const groups = await reader.resourceGroupNames()
  await put('resourceGroups', groups, async name => ({ name, thing: await reader.resourceGroup(name) }))
  await put('brokers', ['all'], async name => ({ name, thing: await reader.brokers() }))
  const tenants = await reader.tenantNames()
  await put('tenants', tenants, async name => ({ name, thing: await reader.tenant(name) }))
  const namespaces = await reader.namespaceNames(tenants)
  await put('namespaces', namespaces, async name => ({ name, thing: await reader.namespace(name) }))
  if (!sections.includes('topics')) return
  const topics = []
  for await (const found of inOrder(namespaces, THINGS_AT_ONCE, name => reader.topics(name))) topics.push(...found)
  await put('topics', topics, async entry => ({ name: entry.name, thing: await reader.topic(entry) }))
}

type Read<Name> = (name: Name) => Promise<{ readonly name: string; readonly thing: Thing | undefined }>

/** A file is there under its name only when it is whole. */
async function writing(path: string | undefined, run: (write: Write) => Promise<void>): Promise<void> {
  if (path === undefined) {
    await run(print)
    return
  }
  const part = `${path}.part`
  try {
    const file = await open(part, 'w')
    try {
      await run(async text => {
        await file.write(text)
      })
    } finally {
      await file.close()
    }
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    if (code === undefined) throw error
    throw new CommandFailure(`${path} cannot be written (${code}): name another file with --out`, { cause: error })
  }
}

function countText(counts: ReadonlyMap<Section, number>): string {
  const parts = (['tenants', 'namespaces', 'topics'] as const).flatMap(section => {
    const count = counts.get(section)
    return count === undefined ? [] : [`${count} ${count === 1 ? section.slice(0, -1) : section}`]
  })
  return parts.length === 0 ? 'nothing yet' : parts.join(', ')
}
