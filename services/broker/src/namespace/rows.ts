import { strict as assert } from 'node:assert'
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { rowCodec, type MetadataRecord, type MetadataStore } from '@strata/metadata'
import { brokerError } from '../errors.ts'
import type { TopicName } from './topic-name.ts'

/** Rows are stored in format version 1, see proto/storage/broker.proto. */
const codec = rowCodec({
  version: 1,
  unreadable: ({ reason, cause }, key) =>
    brokerError('MetadataError', `metadata row ${key} cannot be read: ${reason}`, cause)
})

export const keys = {
  clusters: 'clusters/',
  cluster: (name: string): string => `clusters/${name}`,
  tenants: 'tenants/',
  tenant: (name: string): string => `tenants/${name}`,
  namespaces: (tenant: string): string => `namespaces/${tenant}/`,
  namespace: (namespace: string): string => `namespaces/${namespace}`,
  bundles: (namespace: string): string => `bundles/${namespace}`,
  policies: (namespace: string): string => `policies/${namespace}/`,
  policy: (namespace: string, policy: string): string => `policies/${namespace}/${policy}`,
  allTopicPolicies: 'topic-policies/',
  topicPoliciesOf: (namespace: string): string => `topic-policies/${namespace}/`,
  /** Of every topic that had this name. */
  topicPolicies: (name: TopicName): string => `topic-policies/${name.storageName}/`,
  topicPolicy: (topic: { name: TopicName; generation: string }, reach: string, policy: string): string =>
    `topic-policies/${topic.name.storageName}/${topic.generation}/${reach}/${policy}`,
  topics: (namespace: string): string => `topics/${namespace}/`,
  topic: (name: TopicName): string => `topics/${name.storageName}`,
  topicDeletions: 'topic-deletions/',
  topicDeletion: (name: TopicName): string => `topic-deletions/${name.storageName}`
}

export function encodeRow<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return codec.encode(schema, init)
}

/** @throws BrokerError MetadataError for a row that no version of this program wrote */
export function decodeRow<Desc extends DescMessage>(
  schema: Desc,
  record: { key: string; value: Uint8Array }
): MessageShape<Desc> {
  return codec.decode(schema, record.value, record.key)
}

/** Every record under a prefix, page by page; never all of them in memory. Changes made meanwhile may or may not be seen. */
export async function* scanAll(
  store: MetadataStore,
  prefix: string,
  options: ScanAllOptions = {}
): AsyncGenerator<MetadataRecord, void, undefined> {
  for await (const records of scanPages(store, prefix, options)) yield* records
}

/** The same, a page at a time: for long lists, of which each record alone would cost turns of the microtask queue. */
export async function* scanPages(
  store: MetadataStore,
  prefix: string,
  options: ScanAllOptions = {}
): AsyncGenerator<readonly MetadataRecord[], void, undefined> {
  let after = options.after
  for (;;) {
    const page = await store.scan({
      prefix,
      limit: options.pageRecords ?? 1000,
      keysOnly: options.keysOnly ?? false,
      ...(after === undefined ? {} : { after })
    })
    yield page.records
    if (page.next === undefined) return
    assert(after === undefined || page.next > after || page.records.length > 0, 'a scan goes forward')
    after = page.next
  }
}

interface ScanAllOptions {
  readonly keysOnly?: boolean
  readonly after?: string
  readonly pageRecords?: number
}
