import { bodyOf, done, json, jsonOrNothing, param, words, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredCluster } from './isolation.ts'
import { requiredNamespace } from './names.ts'

export async function getAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const group = await request.backend.namespaces.policies.get(name, 'antiAffinity')
  return group === undefined ? done() : words(group)
}

/** The group as it is, or as JSON: clients send both. */
export async function setAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.set(name, 'antiAffinity', textOfBody(request))
  return done()
}

export async function removeAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.remove(name, 'antiAffinity')
  return done(200)
}

/** Of one tenant, or of all. */
export async function namespacesOfGroup(request: AdminRequest): Promise<AdminReply> {
  const group = param(request, 'group')
  if (group.trim() === '') refuse(412, "anti-affinity group can't be empty.")
  await requiredCluster(request)
  const { tenancy, policies } = request.backend.namespaces
  const { tenant = '' } = request.query
  const found: string[] = []
  for (const each of tenant === '' ? await tenancy.tenants() : [tenant]) {
    for (const namespace of await tenancy.namespacesOf(each)) {
      const own = await policies.get(namespace, 'antiAffinity')
      if (own?.toLowerCase() === group.toLowerCase()) found.push(namespace)
    }
  }
  return json(found)
}

export async function getBookieAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  return jsonOrNothing(await request.backend.namespaces.policies.get(name, 'bookieAffinity'))
}

export async function setBookieAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const value = bodyOf(request)
  const { policies } = request.backend.namespaces
  if (value === undefined) await policies.remove(name, 'bookieAffinity')
  else await policies.set(name, 'bookieAffinity', value)
  return done()
}

export async function removeBookieAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.remove(name, 'bookieAffinity')
  return done()
}

function textOfBody(request: AdminRequest): string {
  const text = request.body.toString('utf8').trim()
  if (!text.startsWith('"')) return text
  const value = bodyOf(request)
  return typeof value === 'string' ? value : ''
}
