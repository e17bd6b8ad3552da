import type { BrokerSettings } from '../config/settings.ts'
import type { Place } from '../ownership/placement.ts'
import type { ClusterRules } from './cluster-rules.ts'
import type { LoadDigest } from './load-digest.ts'
import { Placement, type PlacementBroker } from './placement.ts'
import { placementLimitsOf } from './settings.ts'

/** Where bundles that nobody has go, for whoever assigns them: every broker, at any time, by what it knows at this moment. */
export function createLoadPlacement(options: {
  settings: BrokerSettings
  rules: Pick<ClusterRules, 'rules'>
  digest: Pick<LoadDigest, 'usage'>
}): Place {
  const { settings, rules, digest } = options
  return ({ bundle, brokers }) => {
    const { usage } = digest
    const candidates = brokers.map(({ id, instance, isDraining }): PlacementBroker => {
      const known = usage.get(instance)
      return { id, instance, isDraining, usage: known?.usage, topics: known?.topics ?? 0 }
    })
    const placement = new Placement(candidates, rules.rules(bundle.namespace), placementLimitsOf(settings))
    const { instance, reason } = placement.place(bundle.toString())
    const broker = brokers.find(each => each.instance === instance)
    return broker === undefined ? undefined : { broker, reason }
  }
}
