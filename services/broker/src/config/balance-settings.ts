import { boolean, number } from '@strata/base'

/** How bundles are placed, moved, split and merged. */
export const balanceSettings = {
  loadBalancerEnabled: boolean({
    default: true,
    dynamic: true,
    doc: 'Place bundles by load; otherwise they are spread evenly, and nothing is moved, split or merged.'
  }),
  loadBalancerSheddingEnabled: boolean({
    default: true,
    dynamic: true,
    doc: 'Move bundles away from brokers that carry too much, and back where isolation policies want them.'
  }),
  loadBalancerSheddingIntervalMinutes: number({
    default: 1,
    min: 0.005,
    unit: 'min',
    dynamic: true,
    doc: 'How often it is decided what to move, split and merge.'
  }),
  loadBalancerSheddingGracePeriodMinutes: number({
    default: 30,
    unit: 'min',
    dynamic: true,
    doc: 'How long a bundle rests after it was moved, split or merged.'
  }),
  loadBalancerBrokerThresholdShedderPercentage: number({
    default: 10,
    min: 1,
    max: 100,
    unit: '%',
    dynamic: true,
    doc: 'Points of usage above (below) the average at which a broker gives (takes) bundles.'
  }),
  loadBalancerSheddingConditionHitCountThreshold: number({
    default: 3,
    min: 1,
    dynamic: true,
    doc: 'Times in a row that a broker must be beyond that before anything is moved.'
  }),
  loadBalancerBrokerOverloadedThresholdPercentage: number({
    default: 85,
    min: 1,
    max: 100,
    unit: '%',
    dynamic: true,
    doc: 'Usage from which a broker gets no new bundles, unless all are as full, and gives some at half the threshold.'
  }),
  loadBalancerHistoryResourcePercentage: number({
    default: 0.9,
    max: 0.99,
    dynamic: true,
    doc: 'Weight of the past in the usage that moves go by.'
  }),
  loadBalancerCPUResourceWeight: number({
    default: 1,
    max: 10,
    dynamic: true,
    doc: 'Weight of the event loop in the usage of a broker, which is what is nearest to its end.'
  }),
  loadBalancerDirectMemoryResourceWeight: number({
    default: 1,
    max: 10,
    dynamic: true,
    doc: 'Weight of the byte budget in it.'
  }),
  loadBalancerBandwidthInResourceWeight: number({
    default: 1,
    max: 10,
    dynamic: true,
    doc: 'Weight of bytes in, where the speed of the network is known.'
  }),
  loadBalancerBandwidthOutResourceWeight: number({
    default: 1,
    max: 10,
    dynamic: true,
    doc: 'Weight of bytes out, where the speed of the network is known.'
  }),
  loadBalancerOverrideBrokerNicSpeedGbps: number({
    default: 0,
    unit: 'Gbit/s',
    dynamic: true,
    doc: 'Speed of the network of a broker; 0: not known.'
  }),
  loadBalancerBrokerMaxTopics: number({
    default: 50_000,
    min: 1,
    dynamic: true,
    doc: 'Topics in memory from which a broker gets no new bundles, unless all have as many.'
  }),
  strataLoadBalancerMovesPerMinuteMax: number({
    default: 60,
    dynamic: true,
    doc: 'Bundles of the cluster that balance moves in a minute, at most.'
  }),
  strataLoadBalancerStableSeconds: number({
    default: 60,
    unit: 's',
    dynamic: true,
    doc: 'How long a broker must be there before bundles of others are moved to it; four times as long after each start in two hours.'
  }),
  loadBalancerReportUpdateThresholdPercentage: number({
    default: 10,
    min: 1,
    max: 100,
    unit: '%',
    dynamic: true,
    doc: 'Change of load that a broker tells of.'
  }),
  loadBalancerReportUpdateMinIntervalMillis: number({
    default: 5000,
    min: 500,
    unit: 'ms',
    dynamic: true,
    doc: 'How often a broker looks at its load, and tells of it at most.'
  }),
  loadBalancerReportUpdateMaxIntervalMinutes: number({
    default: 15,
    min: 1,
    unit: 'min',
    dynamic: true,
    doc: 'How often a broker tells of its load though it has not changed.'
  }),
  loadBalancerMaxNumberOfBundlesInBundleLoadReport: number({
    default: 100,
    min: 1,
    max: 10_000,
    dynamic: true,
    doc: 'Bundles, the heaviest, that a broker tells of: those that can be moved or split.'
  }),
  loadBalancerAutoBundleSplitEnabled: boolean({
    default: true,
    dynamic: true,
    doc: 'Split bundles that grew too big.'
  }),
  loadBalancerAutoUnloadSplitBundlesEnabled: boolean({
    default: false,
    dynamic: true,
    doc: 'Move the halves of a bundle to other brokers at once; otherwise they stay until load moves them.'
  }),
  loadBalancerNamespaceBundleSplitConditionHitCountThreshold: number({
    default: 3,
    min: 1,
    dynamic: true,
    doc: 'Times in a row that a bundle must be past a limit before it is split.'
  }),
  loadBalancerMaxNumberOfBundlesToSplitPerCycle: number({
    default: 10,
    dynamic: true,
    doc: 'Bundles that are split at one time, at most.'
  }),
  loadBalancerNamespaceMaximumBundles: number({
    default: 128,
    min: 1,
    dynamic: true,
    doc: 'Bundles of a namespace beyond which none of its bundles is split.'
  }),
  loadBalancerNamespaceBundleMaxTopics: number({
    default: 1000,
    min: 1,
    dynamic: true,
    doc: 'Topics in memory from which a bundle is split.'
  }),
  loadBalancerNamespaceBundleMaxSessions: number({
    default: 1000,
    min: 1,
    dynamic: true,
    doc: 'Producers and consumers from which a bundle is split.'
  }),
  loadBalancerNamespaceBundleMaxMsgRate: number({
    default: 30_000,
    min: 1,
    unit: '1/s',
    dynamic: true,
    doc: 'Messages, in and out, from which a bundle is split.'
  }),
  loadBalancerNamespaceBundleMaxBandwidthMbytes: number({
    default: 100,
    min: 1,
    unit: 'MB/s',
    dynamic: true,
    doc: 'Bytes, in and out, from which a bundle is split.'
  }),
  strataLoadBalancerAutoBundleMergeEnabled: boolean({
    default: false,
    dynamic: true,
    doc: 'Merge neighbours of a namespace that was split once both have been idle for half an hour.'
  }),
  failureDomainsEnabled: boolean({
    default: false,
    dynamic: true,
    doc: 'Keep namespaces of an anti-affinity group in different failure domains; otherwise on different brokers.'
  })
} as const
