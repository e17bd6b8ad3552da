import {
  bodyOf,
  done,
  isObject,
  json,
  jsonOrEmpty,
  param,
  unreadable,
  words,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredCluster } from './isolation.ts'
import { requiredNamespace } from './names.ts'

export async function getAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const group = await request.backend.namespaces.policies.get(name, 'antiAffinity')
  return group === undefined ? done(200) : words(group)
}

/** The group as it is, or as JSON: clients send both. */
export async function setAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const group = textOfBody(request)
  if (group.trim() === '') refuse(412, "Anti-affinity group can't be empty")
  await request.backend.namespaces.policies.set(name, 'antiAffinity', group)
  return done()
}

export async function removeAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.remove(name, 'antiAffinity')
  return done()
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
  return jsonOrEmpty(await request.backend.namespaces.policies.get(name, 'bookieAffinity'))
}

export async function setBookieAffinity(request: AdminRequest): Promise<AdminReply> {
  const value = bodyOf(request)
  if (value !== undefined && !isObject(value)) unreadable('The groups are not an object')
  const { name } = await requiredNamespace(request)
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
