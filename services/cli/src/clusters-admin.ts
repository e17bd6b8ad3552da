import { isRecord, textsOf, withAdmin, type AdminFlags } from './admin.ts'
import { allInOrder } from './bounded.ts'
import { destroy, type DestroyFlags } from './destruction.ts'
import { printFields, printJson, printLine, printTable } from './output.ts'
import { isSecretName } from './secrets.ts'

export interface ClusterInfoFlags extends AdminFlags {
  readonly serviceUrl?: string
  readonly serviceUrlTls?: string
  readonly brokerServiceUrl?: string
  readonly brokerServiceUrlTls?: string
}

const READS_AT_ONCE = 8

export async function listClusters(flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const names = textsOf(await admin.call('GET', 'clusters')).sort()
    const clusters = await allInOrder(names, READS_AT_ONCE, async cluster => ({
      cluster,
      info: await admin.find(pathOf(cluster))
    }))
    if (flags.json === true) for (const { cluster, info } of clusters) await printJson({ cluster, ...shown(info) })
    else
      printTable(
        ['cluster', 'HTTP', 'clients'],
        clusters.map(({ cluster, info }) => {
          const { serviceUrl, serviceUrlTls, brokerServiceUrl, brokerServiceUrlTls } = shown(info)
          return [cluster, textOf(serviceUrl ?? serviceUrlTls), textOf(brokerServiceUrl ?? brokerServiceUrlTls)]
        })
      )
  })
}

export async function describeCluster(cluster: string, flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const info = shown(await admin.call('GET', pathOf(cluster)))
    const failureDomains = await admin.find(`${pathOf(cluster)}/failureDomains`)
    const isolationPolicies = await admin.find(`${pathOf(cluster)}/namespaceIsolationPolicies`)
    const record = { cluster, ...info, failureDomains, isolationPolicies }
    if (flags.json === true) await printJson(record)
    else printFields(Object.entries(record).map(([name, value]) => [name, textOf(value)] as const))
  })
}

export async function createCluster(cluster: string, flags: ClusterInfoFlags): Promise<void> {
  await withAdmin(flags, admin => admin.call('PUT', pathOf(cluster), infoOf(flags)))
  await say(cluster, flags, 'created')
}

export async function updateCluster(cluster: string, flags: ClusterInfoFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const info = await admin.call('GET', pathOf(cluster))
    await admin.call('POST', pathOf(cluster), { ...(isRecord(info) ? info : {}), ...infoOf(flags) })
  })
  await say(cluster, flags, 'updated')
}

export async function deleteCluster(cluster: string, flags: AdminFlags & DestroyFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    await admin.call('GET', pathOf(cluster))
    await destroy(flags, {
      what: `cluster ${cluster}`,
      done: 'deleted',
      record: { cluster },
      loss: () => Promise.resolve({}),
      run: () => admin.call('DELETE', pathOf(cluster))
    })
  })
}

/** Without what is not set, and without credentials. */
function shown(info: unknown): Record<string, unknown> {
  const fields = Object.entries(isRecord(info) ? info : {})
  return Object.fromEntries(
    fields.filter(([name, value]) => value !== '' && value !== false && value !== null && !isSecretName(name))
  )
}

function infoOf({ serviceUrl, serviceUrlTls, brokerServiceUrl, brokerServiceUrlTls }: ClusterInfoFlags): object {
  return Object.fromEntries(
    Object.entries({ serviceUrl, serviceUrlTls, brokerServiceUrl, brokerServiceUrlTls }).filter(
      ([, value]) => value !== undefined
    )
  )
}

function pathOf(cluster: string): string {
  return `clusters/${encodeURIComponent(cluster)}`
}

function textOf(value: unknown): string {
  if (value === undefined) return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

async function say(cluster: string, flags: AdminFlags, done: string): Promise<void> {
  await (flags.json === true ? printJson({ cluster, [done]: true }) : printLine(`${done} cluster ${cluster}`))
}
