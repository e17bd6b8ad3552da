import type { Topic } from '../topic/topic.ts'
import type { Labels } from './families.ts'

/** Names that series of topics have already: a property must not make two of one. */
const TAKEN: ReadonlySet<string> = new Set([
  'cluster',
  'namespace',
  'topic',
  'subscription',
  'producer_name',
  'producer_id',
  'consumer_name',
  'consumer_id'
])
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/**
 * The labels, and with them those properties of the topic (of all of it, for a partition) that its namespace, or else the
 * broker, lets be labels. A key that is no name of a label, or is one of ours, is left out.
 */
export async function withPropertyLabels(
  labels: Labels,
  topic: Topic,
  propertiesOf: (topic: Topic) => Promise<Readonly<Record<string, string>>>
): Promise<Labels> {
  const keys = topic.policies.metricPropertyKeys.filter(key => LABEL_NAME.test(key) && !TAKEN.has(key))
  if (keys.length === 0) return labels
  const properties = await propertiesOf(topic)
  return keys
    .filter(key => Object.hasOwn(properties, key))
    .reduce((all, key) => all.with(key, properties[key] ?? ''), labels)
}
