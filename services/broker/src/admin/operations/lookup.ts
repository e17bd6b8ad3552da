import { brokerErrors, isBrokerError } from '../../errors.ts'
import { json, words, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { routeOf } from './brokers.ts'
import { bundleOf, topicOf } from './names.ts'

/** Unlike the binary lookup, this one wants the topic to exist, or to be one that use creates. */
export async function lookupTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const { namespaces } = request.backend
  if ((await namespaces.tenancy.namespace(name.namespace)) === undefined) refuse(404, 'Namespace not found')
  if ((await namespaces.topics.find(name)) === undefined) {
    const { autoTopicCreation } = await namespaces.policies.effective(name.namespace)
    if (!autoTopicCreation.allowed) refuse(404, `Topic ${name.toString()} not found`)
  }
  const urls = route(request)
  const brokerUrl = urls.brokerUrl ?? ''
  const brokerUrlTls = urls.brokerUrlTls ?? ''
  return json({
    brokerUrl,
    httpUrl: urls.httpUrl ?? '',
    httpUrlTls: urls.httpUrlTls ?? '',
    nativeUrl: brokerUrl,
    // old clients look for the second name, and fail where neither is
    brokerUrlTls,
    brokerUrlSsl: brokerUrlTls
  })
}

export async function lookupBundle(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const info = await request.backend.namespaces.tenancy.namespace(name.namespace)
  if (info === undefined) return refuse(404, 'Namespace not found')
  return words(bundleOf(name, info.bundleCount))
}

function route(request: AdminRequest): ReturnType<typeof routeOf> {
  try {
    return routeOf(request, request.query.listenerName ?? '')
  } catch (error) {
    if (isBrokerError(error)) refuse(brokerErrors[error.code].http === 503 ? 500 : 412, error.message)
    throw error
  }
}
