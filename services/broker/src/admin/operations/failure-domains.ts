import { done, json, objectBody, param, textsOf, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredCluster } from './isolation.ts'

/** Brokers that fail together. A cluster that does not exist has none. */
export async function listFailureDomains(request: AdminRequest): Promise<AdminReply> {
  const domains = await request.backend.balance.rows.domains(param(request, 'cluster'))
  return json(Object.fromEntries([...domains].map(([name, brokers]) => [name, { brokers }])))
}

export async function getFailureDomain(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  const name = param(request, 'name')
  const brokers = (await request.backend.balance.rows.domains(cluster)).get(name)
  return json({ brokers: brokers ?? refuse(404, `Domain ${name} for cluster ${cluster} does not exist`) })
}

export async function setFailureDomain(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  const name = param(request, 'name')
  const brokers = textsOf(objectBody(request).brokers)
  const { rows } = request.backend.balance
  for (const [other, its] of await rows.domains(cluster)) {
    const both = other === name ? [] : its.filter(id => brokers.includes(id))
    if (both.length > 0) refuse(409, `[${both.join(', ')}] already exists in ${other}`)
  }
  await rows.setDomain(cluster, name, brokers)
  return done()
}

export async function deleteFailureDomain(request: AdminRequest): Promise<AdminReply> {
  const cluster = await requiredCluster(request)
  const name = param(request, 'name')
  const { rows } = request.backend.balance
  if (!(await rows.domains(cluster)).has(name)) {
    refuse(404, `Domain-name ${name} or cluster ${cluster} does not exist`)
  }
  await rows.removeDomain(cluster, name)
  return done(200)
}
