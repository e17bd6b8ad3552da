import { boolean, number, text } from '@strata/base'

/** What is measured, and where it is told. */
export const metricsSettings = {
  exposeTopicLevelMetricsInPrometheus: boolean({
    default: true,
    dynamic: true,
    doc: 'Metrics of single topics and subscriptions on /metrics, as far as the budget goes; what is not shown singly is in one series a namespace.'
  }),
  exposeConsumerLevelMetricsInPrometheus: boolean({
    default: false,
    dynamic: true,
    doc: 'Metrics of each consumer on /metrics.'
  }),
  exposeProducerLevelMetricsInPrometheus: boolean({
    default: false,
    dynamic: true,
    doc: 'Metrics of each producer on /metrics.'
  }),
  exposeCustomTopicMetricLabelsEnabled: boolean({
    default: false,
    dynamic: true,
    doc: 'Properties of topics as labels of their metrics, as far as allowedTopicPropertyKeysForMetrics lets them.'
  }),
  allowedTopicPropertyKeysForMetrics: text({
    default: '',
    dynamic: true,
    doc: 'Keys of those properties, comma-separated, where a namespace does not say which.'
  }),
  exposePublisherStats: boolean({ default: true, dynamic: true, doc: 'Show publishers in topic stats.' }),
  strataMetricsTopicsMax: number({
    default: 500,
    dynamic: true,
    doc: 'How many topics of a broker are shown singly on /metrics, besides the pinned ones.'
  }),
  strataMetricsSeriesMax: number({
    default: 100_000,
    dynamic: true,
    doc: 'How many series those topics may take in all, with their subscriptions, producers and consumers; the smallest backlogs are left out first.'
  }),
  strataMetricsTopicsBy: text({
    default: 'throughput',
    oneOf: ['throughput', 'rate', 'backlog', 'storage'],
    dynamic: true,
    doc: 'What decides which topics are shown singly: the greatest in bytes or messages a second, backlog, or stored bytes.'
  }),
  strataMetricsPinnedTopics: text({
    default: '',
    dynamic: true,
    doc: 'Topics that are always shown singly, comma-separated: persistent://tenant/namespace/topic, or tenant/namespace/* for all of one.'
  }),
  strataStuckSubscriptionSeconds: number({
    default: 60,
    min: 1,
    unit: 's',
    dynamic: true,
    doc: 'A subscription with a backlog and a consumer that would take more is told as stuck once nothing of it has moved for as long.'
  }),
  strataNoisyTenantPercentage: number({
    default: 50,
    min: 1,
    max: 100,
    unit: '%',
    dynamic: true,
    doc: 'A tenant beside others is told as noisy from this share of the bytes or the requests of a busy broker on.'
  }),
  strataOtlpMetricsUrl: text({
    default: '',
    doc: 'Where metrics are pushed to as OTLP over HTTP in JSON, like http://collector:4318/v1/metrics; empty: nowhere.'
  }),
  strataOtlpMetricsIntervalSeconds: number({
    default: 60,
    min: 1,
    unit: 's',
    doc: 'How often they are pushed.'
  }),
  strataOtlpMetricsHeaders: text({
    default: '',
    doc: 'Headers of those requests as name=value, comma-separated; credentials of the receiver.'
  })
} as const
