import { unitsOf } from '../../balance/load.ts'
import { ratesOf } from '../../balance/topic-rates.ts'
import type { Subscription } from '../../contract.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import { hashOf, isInBundle } from '../../ownership/bundle-name.ts'
import type { BundleName } from '../../ownership/contract.ts'
import { partsOf } from '../../topic/topic-deletions.ts'
import type { Topic } from '../../topic/topic.ts'
import { allOf, ask, outcomes, requireDone } from '../on-parts.ts'
import { bodyOf, done, flag, json, jsonOrNothing, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { bundleOrWhole, redirect, requiredBundle } from '../scope.ts'
import { namespaceOf, requiredNamespace } from './names.ts'

/*
  Bundles, and what is done to all topics of a namespace: each bundle's holder does it for its own.
*/

const BUNDLE_PATH = '/admin/v2/namespaces'
const NOT_FOUND = 'Namespace not found'

// ---------------------------------------------------------------- moving

/** Each bundle that somebody holds goes to the broker that fits best. */
export async function unloadNamespace(request: AdminRequest): Promise<AdminReply> {
  const { name } = await requiredNamespace(request, NOT_FOUND)
  const { ownership } = request.backend.homes
  const all = await outcomes(await ownership.bundlesOf(name), async bundle => {
    const owner = ownership.ownerOf(bundle)
    if (owner === undefined) return
    if (owner.instance === ownership.self.instance) await ownership.unload(bundle)
    else requireDone(await ask(request, owner, { path: `${BUNDLE_PATH}/${bundle.toString()}/unload` }))
  })
  allOf(all)
  return done()
}

/** A bundle that nobody holds need not move. */
export async function unloadBundle(request: AdminRequest): Promise<AdminReply> {
  await requiredNamespace(request, NOT_FOUND)
  const bundle = await requiredBundle(request)
  const { ownership } = request.backend.homes
  const owner = ownership.ownerOf(bundle)
  if (owner === undefined) return done()
  if (owner.instance !== ownership.self.instance) return redirect(request, owner)
  const to = request.query.destinationBroker ?? ''
  if (to !== '' && !ownership.brokers().some(({ id }) => id === to)) {
    refuse(409, 'Not allowed unload namespace bundle to inactive destination broker')
  }
  await ownership.unload(bundle, to === '' ? {} : { to })
  return done()
}

// ---------------------------------------------------------------- dividing

const ALGORITHMS: Readonly<Record<string, (request: AdminRequest, bundle: BundleName) => Promise<number[]>>> = {
  range_equally_divide: (_request, { start, end }) => Promise.resolve([start + Math.floor((end - start) / 2)]),
  topic_count_equally_divide: evenByTopics,
  specified_positions_divide: request => Promise.resolve(positionsOf(request)),
  flow_or_qps_equally_divide: evenByTraffic
}

/** Where nothing can be divided (too few topics, no position inside), nothing is. @throws RestError 406, 412 */
export async function splitBundle(request: AdminRequest): Promise<AdminReply> {
  await requiredNamespace(request, NOT_FOUND)
  const bundle = await requiredBundle(request)
  const asked = request.query.splitAlgorithmName ?? ''
  const algorithm =
    ALGORITHMS[asked === '' ? 'range_equally_divide' : asked] ??
    refuse(
      412,
      `Unsupported namespace bundle split algorithm, supported algorithms are [${Object.keys(ALGORITHMS).join(', ')}]`
    )
  const inside = (await algorithm(request, bundle)).filter(at => at > bundle.start && at < bundle.end)
  const boundaries = [...new Set(inside)].sort((a, b) => a - b)
  if (boundaries.length === 0) return done()
  await request.backend.homes.ownership.split(bundle, boundaries, { unload: flag(request, 'unload') })
  return done()
}

/**
 * With the one that follows it, or with the one that follows it and is named: what was read of a namespace that was divided
 * anew meanwhile merges nothing else. Another broker's comes here first, so that both halves are under one owner.
 * @throws RestError 412
 */
export async function mergeBundle(request: AdminRequest): Promise<AdminReply> {
  await requiredNamespace(request, NOT_FOUND)
  const left = await requiredBundle(request)
  const { ownership } = request.backend.homes
  const all = await ownership.bundlesOf(left.namespace)
  const right = all.find(({ start }) => start === left.end) ?? refuse(412, `No bundle follows ${left.range}`)
  const wanted = (request.query.with ?? right.range).toLowerCase()
  if (wanted !== right.range) refuse(412, `${left.range} is followed by ${right.range}, not by ${wanted}`)
  const placement = await ownership.locate(right, { take: true })
  if (placement.kind === 'there') {
    const to = encodeURIComponent(ownership.self.id)
    const path = `${BUNDLE_PATH}/${right.toString()}/unload?destinationBroker=${to}`
    requireDone(await ask(request, placement.broker, { path }))
    await ownership.locate(right, { take: true }) // the other broker may know that it is here before this one does
  }
  await ownership.merge(left, right)
  return done()
}

/** Between the two topics in the middle, by their hashes. */
async function evenByTopics(request: AdminRequest, bundle: BundleName): Promise<number[]> {
  const hashes: number[] = []
  for await (const name of topicsIn(request, [bundle])) hashes.push(hashOf(name))
  hashes.sort((a, b) => a - b)
  const middle = hashes.length >>> 1
  const [before, after] = [hashes[middle - 1], hashes[middle]]
  return before === undefined || after === undefined ? [] : [between(before, after)]
}

/** Where half of the traffic of the topics in memory is on either side; topics without any do not count. */
async function evenByTraffic(request: AdminRequest, bundle: BundleName): Promise<number[]> {
  const busy: { hash: number; units: number }[] = []
  for await (const name of topicsIn(request, [bundle])) {
    const topic = request.backend.topics.find(name)
    const units = topic === undefined ? 0 : unitsOf(ratesOf(topic))
    if (units > 0) busy.push({ hash: hashOf(name), units })
  }
  busy.sort((a, b) => a.hash - b.hash)
  const all = busy.reduce((sum, { units }) => sum + units, 0)
  let before = 0
  for (const [index, { hash, units }] of busy.entries()) {
    const next = busy[index + 1]
    before += units
    if (next !== undefined && (before >= all / 2 || index === busy.length - 2)) return [between(hash, next.hash)]
  }
  return []
}

/** A boundary that has one hash before it and the other, which is higher, behind it. */
function between(before: number, after: number): number {
  return before + Math.ceil((after - before) / 2)
}

function positionsOf(request: AdminRequest): number[] {
  const body = bodyOf(request) ?? []
  const isList = Array.isArray(body) && body.every(at => typeof at === 'number' && Number.isSafeInteger(at))
  return isList ? (body as number[]) : refuse(400, 'Split boundaries are a list of hashes')
}

/** Hashes of the bundle's topics, or of those that are asked for. */
export async function topicHashPositions(request: AdminRequest): Promise<AdminReply> {
  const namespace = namespaceOf(request)
  const bundle = await bundleOrWhole(request)
  const wanted = request.query.topics?.split(',')
  const topicHashPositions: Record<string, number> = {}
  for await (const name of topicsIn(request, [bundle])) {
    const full = name.toString()
    if (wanted === undefined || wanted.includes(full)) topicHashPositions[full] = hashOf(name)
  }
  return json({ namespace, bundle: bundle.range, topicHashPositions })
}

// ---------------------------------------------------------------- topics

/** Of all subscriptions, or of the one that is named, on every topic; topics that are not in memory are loaded one by one. */
export async function clearNamespaceBacklog(request: AdminRequest): Promise<AdminReply> {
  await onNamespace(request, 'clearBacklog', clearBacklog)
  return done()
}

export async function unsubscribeNamespace(request: AdminRequest): Promise<AdminReply> {
  await onNamespace(request, 'unsubscribe', unsubscribe)
  return done()
}

export async function clearBundleBacklog(request: AdminRequest): Promise<AdminReply> {
  await requiredNamespace(request, NOT_FOUND)
  await onSubscriptions(request, [await requiredBundle(request)], clearBacklog)
  return done()
}

export async function unsubscribeBundle(request: AdminRequest): Promise<AdminReply> {
  await requiredNamespace(request, NOT_FOUND)
  await onSubscriptions(request, [await requiredBundle(request)], unsubscribe)
  return done()
}

/**
 * A bundle is there for as long as its namespace is divided so: what can go is what it serves, so somebody has to serve it.
 * @throws RestError 409, 412
 */
export async function deleteBundle(request: AdminRequest): Promise<AdminReply> {
  await requiredNamespace(request, NOT_FOUND)
  const bundle = await requiredBundle(request)
  if (!request.backend.homes.ownership.owners().has(bundle.toString())) {
    refuse(412, `Failed to find ownership for ServiceUnit:${bundle.toString()}`)
  }
  const first = await topicsIn(request, [bundle]).next()
  if (first.done !== true) refuse(409, 'Cannot delete non empty bundle')
  return done()
}

/** Topics that store nothing, of one bundle; no body for a bundle of which no topic is in use. */
export async function topicsOfBundle(request: AdminRequest): Promise<AdminReply> {
  await requiredNamespace(request, NOT_FOUND)
  const bundle = await requiredBundle(request)
  const names: string[] = []
  for await (const name of topicsIn(request, [bundle])) {
    if (!name.isPersistent) names.push(name.toString())
  }
  const isServed = [...request.backend.topics.values()].some(({ name }) => isInBundle(bundle, name))
  return jsonOrNothing(isServed ? names.sort() : undefined)
}

type OnSubscription = (topic: Topic, subscription: Subscription) => Promise<void>

async function clearBacklog(_topic: Topic, subscription: Subscription): Promise<void> {
  await subscription.skipAll()
}

async function unsubscribe(topic: Topic, { name, consumers }: Subscription): Promise<void> {
  if (consumers.length > 0) refuse(412, 'Subscription has active connected consumers')
  await topic.deleteSubscription(name)
}

/** Bundles that others hold are asked of them; records are read once for all that are held here. */
async function onNamespace(request: AdminRequest, what: string, run: OnSubscription): Promise<void> {
  const { name } = await requiredNamespace(request, NOT_FOUND)
  const { ownership } = request.backend.homes
  const { subscription } = request.params
  const rest = `${what}${subscription === undefined ? '' : `/${encodeURIComponent(subscription)}`}`
  const here: BundleName[] = []
  const there = await outcomes(await ownership.bundlesOf(name), async bundle => {
    const placement = await ownership.locate(bundle)
    if (placement.kind === 'here') here.push(bundle)
    else requireDone(await ask(request, placement.broker, { path: `${BUNDLE_PATH}/${bundle.toString()}/${rest}` }))
  })
  await onSubscriptions(request, here, run)
  allOf(there)
}

async function onSubscriptions(
  request: AdminRequest,
  bundles: readonly BundleName[],
  run: OnSubscription
): Promise<void> {
  const { topics } = request.backend
  const only = request.params.subscription
  for await (const name of topicsIn(request, bundles)) {
    if (!name.isPersistent) continue
    const topic = await topics.load(name, { mayCreate: false })
    const names = only === undefined ? [...topic.subscriptions.keys()] : [only]
    for (const wanted of names) {
      const subscription = topic.subscriptions.get(wanted)
      if (subscription !== undefined) await run(topic, subscription)
    }
  }
}

/** Topics and partitions whose hashes fall into the bundles, which are of one namespace. */
async function* topicsIn(
  request: AdminRequest,
  bundles: readonly BundleName[]
): AsyncGenerator<TopicName, void, undefined> {
  const [first] = bundles
  if (first === undefined) return
  for await (const record of request.backend.namespaces.topics.list(first.namespace)) {
    if (record.isDeleting) continue
    for (const part of partsOf(record)) {
      if (bundles.some(bundle => isInBundle(bundle, part))) yield part
    }
  }
}
