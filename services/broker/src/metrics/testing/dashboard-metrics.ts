/*
  Names that dashboards ask a broker of Apache Pulsar for, and that a broker here has to have. Read from the queries of
  `messaging`, `topic`, `broker`, `overview` and `loadbalance` of streamnative/apache-pulsar-grafana-dashboard (Apache-2.0) and of
  `namespace` and `topic` of grafana/dashboards in apache/pulsar; those of single subscriptions from TopicStats.java of the same.
*/

const LATENCY_BUCKETS = ['le_0_5', 'le_1', 'le_5', 'le_10', 'le_20', 'le_50', 'le_100', 'le_200', 'le_1000', 'overflow']
const SIZE_BUCKETS = [
  ...['le_128', 'le_512', 'le_1_kb', 'le_2_kb', 'le_4_kb', 'le_16_kb', 'le_100_kb', 'le_1_mb'],
  'le_overflow'
]

/** With `cluster` and `namespace`, and with `topic` where topics are shown. */
export const TOPIC_METRICS: readonly string[] = [
  'pulsar_subscriptions_count',
  'pulsar_producers_count',
  'pulsar_consumers_count',
  'pulsar_rate_in',
  'pulsar_rate_out',
  'pulsar_throughput_in',
  'pulsar_throughput_out',
  'pulsar_consumer_msg_ack_rate',
  'pulsar_msg_backlog',
  'pulsar_storage_size',
  'pulsar_storage_logical_size',
  'pulsar_storage_backlog_size',
  'pulsar_storage_backlog_age_seconds',
  'pulsar_storage_write_rate',
  'pulsar_in_messages_total',
  'pulsar_in_bytes_total',
  ...['count', 'sum', ...LATENCY_BUCKETS].map(name => `pulsar_storage_write_latency_${name}`),
  ...['count', 'sum', ...SIZE_BUCKETS].map(name => `pulsar_entry_size_${name}`)
]

/** With `cluster`, `namespace`, `topic` and `subscription`. */
export const SUBSCRIPTION_METRICS: readonly string[] = [
  'pulsar_subscription_back_log',
  'pulsar_subscription_back_log_no_delayed',
  'pulsar_subscription_delayed',
  'pulsar_subscription_in_replay',
  'pulsar_subscription_msg_rate_redeliver',
  'pulsar_subscription_unacked_messages',
  'pulsar_subscription_blocked_on_unacked_messages',
  'pulsar_subscription_msg_rate_out',
  'pulsar_subscription_msg_ack_rate',
  'pulsar_subscription_msg_throughput_out',
  'pulsar_out_bytes_total',
  'pulsar_out_messages_total',
  'pulsar_subscription_last_expire_timestamp',
  'pulsar_subscription_last_acked_timestamp',
  'pulsar_subscription_last_consumed_flow_timestamp',
  'pulsar_subscription_last_consumed_timestamp',
  'pulsar_subscription_last_mark_delete_advanced_timestamp',
  'pulsar_subscription_msg_rate_expired',
  'pulsar_subscription_total_msg_expired',
  'pulsar_subscription_msg_drop_rate',
  'pulsar_subscription_consumers_count',
  'pulsar_subscription_filter_processed_msg_count',
  'pulsar_subscription_filter_accepted_msg_count',
  'pulsar_subscription_filter_rejected_msg_count',
  'pulsar_subscription_filter_rescheduled_msg_count'
]

/** With `cluster` and `namespace`, whether topics are shown or not. */
export const LOG_METRICS: readonly string[] = [
  'pulsar_ml_AddEntryMessagesRate',
  'pulsar_ml_AddEntryBytesRate',
  'pulsar_ml_NumberOfMessagesInBacklog',
  'pulsar_ml_StoredMessagesSize'
]

/** With `cluster`, `broker` and `metric`, where there are several brokers. Bandwidth is told where an operator says what there is. */
export const LOAD_METRICS: readonly string[] = [
  'pulsar_lb_cpu_usage',
  'pulsar_lb_memory_usage',
  'pulsar_lb_directMemory_usage'
]

/** With `cluster` and `metric`, where there are several brokers. */
export const BALANCE_METRICS: readonly string[] = [
  'pulsar_lb_unload_broker_total',
  'pulsar_lb_unload_bundle_total',
  'pulsar_lb_bundles_split_total'
]

/** With `cluster`, `broker`, `bundle` and `metric`, where there are several brokers. */
export const BUNDLE_METRICS: readonly string[] = [
  'pulsar_bundle_msg_rate_in',
  'pulsar_bundle_msg_rate_out',
  'pulsar_bundle_msg_throughput_in',
  'pulsar_bundle_msg_throughput_out',
  'pulsar_bundle_topics_count',
  'pulsar_bundle_producer_count',
  'pulsar_bundle_consumer_count'
]

/** With `cluster`. */
export const BROKER_METRICS: readonly string[] = [
  'pulsar_broker_topics_count',
  'pulsar_broker_subscriptions_count',
  'pulsar_broker_producers_count',
  'pulsar_broker_consumers_count',
  'pulsar_broker_rate_in',
  'pulsar_broker_rate_out',
  'pulsar_broker_throughput_in',
  'pulsar_broker_throughput_out',
  'pulsar_broker_storage_size',
  'pulsar_broker_storage_logical_size',
  'pulsar_broker_storage_write_rate',
  'pulsar_broker_msg_backlog',
  'pulsar_broker_publish_latency',
  'pulsar_broker_in_bytes_total',
  'pulsar_broker_out_bytes_total',
  'pulsar_broker_lookup',
  'pulsar_broker_lookup_pending_requests',
  'pulsar_ml_count',
  'pulsar_ml_cache_used_size',
  'pulsar_ml_cache_entries',
  'pulsar_ml_cache_inserted_entries_total',
  'pulsar_ml_cache_evicted_entries_total',
  'pulsar_ml_cache_evictions',
  'pulsar_ml_cache_hits_rate',
  'pulsar_ml_cache_hits_throughput',
  'pulsar_ml_cache_misses_rate',
  'pulsar_ml_cache_misses_throughput',
  'pulsar_active_connections',
  'pulsar_connection_created_total_count',
  'pulsar_connection_closed_total_count',
  'pulsar_version_info',
  'jvm_memory_bytes_used',
  'jvm_memory_bytes_max',
  'jvm_memory_direct_bytes_used',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes'
]
