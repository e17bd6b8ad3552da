import type { PolicySpecs, Problem } from './policy-spec.ts'

/** What is told of topics on `/metrics`. */
export interface MetricsPolicies {
  /** Properties of topics that are labels of their series (PIP-447). */
  allowedTopicPropertyKeysForMetrics: readonly string[]
}

export const metricsPolicies: PolicySpecs<MetricsPolicies> = {
  allowedTopicPropertyKeysForMetrics: {
    field: 'allowed_topic_property_keys_for_metrics',
    onNamespace: { path: 'allowedTopicPropertyKeysForMetrics' },
    parse: parseKeys,
    ofBroker: settings =>
      settings.allowedTopicPropertyKeysForMetrics
        .split(',')
        .map(key => key.trim())
        .filter(key => key !== '')
  }
}

function parseKeys(value: unknown): readonly string[] | Problem {
  const isKeys = Array.isArray(value) && value.every(key => typeof key === 'string')
  return isKeys ? [...new Set(value)] : { problem: 'Keys of properties are texts' }
}
