import { USUAL_QUOTA, type ResourceQuota } from '../../balance/quotas.ts'
import { bodyOf, done, isObject, json, unreadable, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { bundleOrWhole } from '../scope.ts'

/*
  What operators expect of bundles, which the balancer counts as their load. Of a namespace that is not there, too: it may come.
*/

export async function getUsualQuota({ backend }: AdminRequest): Promise<AdminReply> {
  return json((await backend.balance.rows.usualQuota()) ?? USUAL_QUOTA)
}

/** No body: what every bundle is expected to carry is nothing in particular again. */
export async function setUsualQuota(request: AdminRequest): Promise<AdminReply> {
  const { rows } = request.backend.balance
  const quota = quotaIn(request)
  if (quota === undefined) await rows.removeUsualQuota()
  else await rows.setUsualQuota(quota)
  return done()
}

export async function getQuota(request: AdminRequest): Promise<AdminReply> {
  const { rows } = request.backend.balance
  const bundle = (await bundleOrWhole(request)).toString()
  return json((await rows.quotaOf(bundle)) ?? (await rows.usualQuota()) ?? USUAL_QUOTA)
}

export async function setQuota(request: AdminRequest): Promise<AdminReply> {
  const { rows } = request.backend.balance
  const quota = quotaIn(request)
  const bundle = (await bundleOrWhole(request)).toString()
  if (quota === undefined) await rows.removeQuota(bundle)
  else await rows.setQuota(bundle, quota)
  return done()
}

export async function removeQuota(request: AdminRequest): Promise<AdminReply> {
  const { rows } = request.backend.balance
  const bundle = (await bundleOrWhole(request)).toString()
  if ((await rows.quotaOf(bundle)) === undefined) refuse(404, `path /loadbalance/resource-quota/${bundle} not found.`)
  await rows.removeQuota(bundle)
  return done()
}

const NUMBERS = ['msgRateIn', 'msgRateOut', 'bandwidthIn', 'bandwidthOut', 'memory'] as const

/** What is left out is 0. @throws PlainAnswer 400; RestError 412 */
function quotaIn(request: AdminRequest): ResourceQuota | undefined {
  const body = bodyOf(request)
  if (body === undefined) return undefined
  if (!isObject(body)) return unreadable('A quota is an object')
  const { dynamic = true } = body
  if (typeof dynamic !== 'boolean') return unreadable('A quota is dynamic or not')
  const [msgRateIn = 0, msgRateOut = 0, bandwidthIn = 0, bandwidthOut = 0, memory = 0] = NUMBERS.map(name =>
    numberOf(body[name] ?? 0)
  )
  return { msgRateIn, msgRateOut, bandwidthIn, bandwidthOut, memory, dynamic }
}

function numberOf(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) return unreadable('A quota is made of numbers')
  return number >= 0 ? number : refuse(412, 'A resource quota is made of numbers of 0 or more')
}
