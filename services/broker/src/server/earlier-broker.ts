import type { MetadataStore } from '@strata/metadata'
import { ServingRowSchema } from '../generated/broker_pb.ts'
import { decodeRow } from '../namespace/rows.ts'
import { startError } from './errors.ts'

const KEY = 'serving-broker'

/**
 * The release before this one had one broker in a cluster, which asks nobody before it opens a topic: beside it, brokers would
 * take topics back and forth. Its row is gone once it is stopped, or its lease is over.
 * @throws CodedError CLUSTER_SERVED, one line; MetadataError
 */
export async function refuseBesideEarlier(metadata: MetadataStore): Promise<void> {
  const record = await metadata.get(KEY)
  if (record === undefined) return
  const { brokerUrl, host, pid } = decodeRow(ServingRowSchema, record)
  const who = `a broker of an earlier release, ${brokerUrl} (process ${pid} on ${host}),`
  throw startError('CLUSTER_SERVED', `${who} serves this cluster and does not share it: stop it first`)
}
