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
import { namespaceOf, requiredNamespace } from './names.ts'

/** A namespace that is not there is in no group. */
export async function getAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const name = namespaceOf(request)
  const { policies, tenancy } = request.backend.namespaces
  const group = (await tenancy.namespace(name)) && (await policies.get(name, 'antiAffinity'))
  return group === undefined ? done(200) : words(group === '' ? '""' : group)
}

/** The group as it is, or as JSON: clients send both. An empty one that is sent as JSON is kept, and is none. */
export async function setAntiAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const group = textOfBody(request)
  if (request.body.toString('utf8').trim() === '') refuse(412, "Anti-affinity group can't be empty")
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

/** Nothing where it was removed; that there is no document of such things where neither it nor a group was ever set. */
export async function getBookieAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const { bookieAffinity, antiAffinity } = await request.backend.namespaces.policies.stored(name)
  if (bookieAffinity === undefined && antiAffinity === undefined) {
    refuse(404, 'Namespace local-policies does not exist')
  }
  return jsonOrEmpty(bookieAffinity ?? undefined)
}

export async function setBookieAffinity(request: AdminRequest): Promise<AdminReply> {
  const value = bodyOf(request)
  if (value !== undefined && !isObject(value)) unreadable('The groups are not an object')
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.set(name, 'bookieAffinity', value ?? null)
  return done()
}

export async function removeBookieAffinity(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.set(name, 'bookieAffinity', null)
  return done()
}

function textOfBody(request: AdminRequest): string {
  const text = request.body.toString('utf8').trim()
  if (!text.startsWith('"')) return text
  const value = bodyOf(request)
  return typeof value === 'string' ? value : ''
}
