import { TOKEN_MINUTES_BOUNDS, type LoginCounts } from '@strata/auth'
import type { Families, Labels } from './families.ts'

/** How logins end, by Apache Pulsar's names. Reasons are codes of ours, which are few. */
export function addLoginSeries(families: Families, cluster: Labels, counts: LoginCounts): void {
  for (const { provider, method, believed, refused } of counts.providers()) {
    const labels = cluster.with('provider_name', provider).with('auth_method', method)
    families.counter('pulsar_authentication_success_total', labels, believed)
    for (const [reason, count] of refused) {
      families.counter('pulsar_authentication_failures_total', labels.with('reason', reason), count)
    }
  }
  families.counter('pulsar_expired_token_total', cluster, counts.expiredTokens)
  const { within, count, sum } = counts.tokenMinutes
  for (const [index, bound] of TOKEN_MINUTES_BOUNDS.entries()) {
    families.counter('pulsar_expiring_token_minutes_bucket', cluster.with('le', bound.toFixed(1)), within[index] ?? 0)
  }
  families.counter('pulsar_expiring_token_minutes_bucket', cluster.with('le', '+Inf'), count)
  families.counter('pulsar_expiring_token_minutes_count', cluster, count)
  families.counter('pulsar_expiring_token_minutes_sum', cluster, sum)
}
