import type { AdminBackend } from '../backend.ts'

/** Of who serves what, by the name of the series. Empty while the broker starts. */
export function ownershipSeries(backend: AdminBackend): readonly (readonly [string, number])[] {
  const { homes, topics } = backend
  if (!homes.isOpen) return [['strata_broker_ready', 0]]
  const { ownership } = homes
  const { released, dropped } = topics.moves
  const held = ownership.held().length
  return [
    ['strata_broker_ready', backend.troubles().length === 0 ? 1 : 0],
    ['strata_brokers', ownership.brokers().length],
    ['strata_broker_is_leader', ownership.leader()?.instance === ownership.self.instance ? 1 : 0],
    ['strata_bundles_held', held],
    ['strata_bundles_taken_total', held + released + dropped],
    ['strata_bundles_released_total', released],
    ['strata_bundles_dropped_total', dropped],
    ['strata_broker_has_lease', backend.hasLease() ? 1 : 0],
    ['strata_broker_suspended', backend.isSuspended() ? 1 : 0]
  ]
}
