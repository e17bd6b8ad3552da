import { clientErrors } from './errors.ts'

const NAME = /^(?:(persistent|non-persistent):\/\/)?(.+)$/s
const PARTITION_SUFFIX = /-partition-(\d+)$/

export type TopicMode = 'persistent' | 'non-persistent' | 'all'

export interface TopicName {
  readonly domain: 'persistent' | 'non-persistent'
  readonly tenant: string
  readonly namespace: string
  readonly localName: string
  /** `persistent://tenant/namespace/name` */
  readonly full: string
  /** -1 unless the name is that of a partition. */
  readonly partition: number
}

/** Accepts `name`, `tenant/namespace/name` and the full form. @throws INVALID_TOPIC */
export function parseTopic(name: string): TopicName {
  const match = NAME.exec(name)
  if (match === null || (match[1] === undefined && name.includes('://'))) refuse(name)
  const domain = match[1] === 'non-persistent' ? 'non-persistent' : 'persistent'
  const rest = match[2] ?? ''
  const parts = rest.split('/')
  if (parts.length === 1 && match[1] === undefined) return named(domain, 'public', 'default', rest)
  const [tenant = '', namespace = '', ...local] = parts
  if (local.length === 0 || (match[1] === undefined && local.length > 1)) refuse(name)
  if (tenant === '' || namespace === '' || local.join('/') === '') refuse(name)
  return named(domain, tenant, namespace, local.join('/'))
}

export function partitionName(topic: string, partition: number): string {
  return `${topic}-partition-${partition}`
}

/** The name without `-partition-N`. */
export function withoutPartition(topic: string): string {
  return topic.replace(PARTITION_SUFFIX, '')
}

function named(domain: TopicName['domain'], tenant: string, namespace: string, localName: string): TopicName {
  const suffix = PARTITION_SUFFIX.exec(localName)
  const partition = suffix === null ? -1 : Number(suffix[1])
  return { domain, tenant, namespace, localName, full: `${domain}://${tenant}/${namespace}/${localName}`, partition }
}

function refuse(name: string): never {
  throw clientErrors.create('INVALID_TOPIC', { topic: name.slice(0, 200) })
}
