import { isRecord, numberOf, textsOf, withAdmin, type AdminFlags } from './admin.ts'
import { allInOrder } from './bounded.ts'
import { destroy, type DestroyFlags } from './destruction.ts'
import { lossOfNamespaces } from './loss.ts'
import { printFields, printJson, printLine, printTable } from './output.ts'
import { namespacePath } from './topic-path.ts'

export interface CreateFlags extends AdminFlags {
  readonly bundles?: number
  readonly cluster?: readonly string[]
}

export interface DeleteFlags extends AdminFlags, DestroyFlags {
  readonly force?: boolean
}

export interface ClearFlags extends AdminFlags, DestroyFlags {
  readonly subscription?: string
}

const READS_AT_ONCE = 16

export async function listNamespaces(tenant: string, flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const names = textsOf(await admin.call('GET', `namespaces/${encodeURIComponent(tenant)}`)).sort()
    const found = await allInOrder(names, READS_AT_ONCE, async namespace => ({
      namespace,
      ...viewOf(await admin.find(pathOf(namespace)))
    }))
    if (flags.json === true) for (const each of found) await printJson(each)
    else
      printTable(
        ['namespace', 'bundles', 'clusters'],
        found.map(each => [each.namespace, each.bundles, each.replicationClusters.join(', ') || '-'])
      )
  })
}

function viewOf(document: unknown): { bundles: number; replicationClusters: string[] } {
  const { bundles, replication_clusters } = isRecord(document) ? document : {}
  return {
    bundles: isRecord(bundles) ? numberOf(bundles.numBundles) : 0,
    replicationClusters: textsOf(replication_clusters)
  }
}

export async function describeNamespace(namespace: string, flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const document = await admin.call('GET', pathOf(namespace))
    const topics = textsOf(await admin.call('GET', `${pathOf(namespace)}/topics?mode=ALL`))
    const { bundles, replicationClusters } = viewOf(document)
    if (flags.json === true) {
      await printJson({ namespace, topics: topics.length, ...(isRecord(document) ? document : {}) })
      return
    }
    printFields([
      ['namespace', namespace],
      ['topics', topics.length],
      ['bundles', bundles],
      ['clusters', replicationClusters.join(', ') || '-'],
      ['policies', `strata policies get ${namespace}`],
      ['permissions', `strata permissions list ${namespace}`]
    ])
  })
}

export async function createNamespace(namespace: string, flags: CreateFlags): Promise<void> {
  const { bundles, cluster } = flags
  await withAdmin(flags, admin =>
    admin.call('PUT', pathOf(namespace), {
      ...(bundles === undefined ? {} : { bundles: { numBundles: bundles } }),
      ...(cluster === undefined ? {} : { replication_clusters: cluster })
    })
  )
  await say(namespace, flags, 'created')
}

export async function deleteNamespace(namespace: string, flags: DeleteFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    await admin.call('GET', pathOf(namespace))
    await destroy(flags, {
      what: `namespace ${namespace}`,
      done: 'deleted',
      record: { namespace },
      loss: () => lossOfNamespaces(admin, [namespace]),
      run: () => admin.call('DELETE', `${pathOf(namespace)}${flags.force === true ? '?force=true' : ''}`)
    })
  })
}

export async function unloadNamespace(namespace: string, flags: AdminFlags): Promise<void> {
  await withAdmin(flags, admin => admin.call('PUT', `${pathOf(namespace)}/unload`))
  await say(namespace, flags, 'unloaded')
}

export async function listBundles(namespace: string, flags: AdminFlags): Promise<void> {
  const found = await withAdmin(flags, admin => admin.call('GET', `${pathOf(namespace)}/bundles`))
  const boundaries = isRecord(found) ? textsOf(found.boundaries) : []
  for (const [at, start] of boundaries.slice(0, -1).entries()) {
    const bundle = `${start}_${boundaries[at + 1] ?? ''}`
    await (flags.json === true ? printJson({ namespace, bundle }) : printLine(bundle))
  }
}

export async function splitBundle(namespace: string, bundle: string, flags: AdminFlags): Promise<void> {
  await withAdmin(flags, admin => admin.call('PUT', `${pathOf(namespace)}/${encodeURIComponent(bundle)}/split`))
  await (flags.json === true
    ? printJson({ namespace, bundle, split: true })
    : printLine(`split ${bundle} of ${namespace}`))
}

export async function clearNamespaceBacklog(namespace: string, flags: ClearFlags): Promise<void> {
  const { subscription } = flags
  const one = subscription === undefined ? '' : `/${encodeURIComponent(subscription)}`
  await withAdmin(flags, admin =>
    destroy(flags, {
      what: `the backlog of ${subscription === undefined ? '' : `${subscription} in `}namespace ${namespace}`,
      done: 'cleared',
      record: { namespace, ...(subscription === undefined ? {} : { subscription }) },
      loss: () => lossOfNamespaces(admin, [namespace]),
      run: () => admin.call('POST', `${pathOf(namespace)}/clearBacklog${one}`)
    })
  )
}

function pathOf(namespace: string): string {
  return `namespaces/${namespacePath(namespace)}`
}

async function say(namespace: string, flags: AdminFlags, done: string): Promise<void> {
  await (flags.json === true ? printJson({ namespace, [done]: true }) : printLine(`${done} namespace ${namespace}`))
}
