import type { TenantInfo } from '../../namespace/tenancy.ts'
import { isValidEntityName } from '../../namespace/topic-name.ts'
import {
  bodyOf,
  done,
  flag,
  json,
  objectBody,
  param,
  textsOf,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { deleteWholeNamespace } from './namespaces.ts'

export async function listTenants({ backend }: AdminRequest): Promise<AdminReply> {
  return json(await backend.namespaces.tenancy.tenants())
}

export async function getTenant(request: AdminRequest): Promise<AdminReply> {
  const info = await request.backend.namespaces.tenancy.tenant(param(request, 'tenant'))
  return json(info ?? refuse(404, 'Tenant does not exist'))
}

export async function createTenant(request: AdminRequest): Promise<AdminReply> {
  const name = param(request, 'tenant')
  if (!isValidEntityName(name)) refuse(412, 'Tenant name is not valid')
  await request.backend.namespaces.tenancy.createTenant(name, await infoOf(request))
  return done()
}

export async function updateTenant(request: AdminRequest): Promise<AdminReply> {
  const name = param(request, 'tenant')
  const { tenancy } = request.backend.namespaces
  if ((await tenancy.tenant(name)) === undefined) refuse(404, `Tenant ${name} not found`)
  await tenancy.updateTenant(name, await infoOf(request))
  return done()
}

export async function deleteTenant(request: AdminRequest): Promise<AdminReply> {
  const name = param(request, 'tenant')
  const { namespaces, settings } = request.backend
  if ((await namespaces.tenancy.tenant(name)) === undefined) refuse(404, "Tenant doesn't exist")
  if (flag(request, 'force')) {
    if (!settings.forceDeleteTenantAllowed) refuse(405, "Broker doesn't allow forced deletion of tenants")
    for (const namespace of await namespaces.tenancy.namespacesOf(name)) {
      await deleteWholeNamespace(request.backend, namespace)
    }
  }
  await namespaces.tenancy.deleteTenant(name)
  return done()
}

async function infoOf(request: AdminRequest): Promise<TenantInfo> {
  if (bodyOf(request) === undefined) refuse(412, 'TenantInfo is null')
  const body = objectBody(request)
  const allowedClusters = textsOf(body.allowedClusters)
  if (allowedClusters.length === 0) refuse(412, 'Clusters cannot be null')
  if (allowedClusters.some(cluster => cluster.trim() === '')) refuse(412, 'Clusters cannot be empty or blank')
  const known = await request.backend.namespaces.tenancy.clusters()
  if (!allowedClusters.every(cluster => known.includes(cluster))) refuse(412, 'Clusters do not exist')
  return { adminRoles: textsOf(body.adminRoles), allowedClusters }
}
