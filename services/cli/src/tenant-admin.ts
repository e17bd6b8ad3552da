import { isRecord, textsOf, withAdmin, type AdminClient, type AdminFlags } from './admin.ts'
import { allInOrder } from './bounded.ts'
import { destroy, type DestroyFlags } from './destruction.ts'
import { lossOfNamespaces } from './loss.ts'
import { printFields, printJson, printLine, printTable } from './output.ts'

export interface TenantFlags extends AdminFlags {
  readonly adminRole?: readonly string[]
  readonly cluster?: readonly string[]
}

export interface DeleteTenantFlags extends AdminFlags, DestroyFlags {
  readonly force?: boolean
}

interface TenantInfo {
  readonly adminRoles: readonly string[]
  readonly allowedClusters: readonly string[]
}

const READS_AT_ONCE = 16

export async function listTenants(flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const names = textsOf(await admin.call('GET', 'tenants')).sort()
    const tenants = await allInOrder(names, READS_AT_ONCE, async tenant => ({
      tenant,
      ...(await infoOf(admin, tenant))
    }))
    if (flags.json === true) for (const each of tenants) await printJson(each)
    else
      printTable(
        ['tenant', 'administrators', 'clusters'],
        tenants.map(each => [each.tenant, listText(each.adminRoles), listText(each.allowedClusters)])
      )
  })
}

export async function describeTenant(tenant: string, flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const info = await infoOf(admin, tenant)
    const namespaces = textsOf(await admin.call('GET', `namespaces/${encodeURIComponent(tenant)}`)).sort()
    if (flags.json === true) return await printJson({ tenant, ...info, namespaces })
    printFields([
      ['tenant', tenant],
      ['administrators', listText(info.adminRoles)],
      ['clusters', listText(info.allowedClusters)],
      ['namespaces', listText(namespaces)]
    ])
  })
}

export async function createTenant(tenant: string, flags: TenantFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const allowedClusters = flags.cluster ?? (await clustersOf(admin))
    const body: TenantInfo = { adminRoles: flags.adminRole ?? [], allowedClusters }
    await admin.call('PUT', pathOf(tenant), body)
  })
  await say(tenant, flags, 'created')
}

export async function updateTenant(tenant: string, flags: TenantFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const { adminRoles, allowedClusters } = await infoOf(admin, tenant)
    const body: TenantInfo = {
      adminRoles: flags.adminRole ?? adminRoles,
      allowedClusters: flags.cluster ?? allowedClusters
    }
    await admin.call('POST', pathOf(tenant), body)
  })
  await say(tenant, flags, 'updated')
}

export async function deleteTenant(tenant: string, flags: DeleteTenantFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    await infoOf(admin, tenant)
    await destroy(flags, {
      what: `tenant ${tenant}`,
      done: 'deleted',
      record: { tenant },
      loss: async () => {
        const namespaces = textsOf(await admin.call('GET', `namespaces/${encodeURIComponent(tenant)}`))
        return { namespaces: namespaces.length, ...(await lossOfNamespaces(admin, namespaces)) }
      },
      run: () => admin.call('DELETE', `${pathOf(tenant)}${flags.force === true ? '?force=true' : ''}`)
    })
  })
}

function pathOf(tenant: string): string {
  return `tenants/${encodeURIComponent(tenant)}`
}

async function infoOf(admin: AdminClient, tenant: string): Promise<TenantInfo> {
  const info = await admin.call('GET', pathOf(tenant))
  const { adminRoles, allowedClusters } = isRecord(info) ? info : {}
  return { adminRoles: textsOf(adminRoles).sort(), allowedClusters: textsOf(allowedClusters).sort() }
}

/** Without the word that stands for all of them, which is no cluster. */
async function clustersOf(admin: AdminClient): Promise<string[]> {
  return textsOf(await admin.call('GET', 'clusters')).filter(cluster => cluster !== 'global')
}

async function say(tenant: string, flags: AdminFlags, done: string): Promise<void> {
  await (flags.json === true ? printJson({ tenant, [done]: true }) : printLine(`${done} tenant ${tenant}`))
}

function listText(texts: readonly string[]): string {
  return texts.length === 0 ? '-' : texts.join(', ')
}
