import { brokerError } from '../errors.ts'

export type TopicDomain = 'persistent' | 'non-persistent'

const PARTITION_SUFFIX = '-partition-'
/** Encoded names are parts of metadata keys, which end at 4 KB. */
const ENCODED_NAME_BYTES_MAX = 2048
const ENTITY = /^[-=:.\w]+$/
/** Is the same when it is encoded. */
const PLAIN = /^[-.\w]+$/

/**
 * A topic's full name, parsed once: `domain://tenant/namespace/local`. The local name may hold any character and keeps its
 * `-partition-N`. Immutable; two names are the same topic when `toString()` is equal.
 *
 * Also understood: `local` and `tenant/namespace/local`, both persistent. Names of four parts (with a cluster) are refused.
 */
export class TopicName {
  readonly domain: TopicDomain
  readonly tenant: string
  /** Without its tenant. */
  readonly namespacePortion: string
  readonly localName: string
  /** -1: no partition. */
  readonly partitionIndex: number
  readonly #full: string

  private constructor(domain: TopicDomain, tenant: string, namespacePortion: string, localName: string) {
    this.domain = domain
    this.tenant = tenant
    this.namespacePortion = namespacePortion
    this.localName = localName
    this.partitionIndex = partitionIndexOf(localName)
    this.#full = `${domain}://${tenant}/${namespacePortion}/${localName}`
  }

  /** @throws BrokerError InvalidTopicName */
  static parse(text: string): TopicName {
    const full = text.includes('://') ? text : completed(text)
    const at = full.indexOf('://')
    const domain = full.slice(0, at)
    if (domain !== 'persistent' && domain !== 'non-persistent') refuse(`Invalid topic domain: '${shown(domain)}'`)
    const parts = full.slice(at + 3).split('/')
    if (parts.length > 3) {
      refuse(`${shown(full)} has more than three parts; names with a cluster are not supported`)
    }
    const [tenant, namespacePortion, localName] = parts
    if (tenant === undefined || namespacePortion === undefined || localName === undefined) refuse(shown(full))
    return TopicName.of(domain, `${tenant}/${namespacePortion}`, localName)
  }

  /** @throws BrokerError InvalidTopicName */
  static of(domain: TopicDomain, namespace: string, localName: string): TopicName {
    const { tenant, portion } = splitNamespace(namespace)
    if (localName.trim() === '' || localName.includes('/')) refuse(shown(`${domain}://${namespace}/${localName}`))
    const name = new TopicName(domain, tenant, portion, localName)
    if (localName.length <= ENCODED_NAME_BYTES_MAX && PLAIN.test(localName)) return name
    if (name.encodedLocalName.length > ENCODED_NAME_BYTES_MAX) refuse(`${shown(name.toString())} is too long`)
    return name
  }

  /** `tenant/namespace` */
  get namespace(): string {
    return `${this.tenant}/${this.namespacePortion}`
  }

  get isPersistent(): boolean {
    return this.domain === 'persistent'
  }

  get isPartition(): boolean {
    return this.partitionIndex !== -1
  }

  /** The name without its partition suffix; itself if it has none. */
  get base(): TopicName {
    if (!this.isPartition) return this
    const localName = this.localName.slice(0, this.localName.lastIndexOf(PARTITION_SUFFIX))
    return new TopicName(this.domain, this.tenant, this.namespacePortion, localName)
  }

  partition(index: number): TopicName {
    return new TopicName(
      this.domain,
      this.tenant,
      this.namespacePortion,
      `${this.localName}${PARTITION_SUFFIX}${index}`
    )
  }

  /** The local name as one segment of a key or a path. */
  get encodedLocalName(): string {
    try {
      return encodeURIComponent(this.localName)
    } catch {
      return refuse('the name is not well-formed text')
    }
  }

  /** `tenant/namespace/domain/local`, the local name encoded: the name of its log, and of its row under `topics/`. */
  get storageName(): string {
    return `${this.namespace}/${this.domain}/${this.encodedLocalName}`
  }

  toString(): string {
    return this.#full
  }
}

/** Inverse of `storageName`; undefined for what it never gives. */
export function topicNameOfStorageName(storageName: string): TopicName | undefined {
  const [tenant, portion, domain, encoded, ...rest] = storageName.split('/')
  if (tenant === undefined || portion === undefined || encoded === undefined || rest.length > 0) return undefined
  if (domain !== 'persistent' && domain !== 'non-persistent') return undefined
  try {
    const localName = encoded.includes('%') ? decodeURIComponent(encoded) : encoded
    return TopicName.of(domain, `${tenant}/${portion}`, localName)
  } catch {
    return undefined
  }
}

/** May it name a tenant, a cluster or the second part of a namespace? */
export function isValidEntityName(name: string): boolean {
  return ENTITY.test(name) && name.length <= 255
}

/** @throws BrokerError InvalidTopicName for anything but `tenant/namespace` */
export function splitNamespace(namespace: string): { tenant: string; portion: string } {
  const [tenant, portion, ...rest] = namespace.split('/')
  if (tenant === undefined || portion === undefined || rest.length > 0 || tenant === '' || portion === '') {
    refuse(`Invalid namespace format. namespace: ${shown(namespace)}`)
  }
  for (const name of [tenant, portion]) {
    if (!isValidEntityName(name)) refuse(`Invalid named entity: ${shown(name)}`)
  }
  return { tenant, portion }
}

/** Names that the broker's own machinery uses are not shown to clients that list topics. */
export function isSystemTopic(name: TopicName): boolean {
  if (name.namespace === 'pulsar/system') return true
  const local = name.base.localName
  return (
    local === '__change_events' || local.startsWith('__transaction_') || local.endsWith('__transaction_pending_ack')
  )
}

function completed(text: string): string {
  const parts = text.split('/').filter(part => part !== '')
  if (parts.length === 3) return `persistent://${text}`
  if (parts.length === 1) return `persistent://public/default/${parts[0]}`
  return refuse(
    `Invalid short topic name '${shown(text)}', it should be in the format of <tenant>/<namespace>/<topic> or <topic>`
  )
}

/** `-partition-01`, `-partition--1` and numbers past 31 bits are part of the name, no index. */
function partitionIndexOf(localName: string): number {
  const at = localName.lastIndexOf(PARTITION_SUFFIX)
  if (at <= 0) return -1
  const digits = localName.slice(at + PARTITION_SUFFIX.length)
  const index = /^(0|[1-9]\d{0,9})$/.test(digits) ? Number(digits) : -1
  return index <= 0x7fffffff ? index : -1
}

/** A name may be megabytes; what is answered and logged is not. */
function shown(text: string): string {
  return text.length <= 256 ? text : `${text.slice(0, 256)}…`
}

function refuse(reason: string): never {
  throw brokerError('InvalidTopicName', `Invalid topic name: ${reason}`)
}
