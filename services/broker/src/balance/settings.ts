import type { BrokerSettings } from '../config/settings.ts'
import type { BalanceSettings } from './decide.ts'
import { MINUTE_MS } from './history.ts'
import type { UsageWeights } from './load.ts'
import type { PlacementLimits } from './placement.ts'

const MIB = 1024 * 1024
const GIGABIT_BYTES = 1e9 / 8

/** Read anew at each use: all of them may change at run time. */
export function weightsOf(settings: BrokerSettings): UsageWeights {
  return {
    loop: settings.loadBalancerCPUResourceWeight,
    memory: settings.loadBalancerDirectMemoryResourceWeight,
    bytesIn: settings.loadBalancerBandwidthInResourceWeight,
    bytesOut: settings.loadBalancerBandwidthOutResourceWeight,
    networkBytes: settings.loadBalancerOverrideBrokerNicSpeedGbps * GIGABIT_BYTES
  }
}

export function placementLimitsOf(settings: BrokerSettings): PlacementLimits {
  return {
    byLoad: settings.loadBalancerEnabled,
    overloadedPercent: settings.loadBalancerBrokerOverloadedThresholdPercentage,
    brokerTopicsMax: settings.loadBalancerBrokerMaxTopics
  }
}

export function balanceSettingsOf(settings: BrokerSettings): BalanceSettings {
  return {
    placement: placementLimitsOf(settings),
    isShedding: settings.loadBalancerSheddingEnabled,
    isSplitting: settings.loadBalancerAutoBundleSplitEnabled,
    isMerging: settings.strataLoadBalancerAutoBundleMergeEnabled,
    shedding: {
      thresholdPoints: settings.loadBalancerBrokerThresholdShedderPercentage,
      overloadedPercent: settings.loadBalancerBrokerOverloadedThresholdPercentage,
      hits: settings.loadBalancerSheddingConditionHitCountThreshold,
      historyShare: settings.loadBalancerHistoryResourcePercentage,
      stableMs: settings.strataLoadBalancerStableSeconds * 1000
    },
    splitting: {
      limits: {
        topicsMax: settings.loadBalancerNamespaceBundleMaxTopics,
        sessionsMax: settings.loadBalancerNamespaceBundleMaxSessions,
        messagesMax: settings.loadBalancerNamespaceBundleMaxMsgRate,
        bytesMax: settings.loadBalancerNamespaceBundleMaxBandwidthMbytes * MIB
      },
      hits: settings.loadBalancerNamespaceBundleSplitConditionHitCountThreshold,
      splitsPerCycle: settings.loadBalancerMaxNumberOfBundlesToSplitPerCycle,
      bundlesPerNamespaceMax: settings.loadBalancerNamespaceMaximumBundles
    },
    coolDownMs: settings.loadBalancerSheddingGracePeriodMinutes * MINUTE_MS,
    movesPerMinuteMax: settings.strataLoadBalancerMovesPerMinuteMax
  }
}
