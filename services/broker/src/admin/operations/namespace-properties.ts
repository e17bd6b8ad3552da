import { done, json, param, propertiesBody, words, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredNamespace } from './names.ts'

/** Properties of namespaces: each change sees those before it, and none is lost. */
export async function getProperties(request: AdminRequest): Promise<AdminReply> {
  return json(await propertiesOf(request))
}

/** Adds to those that are there. */
export async function setProperties(request: AdminRequest): Promise<AdminReply> {
  const given = propertiesBody(request)
  await change(request, now => ({ ...now, ...given }))
  return done()
}

export async function clearProperties(request: AdminRequest): Promise<AdminReply> {
  await change(request, () => undefined)
  return done()
}

export async function getProperty(request: AdminRequest): Promise<AdminReply> {
  return shown(await propertiesOf(request), param(request, 'key'))
}

export async function setProperty(request: AdminRequest): Promise<AdminReply> {
  const key = param(request, 'key')
  const value = param(request, 'value')
  await change(request, now => ({ ...now, [key]: value }))
  return done()
}

/** Answers what it was. */
export async function removeProperty(request: AdminRequest): Promise<AdminReply> {
  const key = param(request, 'key')
  let before: Properties = {}
  await change(request, now => {
    before = now
    return Object.fromEntries(Object.entries(now).filter(([name]) => name !== key))
  })
  return shown(before, key)
}

type Properties = Readonly<Record<string, string>>

function shown(properties: Properties, key: string): AdminReply {
  return Object.hasOwn(properties, key) ? words(properties[key] ?? '') : done(200)
}

async function propertiesOf(request: AdminRequest): Promise<Properties> {
  const name = await requiredName(request)
  return (await request.backend.namespaces.policies.get(name, 'properties')) ?? {}
}

async function change(request: AdminRequest, to: (now: Properties) => Properties | undefined): Promise<void> {
  const name = await requiredName(request)
  await request.backend.namespaces.policies.update(name, 'properties', now => to(now ?? {}))
}

/** @throws RestError 404, of the tenant first */
async function requiredName(request: AdminRequest): Promise<string> {
  const tenant = await request.backend.namespaces.tenancy.tenant(param(request, 'tenant'))
  if (tenant === undefined) refuse(404, 'Tenant does not exist')
  return (await requiredNamespace(request)).name
}
