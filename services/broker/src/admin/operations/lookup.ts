import { brokerErrors, isBrokerError } from '../../errors.ts'
import { urlsOf } from '../../connection/handlers/lookup.ts'
import type { ListenerUrls } from '../../connection/listeners.ts'
import { bundleOfHash, bundlesBetween, evenBoundaries, hashOf } from '../../ownership/bundle-name.ts'
import { BUNDLES_DEFAULT } from '../../ownership/bundles.ts'
import type { TopicName } from '../../namespace/topic-name.ts'
import { flag, json, words, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { routeOf } from './brokers.ts'
import { topicOf } from './names.ts'

/** Unlike the binary lookup, this one wants the topic to exist, or to be one that use creates. */
export async function lookupTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const { namespaces } = request.backend
  if ((await namespaces.tenancy.namespace(name.namespace)) === undefined) refuse(404, 'Namespace not found')
  if ((await namespaces.topics.find(name)) === undefined) {
    const { autoTopicCreation } = await namespaces.policies.effective(name.namespace)
    if (!autoTopicCreation.allowed) refuse(404, `Topic ${name.toString()} not found`)
  }
  const urls = await route(request, name)
  const brokerUrl = urls.brokerUrl ?? ''
  const { brokerUrlTls, httpUrlTls } = urls
  return json({
    brokerId: (urls.httpUrl ?? httpUrlTls)?.replace(/^https?:\/\//, ''),
    brokerUrl,
    httpUrl: urls.httpUrl ?? '',
    ...(httpUrlTls === undefined ? {} : { httpUrlTls }),
    nativeUrl: brokerUrl,
    // old clients look for the second name, and fail where neither is
    ...(brokerUrlTls === undefined ? {} : { brokerUrlTls }),
    brokerUrlSsl: brokerUrlTls ?? ''
  })
}

export async function lookupBundle(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const info = await request.backend.namespaces.tenancy.namespace(name.namespace)
  // of a namespace that is not there: the division that it would begin with
  if (info === undefined) {
    const usual = bundlesBetween(name.namespace, evenBoundaries(BUNDLES_DEFAULT))
    return words(bundleOfHash(usual, hashOf(name)).range)
  }
  return words((await request.backend.homes.ownership.bundleOf(name)).range)
}

/** Of its owner, which is waited for while there is none. */
async function route(request: AdminRequest, name: TopicName): Promise<ListenerUrls> {
  const where = await request.backend.homes.find(name, { take: flag(request, 'authoritative') })
  const listenerName = request.query.listenerName ?? ''
  try {
    return where.kind === 'there' ? urlsOf(where.broker, listenerName) : routeOf(request, listenerName)
  } catch (error) {
    if (isBrokerError(error)) refuse(brokerErrors[error.code].http === 503 ? 500 : 412, error.message)
    throw error
  }
}
