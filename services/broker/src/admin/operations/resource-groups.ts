import { FIELD_OF, GROUP_FIELDS, type ResourceGroup } from '../../resource-groups/rows.ts'
import {
  bodyOf,
  done,
  isObject,
  json,
  missingBody,
  param,
  unreadable,
  words,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredNamespace } from './names.ts'

/* Rates that namespaces share, and which namespaces share them. */

const ABSENT = 'ResourceGroup does not exist'
const UNLIMITED: ResourceGroup = Object.fromEntries(Object.values(FIELD_OF).map(field => [field, -1]))

export async function listGroups({ backend }: AdminRequest): Promise<AdminReply> {
  return json(await backend.resourceGroups.names())
}

/** A rate that nobody gave is shown as none, -1. */
export async function getGroup(request: AdminRequest): Promise<AdminReply> {
  return json({ ...UNLIMITED, ...(await requiredGroup(request, 404)) })
}

/** What the body leaves out stays as it is. */
export async function setGroup(request: AdminRequest): Promise<AdminReply> {
  await request.backend.resourceGroups.set(param(request, 'resourcegroup'), ratesOf(bodyOf(request) ?? missingBody()))
  return done()
}

export async function deleteGroup(request: AdminRequest): Promise<AdminReply> {
  await requiredGroup(request, 404)
  const isRemoved = await request.backend.resourceGroups.remove(param(request, 'resourcegroup'))
  return isRemoved ? done() : refuse(412, 'ResourceGroup is in use')
}

export async function getGroupOfNamespace(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  const group = await request.backend.namespaces.policies.get(name, 'resourceGroup')
  return group === undefined ? done(200) : words(group)
}

export async function setGroupOfNamespace(request: AdminRequest): Promise<AdminReply> {
  await requiredGroup(request, 412)
  const { name } = await requiredNamespace(request)
  const { policies } = request.backend.namespaces
  await policies.set(name, 'resourceGroup', param(request, 'resourcegroup'))
  try {
    await requiredGroup(request, 412)
  } catch (error) {
    await policies.remove(name, 'resourceGroup') // it was deleted meanwhile
    throw error
  }
  return done()
}

export async function removeGroupOfNamespace(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request)
  await request.backend.namespaces.policies.remove(name, 'resourceGroup')
  return done()
}

/** @throws RestError with the status that Pulsar gives a missing one here */
async function requiredGroup(request: AdminRequest, status: number): Promise<ResourceGroup> {
  return (await request.backend.resourceGroups.get(param(request, 'resourcegroup'))) ?? refuse(status, ABSENT)
}

/** @throws PlainAnswer 400 */
function ratesOf(body: unknown): ResourceGroup {
  if (!isObject(body)) return unreadable('The body is not an object')
  const rates: Record<string, number> = {}
  for (const field of GROUP_FIELDS) {
    const value = body[field]
    if (value === undefined || value === null) continue
    if (!Number.isSafeInteger(value)) return unreadable(`${field} must be a whole number`)
    rates[field] = value as number
  }
  return rates
}
