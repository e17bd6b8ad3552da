import { isRecord, textsOf, withAdmin, type AdminClient, type AdminFlags } from './admin.ts'
import { usageFailure } from './failure.ts'
import { printJson, printLine, printTable } from './output.ts'
import { isNamespace, namespacePath, topicPath } from './topic-path.ts'

export interface ScopeFlags extends AdminFlags {
  /** Who may use a subscription of a namespace. */
  readonly subscription?: string
}

export interface GrantFlags extends ScopeFlags {
  readonly action?: readonly string[]
}

interface Scope {
  readonly kind: 'namespace' | 'topic'
  readonly name: string
  readonly path: string
}

function scopeOf(where: string): Scope {
  if (isNamespace(where)) return { kind: 'namespace', name: where, path: `namespaces/${namespacePath(where)}` }
  const { full, path } = topicPath(where)
  return { kind: 'topic', name: full, path }
}

export async function listPermissions(where: string, flags: AdminFlags): Promise<void> {
  const scope = scopeOf(where)
  await withAdmin(flags, async admin => {
    const roles = listsOf(await admin.call('GET', `${scope.path}/permissions`))
    const isOfNamespace = scope.kind === 'namespace'
    const kept = isOfNamespace ? listsOf(await admin.find(`${scope.path}/permissions/subscription`)) : []
    if (flags.json === true) {
      for (const [role, actions] of roles) await printJson({ [scope.kind]: scope.name, role, actions })
      for (const [subscription, names] of kept) await printJson({ namespace: scope.name, subscription, roles: names })
      return
    }
    printTable(
      ['role', 'may'],
      [
        ...roles.map(([role, actions]) => [role, actions.join(', ')]),
        ...kept.flatMap(([subscription, names]) => names.map(role => [role, `use subscription ${subscription}`]))
      ]
    )
  })
}

function listsOf(value: unknown): [name: string, list: string[]][] {
  const entries = isRecord(value) ? Object.entries(value) : []
  return entries
    .map(([name, list]): [string, string[]] => [name, textsOf(list).sort()])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

export async function grantPermission(
  { where, role }: { where: string; role: string },
  flags: GrantFlags
): Promise<void> {
  const scope = scopeOf(where)
  const { subscription, action = [] } = flags
  if ((subscription === undefined) === (action.length === 0)) {
    throw usageFailure('say what may be done with --action, or which --subscription of a namespace may be used')
  }
  await withAdmin(flags, async admin => {
    if (subscription === undefined) {
      await admin.call('POST', `${scope.path}/permissions/${encodeURIComponent(role)}`, action)
      return
    }
    const path = subscriptionsPath(scope)
    const roles = new Set([...(await rolesOf(admin, path, subscription)), role])
    await admin.call('POST', `${path}/${encodeURIComponent(subscription)}`, [...roles])
  })
  const may = subscription === undefined ? action.join(', ') : `use subscription ${subscription}`
  await (flags.json === true
    ? printJson({ [scope.kind]: scope.name, role, ...grantRecord(flags), granted: true })
    : printLine(`${role} may ${may} in ${scope.name}`))
}

function grantRecord({ subscription, action }: GrantFlags): object {
  return subscription === undefined ? { actions: action } : { subscription }
}

export async function revokePermission(
  { where, role }: { where: string; role: string },
  flags: ScopeFlags
): Promise<void> {
  const scope = scopeOf(where)
  const { subscription } = flags
  const of = subscription === undefined ? '' : `${encodeURIComponent(subscription)}/`
  if (subscription !== undefined) subscriptionsPath(scope)
  await withAdmin(flags, admin => admin.call('DELETE', `${scope.path}/permissions/${of}${encodeURIComponent(role)}`))
  await (flags.json === true
    ? printJson({
        [scope.kind]: scope.name,
        role,
        ...(subscription === undefined ? {} : { subscription }),
        revoked: true
      })
    : printLine(`revoked what ${role} was granted in ${scope.name}`))
}

function subscriptionsPath({ kind, path }: Scope): string {
  if (kind === 'namespace') return `${path}/permissions/subscription`
  throw usageFailure('--subscription is for namespaces: write tenant/namespace')
}

async function rolesOf(admin: AdminClient, path: string, subscription: string): Promise<string[]> {
  const all = await admin.find(path)
  return isRecord(all) ? textsOf(all[subscription]) : []
}
