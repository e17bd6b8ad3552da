import { isNamespaceError } from '../namespace/errors.ts'
import type { BrokerAddress, BundleName } from '../ownership/contract.ts'
import { bundleName, HASH_MAX, parseBundle } from '../ownership/bundle-name.ts'
import { flag, param, type AdminReply, type AdminRequest } from './operation.ts'
import { namespaceOf, topicOf } from './operations/names.ts'
import { refuse } from './rest-error.ts'

/**
 * Which broker answers. `local`: the one that is asked, which may ask others. `topic`: the one that serves the topic of the
 * path; a partitioned topic as a whole is nobody's, so the one that is asked asks those of its partitions. `bundle`: the one
 * that holds the bundle of the path. `leader`: the elected one.
 */
export type Scope = 'local' | 'topic' | 'bundle' | 'leader'

/** Who is to be asked instead; undefined: it is answered here. @throws RestError 412, 503; BrokerError MetadataError */
export async function elsewhere(request: AdminRequest, scope: Scope): Promise<BrokerAddress | undefined> {
  switch (scope) {
    case 'local':
      return undefined
    case 'topic':
      return await ownerOfTopic(request)
    case 'bundle':
      return await ownerOfBundle(request)
    case 'leader': {
      const { ownership } = request.backend.homes
      const leader = ownership.leader() ?? refuse(503, 'There is no leader at this moment: try again')
      return leader.instance === ownership.self.instance ? undefined : leader
    }
  }
}

/** To the same path at another broker, its query kept. */
export function redirect(request: AdminRequest, broker: BrokerAddress): AdminReply {
  const { httpUrl, httpUrlTls } = broker.urls
  // one who came by TLS stays with it, wherever there is such a way
  const base = (request.isTls ? httpUrlTls : undefined) ?? httpUrl ?? httpUrlTls ?? `http://${broker.id}`
  const url = new URL(request.url, base)
  url.searchParams.set('authoritative', 'true')
  return { status: 307, body: '', contentType: '', headers: { Location: url.href } }
}

async function ownerOfTopic(request: AdminRequest): Promise<BrokerAddress | undefined> {
  const name = topicOf(request)
  const { homes, namespaces } = request.backend
  const where = await unlessMissing(() => homes.find(name, { take: flag(request, 'authoritative') }))
  if (where?.kind !== 'there') return undefined
  const record = name.isPartition ? undefined : await namespaces.topics.get(name)
  return record !== undefined && record.partitions > 0 ? undefined : where.broker
}

async function ownerOfBundle(request: AdminRequest): Promise<BrokerAddress | undefined> {
  const bundle = await unlessMissing(() => requiredBundle(request))
  if (bundle === undefined) return undefined
  const { ownership } = request.backend.homes
  const placement = await ownership.locate(bundle, { take: flag(request, 'authoritative') })
  return placement.kind === 'there' ? placement.broker : undefined
}

/** The bundle of the path. @throws RestError 412: there is none of that range; NamespaceError NAMESPACE_NOT_FOUND */
export async function requiredBundle(request: AdminRequest): Promise<BundleName> {
  return bundleAmong(request, await request.backend.homes.ownership.bundlesOf(namespaceOf(request)))
}

/** The same, but that a namespace which is not there is one bundle, as Pulsar has it. @throws RestError 412 */
export async function bundleOrWhole(request: AdminRequest): Promise<BundleName> {
  const namespace = namespaceOf(request)
  const bundles = await unlessMissing(() => request.backend.homes.ownership.bundlesOf(namespace))
  return bundleAmong(request, bundles ?? [bundleName(namespace, 0, HASH_MAX)])
}

/** The one of the path, of all bundles of its namespace. @throws RestError 412: there is none of that range */
function bundleAmong(request: AdminRequest, bundles: readonly BundleName[]): BundleName {
  const range = param(request, 'bundle').toLowerCase()
  const asked = parseBundle(namespaceOf(request), range) ?? refuse(412, `Invalid bundle range: ${range}`)
  const known = bundles.find(bundle => bundle.range === asked.range)
  return known ?? refuse(412, boundaryReason(asked, bundles))
}

/** Which bound of the bundle is not one of the namespace. */
function boundaryReason(asked: BundleName, bundles: readonly BundleName[]): string {
  const from = bundles.find(({ start }) => start === asked.start)
  if (from !== undefined) {
    return `Invalid upper boundary for bundle ${asked.toString()}. Expected upper boundary of ${from.toString()}`
  }
  return `Invalid lower boundary for bundle ${asked.toString()}`
}

/** What does not exist is nobody's: its operation says so. */
async function unlessMissing<Result>(ask: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (isNamespaceError(error, 'NAMESPACE_NOT_FOUND')) return undefined
    throw error
  }
}
