import type { BrokerSettings } from '../config/settings.ts'
import type { BrokerMeters } from './broker-meters.ts'
import type { Families, Labels } from './families.ts'

/** Of single subscriptions; their number is told whole. */
const SHOWN_MAX = 100

/** Subscriptions that do not get on: how many by namespace, and which, whatever the budget of topics is. */
export function addStuckSeries(options: {
  readonly families: Families
  readonly cluster: Labels
  readonly meters: BrokerMeters
  readonly settings: BrokerSettings
}): void {
  const { families, cluster, meters, settings } = options
  const counts = new Map<string, number>()
  const stuck = [...meters.stuck.stuckFor(settings.strataStuckSubscriptionSeconds * 1000)]
  for (const { topic } of stuck) counts.set(topic.name.namespace, (counts.get(topic.name.namespace) ?? 0) + 1)
  families.gauge('strata_broker_stuck_subscriptions', cluster, stuck.length)
  for (const [namespace, count] of counts) {
    families.gauge('strata_namespace_stuck_subscriptions', cluster.with('namespace', namespace), count)
  }
  stuck.sort((a, b) => a.sinceMs - b.sinceMs)
  for (const { topic, subscription, reason } of stuck.slice(0, SHOWN_MAX)) {
    const labels = cluster
      .with('namespace', topic.name.namespace)
      .with('topic', topic.fullName)
      .with('subscription', subscription.name)
      .with('reason', reason)
    families.gauge('strata_subscription_stuck', labels, 1)
  }
}
