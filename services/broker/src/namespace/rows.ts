import { strict as assert } from 'node:assert'
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape
} from '@bufbuild/protobuf'
import type { MetadataRecord, MetadataStore } from '@strata/metadata'
import { brokerError } from '../errors.ts'
import type { TopicName } from './topic-name.ts'

const FORMAT_VERSION = 1

export const keys = {
  clusters: 'clusters/',
  cluster: (name: string): string => `clusters/${name}`,
  tenants: 'tenants/',
  tenant: (name: string): string => `tenants/${name}`,
  namespaces: (tenant: string): string => `namespaces/${tenant}/`,
  namespace: (namespace: string): string => `namespaces/${namespace}`,
  policies: (namespace: string): string => `policies/${namespace}/`,
  policy: (namespace: string, policy: string): string => `policies/${namespace}/${policy}`,
  topics: (namespace: string): string => `topics/${namespace}/`,
  topic: (name: TopicName): string => `topics/${name.storageName}`,
  topicDeletions: 'topic-deletions/',
  topicDeletion: (name: TopicName): string => `topic-deletions/${name.storageName}`
}

/** One byte of format version, then the message: proto/storage/broker.proto. */
export function encodeRow<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  const body = toBinary(schema, create(schema, init))
  const value = new Uint8Array(body.length + 1)
  value[0] = FORMAT_VERSION
  value.set(body, 1)
  return value
}

/** @throws BrokerError MetadataError for a row that no version of this program wrote */
export function decodeRow<Desc extends DescMessage>(
  schema: Desc,
  record: { key: string; value: Uint8Array }
): MessageShape<Desc> {
  if (record.value[0] !== FORMAT_VERSION) {
    throw brokerError('MetadataError', `metadata row ${record.key} has an unknown format`)
  }
  try {
    return fromBinary(schema, record.value.subarray(1))
  } catch (cause) {
    throw brokerError('MetadataError', `metadata row ${record.key} cannot be read`, cause)
  }
}

/** Every record under a prefix, page by page; never all of them in memory. Changes made meanwhile may or may not be seen. */
export async function* scanAll(
  store: MetadataStore,
  prefix: string,
  options: { keysOnly?: boolean; after?: string; pageRecords?: number } = {}
): AsyncGenerator<MetadataRecord, void, undefined> {
  let after = options.after
  for (;;) {
    const page = await store.scan({
      prefix,
      limit: options.pageRecords ?? 1000,
      keysOnly: options.keysOnly ?? false,
      ...(after === undefined ? {} : { after })
    })
    yield* page.records
    if (page.next === undefined) return
    assert(after === undefined || page.next > after || page.records.length > 0, 'a scan goes forward')
    after = page.next
  }
}
